/* The engine's answer to GET /version: HTTP/1.x with a length, in chunks, or until the end; JSON in
 * it. */
#include "engine.h"

#include "buf.h"
#include "json.h"
#include "mem.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#define VERSION_MAX 128u

struct answer {
	int status;
	const char *body;
	size_t len;
	bool chunked;
	long long length; /* -1: until the end */
};

static const char *header_value(const char *line, const char *end, const char *name)
{
	size_t n = strlen(name);

	if ((size_t)(end - line) <= n || strncasecmp(line, name, n) != 0 || line[n] != ':')
		return NULL;
	line += n + 1;
	while (line < end && (*line == ' ' || *line == '\t'))
		line++;
	return line;
}

static void read_header(struct answer *a, const char *line, const char *end)
{
	const char *v;

	if ((v = header_value(line, end, "Content-Length"))) {
		long long n = 0;
		for (; v < end && isdigit((unsigned char)*v) && n < (long long)ENGINE_MAX_ANSWER;
			v++)
			n = n * 10 + (*v - '0');
		a->length = n;
	} else if ((v = header_value(line, end, "Transfer-Encoding"))) {
		a->chunked = end - v >= 7 && strncasecmp(v, "chunked", 7) == 0;
	}
}

static int read_head(const char *data, size_t len, struct answer *a, struct err *err)
{
	const char *end = memmem(data, len, "\r\n\r\n", 4), *line = data;

	if (len < 12 || strncmp(data, "HTTP/1.", 7) != 0 || data[8] != ' ' || !end)
		return err_set(err, ERR_PROTOCOL, "the answer is not HTTP");
	for (int i = 9; i < 12; i++) {
		if (!isdigit((unsigned char)data[i]))
			return err_set(err, ERR_PROTOCOL, "the answer is not HTTP");
		a->status = a->status * 10 + (data[i] - '0');
	}
	a->length = -1;
	while (line < end + 2) {
		const char *nl = memmem(line, (size_t)(end + 2 - line), "\r\n", 2);
		read_header(a, line, nl);
		line = nl + 2;
	}
	a->body = end + 4;
	a->len = len - (size_t)(a->body - data);
	return 0;
}

static int dechunk(const struct answer *a, struct buf *out, struct err *err)
{
	const char *p = a->body, *end = p + a->len;

	for (;;) {
		size_t n = 0;
		const char *digits = p;
		while (p < end && isxdigit((unsigned char)*p) && n <= ENGINE_MAX_ANSWER) {
			int c = tolower((unsigned char)*p++);
			n = n * 16 + (size_t)(c <= '9' ? c - '0' : c - 'a' + 10);
		}
		const char *nl = memmem(p, (size_t)(end - p), "\r\n", 2);
		if (p == digits || !nl || n > ENGINE_MAX_ANSWER)
			return err_set(err, ERR_PROTOCOL, "the answer's chunks are garbled");
		if (n == 0)
			return 0;
		p = nl + 2;
		if ((size_t)(end - p) < n + 2)
			return err_set(err, ERR_PROTOCOL, "the answer ends in the middle");
		buf_add(out, p, n);
		p += n + 2;
	}
}

static int body_of(const struct answer *a, struct buf *out, struct err *err)
{
	if (a->chunked)
		return dechunk(a, out, err);
	if (a->length >= 0 && (size_t)a->length > a->len)
		return err_set(err, ERR_PROTOCOL, "the answer ends in the middle");
	buf_add(out, a->body, a->length >= 0 ? (size_t)a->length : a->len);
	return 0;
}

static bool printable(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s <= 0x20 || (unsigned char)*s == 0x7f)
			return false;
	return true;
}

int engine_parse_version(const char *data, size_t len, char **ret_version, struct err *err)
{
	_cleanup_buf_ struct buf body = BUF_INIT;
	_cleanup_json_ struct json *j = NULL;
	struct answer a = {0};

	if (read_head(data, len, &a, err) < 0 || body_of(&a, &body, err) < 0)
		return -1;
	_cleanup_err_ struct err why = ERR_INIT;
	int rc = json_parse(buf_str(&body), body.len, &j, &why);
	if (a.status != 200) {
		const char *message = json_str(json_get(j, "message"), "");
		return err_set(err, ERR_UNAVAILABLE, "the engine answers %d%s%.300s", a.status,
			*message ? ": " : "", message);
	}
	if (rc < 0)
		return err_set(err, ERR_PROTOCOL, "the engine's answer: %s", err_msg(&why));
	const char *version = json_str(json_get(j, "Version"), "");
	if (!*version || strlen(version) > VERSION_MAX || !printable(version))
		return err_set(err, ERR_PROTOCOL, "the engine's answer names no version");
	*ret_version = xstrdup(version);
	return 0;
}
