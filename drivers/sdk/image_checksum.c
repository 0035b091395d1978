/* What the checksum argument of an image means. */
#include "http.h"
#include "image.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Bytes written as %41; a NUL is refused. */
static bool decode(char *s)
{
	static const char hex[] = "0123456789abcdefABCDEF";
	char *to = s;

	for (; *s; s++, to++) {
		if (*s != '%') {
			*to = *s;
			continue;
		}
		if (!s[1] || !s[2] || !strchr(hex, s[1]) || !strchr(hex, s[2]))
			return false;
		char digits[] = {s[1], s[2], '\0'};
		*to = (char)strtol(digits, NULL, 16);
		if (!*to)
			return false;
		s += 2;
	}
	*to = '\0';
	return true;
}

int image_file_url(const char *url, char **ret, struct err *err)
{
	static const char *const prefixes[] = {"file://localhost/", "file:///"};

	if (strncasecmp(url, "file://", 7) != 0)
		return err_set(err, ERR_USER,
			"\"%.*s\" URLs are not known here: http, https and file are",
			(int)strcspn(url, ":"), url);
	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
		size_t len = strlen(prefixes[i]);

		if (strncasecmp(url, prefixes[i], len) != 0)
			continue;
		_cleanup_free_ char *path = xstrdup(url + len - 1);
		if (!decode(path))
			return err_set(err, ERR_USER, "%s is no URL of a file", url);
		*ret = take(path);
		return 0;
	}
	return err_set(err, ERR_USER, "%s: a file URL has an absolute path: file:///DIR/FILE", url);
}

static int read_sums(const struct md_watch *w, const char *where, char **ret_text, size_t *ret_len,
	struct err *err)
{
	_cleanup_free_ char *path = NULL;

	if (http_is_url(where))
		return http_get_text(w, where, CHECKSUMS_MAX_BYTES, ret_text, ret_len, err);
	if (!image_is_url(where))
		path = md_expand_path(where);
	else if (image_file_url(where, &path, err) < 0)
		return -1;
	return md_read_file(path, CHECKSUMS_MAX_BYTES, ret_text, ret_len, err);
}

static char *file_name(const char *path_or_url)
{
	bool url = image_is_url(path_or_url);
	_cleanup_free_ char *whole =
		xstrndup(path_or_url, url ? strcspn(path_or_url, "?#") : strlen(path_or_url));
	const char *slash = strrchr(whole, '/');
	char *name = xstrdup(slash ? slash + 1 : whole);

	if (url && !decode(name))
		*name = '\0';
	return name;
}

bool image_is_sums_file(const char *spec)
{
	return image_is_url(spec) || strchr(spec, '/') || *spec == '~';
}

int image_checksum(const struct md_watch *w, const char *spec, const char *path_or_url,
	struct checksum *ret, struct err *err)
{
	_cleanup_free_ char *text = NULL, *name = NULL, *shown = NULL;
	size_t len;

	if (!image_is_sums_file(spec))
		return checksum_parse(spec, ret, err);
	shown = http_is_url(spec) ? http_shown(spec) : xstrdup(spec);
	name = file_name(path_or_url);
	if (read_sums(w, spec, &text, &len, err) < 0)
		return err_wrap(err, "the checksum file");
	if (checksums_find(text, len, name, ret, err) < 0)
		return err_wrap(err, "the checksum file %s", shown);
	return 0;
}

int image_checksum_compare(const struct checksum *sum, const char *sha256, const char *sha512,
	const char *what, struct err *err)
{
	const char *has = sum->kind == SHA_512 ? sha512 : sha256;

	if (sum->kind == SHA_NONE || streq(has, sum->hex))
		return 0;
	return err_set(err, ERR_USER,
		"%s is not what its checksum says: its %s is %s rather than %s\n(It was deleted "
		"and "
		"nothing made of it. Has the file been replaced, or the checksum mistyped?)",
		what, sha_name(sum->kind), has, sum->hex);
}
