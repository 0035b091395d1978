/*
 * Host key pinning. A file belongs to one machine, so a key is judged by its bytes alone, whatever
 * name or address its line carries: addresses change with every restart of a cloud machine, the
 * key does not. Lines that we write carry the machine's name, which is what the system's ssh is
 * told to look for (HostKeyAlias).
 *
 * "Changed" also covers a host that suddenly shows a key of another type only: accepting that
 * would let anybody in between dodge the pin by offering another type.
 */
#include "ssh_hostkey.h"

#include "buf.h"
#include "mem.h"
#include "putfile.h"
#include "sshkey.h"
#include "strv.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FINGERPRINT_PREFIX "SHA256:"
#define FINGERPRINT_LEN 50
#define SHOWN_MAX ((size_t)60) /* of a key that is none */

/* The field of a public key blob at *at; false when there is none, or not all of it. */
static bool next_field(
	const unsigned char *blob, size_t len, size_t *at, const char **ret, size_t *ret_len)
{
	const unsigned char *p = blob + *at;

	if (len - *at < 4)
		return false;
	size_t n = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
	if (n == 0 || n > len - *at - 4)
		return false;
	*ret = (const char *)p + 4;
	*ret_len = n;
	*at += 4 + n;
	return true;
}

/* A type and at least one number, and nothing torn: every kind of key is a row of fields. */
static bool is_key(const unsigned char *blob, size_t len, const char *type)
{
	const char *field;
	size_t at = 0, n, fields = 0;

	if (!next_field(blob, len, &at, &field, &n) || n != strlen(type) ||
		memcmp(field, type, n) != 0)
		return false;
	while (next_field(blob, len, &at, &field, &n))
		fields++;
	return fields > 0 && at == len;
}

static bool decode(const char *text, struct hostkey *k)
{
	size_t max = strlen(text) / 4 * 3 + 3;
	const char *end;

	k->blob = xmalloc(max);
	if (sodium_base642bin(k->blob, max, text, strlen(text), NULL, &k->len, &end,
		    sodium_base64_VARIANT_ORIGINAL) < 0 ||
		*end)
		return false;
	return is_key(k->blob, k->len, k->type);
}

static void hostkey_finish(struct hostkey *k)
{
	free(k->type);
	free(k->names);
	free(k->blob);
	*k = (struct hostkey){0};
}

static char *next_word(const char **p)
{
	const char *start = *p += strspn(*p, " \t\r");

	*p += strcspn(*p, " \t\r");
	return *p > start ? xstrndup(start, (size_t)(*p - start)) : NULL;
}

static bool parse_line(const char *line, struct hostkey *ret)
{
	struct hostkey k = {0};
	_cleanup_free_ char *marker = NULL, *text = NULL;

	line += strspn(line, " \t\r");
	if (*line == '#')
		return false;
	if (*line == '@') {
		marker = next_word(&line);
		if (!streq(marker, "@revoked"))
			return false;
		k.revoked = true;
	}
	k.names = next_word(&line);
	k.type = next_word(&line);
	text = next_word(&line);
	if (text && decode(text, &k)) {
		*ret = k;
		return true;
	}
	hostkey_finish(&k);
	return false;
}

static int read_text(const char *path, struct buf *b, struct err *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0)
		return errno == ENOENT ? 0 : err_errno(err, errno, "open %s", path);
	if (fstat(fd, &st) < 0)
		return err_errno(err, errno, "stat %s", path);
	if (!S_ISREG(st.st_mode) || st.st_size > (off_t)HOSTKEY_MAX_FILE)
		return err_set(err, ERR_USER, "%s is not a known_hosts file", path);
	for (;;) {
		ssize_t n = read(fd, buf_reserve(b, 4096), 4096);
		if (n < 0)
			return err_errno(err, errno, "read %s", path);
		if (n == 0 || b->len > HOSTKEY_MAX_FILE)
			return 0;
		b->len += (size_t)n;
		b->data[b->len] = '\0';
	}
}

static void push(struct hostkeys *k, struct hostkey key)
{
	k->items = xrealloc(k->items, k->n + 1, sizeof(*k->items));
	k->items[k->n++] = key;
}

void hostkeys_parse(const char *text, struct hostkeys *k)
{
	while (*text) {
		size_t n = strcspn(text, "\n");
		_cleanup_free_ char *line = xstrndup(text, n);
		struct hostkey key;

		if (parse_line(line, &key))
			push(k, key);
		text += n + (text[n] == '\n');
	}
}

int hostkeys_load(const char *path, struct hostkeys *ret, struct err *err)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct hostkeys k = {0};

	if (path && read_text(path, &text, err) < 0)
		return -1;
	hostkeys_parse(buf_str(&text), &k);
	*ret = k;
	return 0;
}

void hostkeys_add(struct hostkeys *k, const char *type, const void *blob, size_t len)
{
	struct hostkey key = {.type = xstrdup(type), .names = xstrdup(""), .len = len};

	key.blob = xmalloc(len);
	memcpy(key.blob, blob, len);
	push(k, key);
}

static bool is_fingerprint(const char *s)
{
	size_t n = strlen(s);

	while (n > 0 && s[n - 1] == '=')
		n--;
	if (n != FINGERPRINT_LEN || memcmp(s, FINGERPRINT_PREFIX, strlen(FINGERPRINT_PREFIX)) != 0)
		return false;
	for (size_t i = strlen(FINGERPRINT_PREFIX); i < n; i++)
		if (!isalnum((unsigned char)s[i]) && s[i] != '+' && s[i] != '/')
			return false;
	return true;
}

static int expect(struct hostkeys *k, const char *text, struct strv *prints, struct err *err)
{
	_cleanup_free_ char *named = xasprintf("* %s", text);
	struct hostkey key;

	text += strspn(text, " \t");
	if (is_fingerprint(text)) {
		strv_addf(prints, "%.*s", FINGERPRINT_LEN, text);
		return 0;
	}
	/* a mark at the front (@revoked, @cert-authority) is no key to be expected */
	if (!strchr(text, '\n') && *text != '@' &&
		(parse_line(text, &key) || parse_line(named, &key))) {
		push(k, key);
		return 0;
	}
	return err_set(err, ERR_PROTOCOL,
		"\"%.*s\" is neither an SSH host key nor a fingerprint (S7)",
		(int)MIN(strcspn(text, "\r\n"), SHOWN_MAX), text);
}

int hostkeys_expect(struct hostkeys *k, char *const *texts, struct strv *prints, struct err *err)
{
	for (char *const *t = texts; *t; t++)
		if (expect(k, *t, prints, err) < 0)
			return -1;
	return 0;
}

void hostkeys_finish(struct hostkeys *k)
{
	for (size_t i = 0; i < k->n; i++)
		hostkey_finish(&k->items[i]);
	free(k->items);
	*k = (struct hostkeys){0};
}

size_t hostkeys_usable(const struct hostkeys *k)
{
	size_t n = 0;

	for (size_t i = 0; i < k->n; i++)
		n += !k->items[i].revoked;
	return n;
}

enum hostkey_verdict hostkeys_check(const struct hostkeys *k, const void *blob, size_t len)
{
	bool found = false;

	for (size_t i = 0; i < k->n; i++) {
		const struct hostkey *key = &k->items[i];

		if (key->len != len || memcmp(key->blob, blob, len) != 0)
			continue;
		if (key->revoked)
			return HOSTKEY_CHANGED;
		found = true;
	}
	if (found)
		return HOSTKEY_KNOWN;
	return hostkeys_usable(k) ? HOSTKEY_CHANGED : HOSTKEY_UNKNOWN;
}

int hostkeys_changed(const struct hostkeys *k, const char *seen, const char *machine,
	const char *path, struct err *err)
{
	_cleanup_buf_ struct buf known = BUF_INIT;

	for (size_t i = 0; i < k->n; i++) {
		_cleanup_free_ char *print = sshkey_fingerprint(k->items[i].blob, k->items[i].len);

		buf_addf(&known, "%s%s %s%s", known.len ? ", " : "", k->items[i].type, print,
			k->items[i].revoked ? " (revoked)" : "");
	}
	if (k->expected)
		return hostkeys_unexpected(buf_str(&known), seen, machine, path, err);
	return err_set(err, ERR_USER,
		"the host key of \"%s\" has changed: it shows %s, recorded is %s. Somebody may be "
		"in between. If the host was rebuilt and you expect this, remove %s and try again",
		machine, seen, buf_str(&known), path);
}

int hostkeys_unexpected(const char *expected, const char *seen, const char *machine,
	const char *path, struct err *err)
{
	return err_set(err, ERR_USER,
		"the host key of \"%s\" is not the expected one: it shows %s, expected is %s. "
		"Somebody may be in between. If you know that the key it shows is right, put it "
		"into %s (a line as ssh-keyscan prints it) and try again",
		machine, seen, expected, path);
}

int hostkeys_judge(const struct hostkeys *k, const void *blob, size_t len, bool strict,
	const char *machine, const char *path, struct err *err)
{
	enum hostkey_verdict verdict = hostkeys_check(k, blob, len);

	if (verdict == HOSTKEY_KNOWN || (verdict == HOSTKEY_UNKNOWN && !strict))
		return 0;
	_cleanup_free_ char *print = sshkey_fingerprint(blob, len);
	if (verdict == HOSTKEY_UNKNOWN)
		return err_set(err, ERR_USER,
			"the host key of \"%s\" (%s) is not known, and only known keys are "
			"accepted",
			machine, print);
	return hostkeys_changed(k, print, machine, path, err);
}

char *hostkey_alias(const char *machine)
{
	char *alias = xstrdup(machine && *machine ? machine : "machine");

	for (char *p = alias; *p; p++) {
		*p = (char)tolower((unsigned char)*p); /* OpenSSH compares lower-cased patterns */
		if (!isalnum((unsigned char)*p) && !strchr("._-", *p))
			*p = '_';
	}
	return alias;
}

static void add_line(struct buf *b, const char *alias, const void *blob, size_t len)
{
	size_t max = sodium_base64_ENCODED_LEN(len, sodium_base64_VARIANT_ORIGINAL), n = 0, at = 0;
	_cleanup_free_ char *text = xmalloc(max);
	const char *type = "";

	next_field(blob, len, &at, &type, &n);
	sodium_bin2base64(text, max, blob, len, sodium_base64_VARIANT_ORIGINAL);
	if (b->len && b->data[b->len - 1] != '\n')
		buf_addc(b, '\n');
	buf_addf(b, "%s %.*s %s\n", alias, (int)n, type, text);
}

static int replace(const char *path, const struct buf *b, struct err *err)
{
	_cleanup_free_ char *tmp = xasprintf("%s.XXXXXX", path);
	int fd = mkostemp(tmp, O_CLOEXEC);

	if (fd < 0)
		return err_errno(err, errno, "create %s", path);
	int failed = write_all(fd, b->data, b->len);
	if (!failed && fsync(fd) < 0)
		failed = errno;
	if (close(fd) < 0 && !failed)
		failed = errno;
	if (!failed && rename(tmp, path) < 0)
		failed = errno;
	if (!failed)
		return 0;
	unlink(tmp);
	return err_errno(err, failed, "write %s", path);
}

int hostkeys_record(
	const char *path, const char *alias, const void *blob, size_t len, struct err *err)
{
	_cleanup_buf_ struct buf text = BUF_INIT;

	if (read_text(path, &text, err) < 0)
		return -1;
	add_line(&text, alias, blob, len);
	return replace(path, &text, err);
}

static bool stands_under(const struct hostkeys *k, const char *alias, const struct hostkey *wanted)
{
	for (size_t i = 0; i < k->n; i++) {
		const struct hostkey *key = &k->items[i];
		_cleanup_strv_ struct strv names = STRV_INIT;

		strv_split(&names, key->names, ',');
		if (key->len == wanted->len && key->revoked == wanted->revoked &&
			memcmp(key->blob, wanted->blob, key->len) == 0 &&
			strv_contains(&names, alias))
			return true;
	}
	return false;
}

int hostkeys_align(const char *path, const char *alias, struct err *err)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	_cleanup_hostkeys_ struct hostkeys k = {0};

	if (read_text(path, &text, err) < 0)
		return -1;
	hostkeys_parse(buf_str(&text), &k);
	size_t before = text.len;
	for (size_t i = 0; i < k.n; i++)
		if (!k.items[i].revoked && !stands_under(&k, alias, &k.items[i]))
			add_line(&text, alias, k.items[i].blob, k.items[i].len);
	if (text.len == before && access(path, F_OK) == 0)
		return 0;
	return replace(path, &text, err);
}

int hostkeys_write(const struct hostkeys *k, const char *path, const char *alias, struct err *err)
{
	_cleanup_buf_ struct buf text = BUF_INIT;

	for (size_t i = 0; i < k->n; i++) {
		_cleanup_free_ char *names =
			xasprintf("%s%s", k->items[i].revoked ? "@revoked " : "", alias);

		add_line(&text, names, k->items[i].blob, k->items[i].len);
	}
	return replace(path, &text, err);
}

char *hostkeys_algorithms(const struct hostkeys *k)
{
	_cleanup_strv_ struct strv names = STRV_INIT;

	for (size_t i = 0; i < k->n; i++) {
		const char *type = k->items[i].type;

		if (k->items[i].revoked || strv_contains(&names, type))
			continue;
		if (streq(type, "ssh-rsa")) {
			strv_add(&names, "rsa-sha2-512");
			strv_add(&names, "rsa-sha2-256");
		}
		strv_add(&names, type);
	}
	return strv_join(&names, ",");
}

bool hostkeys_only_rsa(const struct hostkeys *k)
{
	size_t rsa = 0;

	for (size_t i = 0; i < k->n; i++)
		rsa += !k->items[i].revoked && streq(k->items[i].type, "ssh-rsa");
	return rsa > 0 && rsa == hostkeys_usable(k);
}
