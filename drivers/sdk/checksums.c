#include "checksums.h"

#include "mem.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static const char hex_digits[] = "0123456789abcdefABCDEF";

struct line { /* what one says; name NULL: of the only file */
	struct checksum sum;
	const char *name;
	size_t name_len;
};

static void set_sum(struct checksum *sum, const char *hex, size_t len)
{
	sum->kind = sha_kind_of(len);
	for (size_t i = 0; i < len; i++)
		sum->hex[i] = (char)tolower((unsigned char)hex[i]);
	sum->hex[len] = '\0';
}

int checksum_parse(const char *spec, struct checksum *ret, struct err *err)
{
	static const enum sha_kind kinds[] = {SHA_256, SHA_512};

	*ret = (struct checksum){0};
	if (!*spec || streq(spec, "none"))
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		const char *name = sha_name(kinds[i]), *hex = spec + strlen(name) + 1;
		size_t len = strlen(name);

		if (strncmp(spec, name, len) != 0 || spec[len] != ':')
			continue;
		if (!sha_hex_valid(hex, strlen(hex)) || sha_kind_of(strlen(hex)) != kinds[i])
			return err_set(err, ERR_USER,
				"the checksum \"%s\" is not %s: and %u hex digits", spec, name,
				kinds[i] == SHA_256 ? SHA_256_HEX : SHA_512_HEX);
		set_sum(ret, hex, strlen(hex));
		return 0;
	}
	return err_set(err, ERR_USER,
		"\"%s\" is no checksum: give sha256:HEX, sha512:HEX, the URL or path of a "
		"SHA256SUMS "
		"or SHA512SUMS file, or \"none\"",
		spec);
}

/* SHA256 (NAME) = HEX */
static bool parse_tagged(const char *s, size_t len, struct line *ret)
{
	enum sha_kind kind = strncmp(s, "SHA256 (", 8) == 0   ? SHA_256
			     : strncmp(s, "SHA512 (", 8) == 0 ? SHA_512
							      : SHA_NONE;
	size_t hex = 0;

	if (len < 8 || kind == SHA_NONE)
		return false;
	while (hex < len && strchr(hex_digits, s[len - hex - 1]))
		hex++;
	if (sha_kind_of(hex) != kind || len < 8 + 4 + hex ||
		strncmp(s + len - hex - 4, ") = ", 4) != 0)
		return false;
	set_sum(&ret->sum, s + len - hex, hex);
	ret->name = s + 8;
	ret->name_len = len - 8 - 4 - hex;
	return true;
}

/* HEX, two blanks or a blank and a star, NAME. */
static bool parse_plain(const char *s, size_t len, struct line *ret)
{
	size_t hex = 0;

	while (hex < len && strchr(hex_digits, s[hex]))
		hex++;
	if (sha_kind_of(hex) == SHA_NONE)
		return false;
	ret->name = NULL;
	ret->name_len = 0;
	if (hex < len) {
		size_t skip = hex + 1;

		if (s[hex] != ' ' && s[hex] != '\t')
			return false;
		if (skip < len && (s[skip] == ' ' || s[skip] == '*'))
			skip++;
		if (skip >= len)
			return false;
		ret->name = s + skip;
		ret->name_len = len - skip;
	}
	set_sum(&ret->sum, s, hex);
	return true;
}

static bool is_about(const struct line *l, const char *file_name)
{
	size_t len = strlen(file_name);

	if (l->name_len < len || memcmp(l->name + l->name_len - len, file_name, len) != 0)
		return false;
	return l->name_len == len || l->name[l->name_len - len - 1] == '/';
}

struct search {
	const char *file_name;
	struct checksum found;
	struct line alone; /* the last line without a name */
	unsigned sums, unnamed;
};

static int take_line(struct search *s, const char *text, size_t len, struct err *err)
{
	struct line l = {0};

	if (len > CHECKSUMS_MAX_LINE)
		return err_set(err, ERR_USER, "a line is too long");
	if (!parse_tagged(text, len, &l) && !parse_plain(text, len, &l))
		return 0; /* a comment, a signature, another algorithm */
	s->sums++;
	if (!l.name) {
		s->unnamed++;
		s->alone = l;
		return 0;
	}
	if (!is_about(&l, s->file_name) || l.sum.kind < s->found.kind)
		return 0;
	if (l.sum.kind == s->found.kind && !streq(l.sum.hex, s->found.hex))
		return err_set(err, ERR_USER, "it has two different checksums of %s", s->file_name);
	s->found = l.sum;
	return 0;
}

static int search_lines(struct search *s, const char *text, size_t len, struct err *err)
{
	const char *end = text + len;

	for (unsigned n = 0; text < end; n++) {
		const char *nl = memchr(text, '\n', (size_t)(end - text));
		const char *stop = nl ? nl : end, *last = stop;

		if (n == CHECKSUMS_MAX_LINES)
			return err_set(err, ERR_USER, "it has too many lines");
		while (last > text && (last[-1] == '\r' || last[-1] == ' '))
			last--;
		if (take_line(s, text, (size_t)(last - text), err) < 0)
			return -1;
		text = stop + 1;
	}
	return 0;
}

int checksums_find(
	const char *text, size_t len, const char *file_name, struct checksum *ret, struct err *err)
{
	struct search s = {.file_name = file_name};

	if (len > CHECKSUMS_MAX_BYTES || memchr(text, '\0', len))
		return err_set(err, ERR_USER, "it is no checksum file");
	if (search_lines(&s, text, len, err) < 0)
		return -1;
	if (s.found.kind == SHA_NONE && s.sums == 1 && s.unnamed == 1)
		s.found = s.alone.sum;
	if (s.found.kind != SHA_NONE) {
		*ret = s.found;
		return 0;
	}
	if (!s.sums)
		return err_set(err, ERR_USER, "it has no SHA-256 and no SHA-512 sums");
	return err_set(err, ERR_NOT_FOUND, "it has no line for %s", file_name);
}
