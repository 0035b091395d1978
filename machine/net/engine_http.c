/* The engine's answer to GET /version: HTTP/1.x with a length, in chunks, or until the end; JSON in
 * it. */
#include "engine_priv.h"

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

static int read_header(struct answer *a, const char *line, const char *end)
{
	const char *v;

	if ((v = header_value(line, end, "Content-Length"))) {
		const char *digits = v;
		long long n = 0;
		for (; v < end && isdigit((unsigned char)*v) && n <= (long long)ENGINE_MAX_ANSWER;
			v++)
			n = n * 10 + (*v - '0');
		if (v == digits || n > (long long)ENGINE_MAX_ANSWER)
			return -1;
		a->length = n;
	} else if ((v = header_value(line, end, "Transfer-Encoding"))) {
		a->chunked = end - v >= 7 && strncasecmp(v, "chunked", 7) == 0;
	}
	return 0;
}

/* 1: the head is there; 0: not all of it yet; -1: this will never be one. */
static int read_head(const char *data, size_t len, struct answer *a)
{
	static const char version[] = "HTTP/1.";
	const char *end, *line = data;

	*a = (struct answer){.length = -1};
	if (!data || !len)
		return 0;
	end = memmem(data, len, "\r\n\r\n", 4);
	if (memcmp(data, version, MIN(len, sizeof(version) - 1)) != 0)
		return -1;
	if (!end)
		return 0;
	if (end - data < 12 || data[8] != ' ')
		return -1;
	for (int i = 9; i < 12; i++) {
		if (!isdigit((unsigned char)data[i]))
			return -1;
		a->status = a->status * 10 + (data[i] - '0');
	}
	while (line < end + 2) {
		const char *nl = memmem(line, (size_t)(end + 2 - line), "\r\n", 2);
		if (read_header(a, line, nl) < 0)
			return -1;
		line = nl + 2;
	}
	a->body = end + 4;
	a->len = len - (size_t)(a->body - data);
	return 1;
}

/* The next chunk at *at. 1, with n == 0 for the last one; 0: not all of it yet; -1: garbled. */
static int next_chunk(const char **at, const char *end, const char **ret, size_t *ret_n)
{
	const char *p = *at;
	size_t n = 0;

	for (; p < end && isxdigit((unsigned char)*p); p++) {
		int c = tolower((unsigned char)*p);
		n = n * 16 + (size_t)(c <= '9' ? c - '0' : c - 'a' + 10);
		if (n > ENGINE_MAX_ANSWER)
			return -1;
	}
	if (p >= end)
		return 0;
	if (p == *at || !*p || !strchr("\r; \t", *p))
		return -1;
	const char *nl = memmem(p, (size_t)(end - p), "\r\n", 2);
	if (!nl || (n && (size_t)(end - nl) < n + 4))
		return 0;
	*ret = nl + 2;
	*ret_n = n;
	if (n && memcmp(*ret + n, "\r\n", 2) != 0)
		return -1;
	*at = *ret + (n ? n + 2 : 0);
	return 1;
}

/* Adds the body to out, if not NULL. 1: all of it; 0: not yet; -1: garbled. */
static int read_body(const struct answer *a, struct buf *out)
{
	const char *at = a->body, *end = at + a->len, *data = at;
	size_t n = a->len;
	int r = 1;

	if (!a->chunked) {
		if (a->length >= 0 && (size_t)a->length > n)
			return 0;
		if (out)
			buf_add(out, data, a->length >= 0 ? (size_t)a->length : n);
		return 1;
	}
	while ((r = next_chunk(&at, end, &data, &n)) == 1 && n)
		if (out)
			buf_add(out, data, n);
	return r;
}

bool engine_answer_complete(const char *data, size_t len)
{
	struct answer a;
	int head = read_head(data, len, &a);

	if (head <= 0)
		return head < 0; /* no use waiting for more */
	return (a.chunked || a.length >= 0) && read_body(&a, NULL) != 0;
}

static bool printable(const char *s)
{
	for (; *s; s++)
		if (*s <= ' ' || *s >= 0x7f)
			return false;
	return true;
}

static int refused(int status, const struct json *j, struct err *err)
{
	const char *text = json_str(json_get(j, "message"), "");
	_cleanup_free_ char *message = engine_safe_text(text, strlen(text));

	return err_set(err, ERR_UNAVAILABLE, "the engine answers %d%s%s", status,
		*message ? ": " : "", message);
}

int engine_parse_version(const char *data, size_t len, char **ret_version, struct err *err)
{
	_cleanup_buf_ struct buf body = BUF_INIT;
	_cleanup_json_ struct json *j = NULL;
	_cleanup_err_ struct err why = ERR_INIT;
	struct answer a;
	int r = read_head(data, len, &a);

	if (r <= 0)
		return err_set(err, ERR_PROTOCOL,
			r < 0 ? "the answer is not HTTP" : "the answer ends in the middle");
	if ((r = read_body(&a, &body)) <= 0)
		return err_set(err, ERR_PROTOCOL,
			r < 0 ? "the answer's chunks are garbled"
			      : "the answer ends in the middle");
	r = json_parse(buf_str(&body), body.len, &j, &why);
	if (a.status != 200)
		return refused(a.status, j, err);
	if (r < 0)
		return err_set(err, ERR_PROTOCOL, "the engine's answer: %s", err_msg(&why));
	const char *version = json_str(json_get(j, "Version"), "");
	if (!*version || strlen(version) > VERSION_MAX || !printable(version))
		return err_set(err, ERR_PROTOCOL, "the engine's answer names no version");
	*ret_version = xstrdup(version);
	return 0;
}
