#include "frame.h"

#include "mem.h"

#include <string.h>
#include <strings.h>

/* A buffer that a large frame blew up is given back once no more than this is left in it. */
#define KEEP_CAP (256u << 10)

int frame_encode(struct buf *out, const char *body, size_t body_len, struct err *err)
{
	if (body_len == 0)
		return err_set(err, ERR_PROTOCOL, "frame: the body is empty");
	if (body_len > FRAME_MAX_BODY)
		return err_set(err, ERR_PROTOCOL, "frame: a body of %zu bytes; at most %u",
			body_len, FRAME_MAX_BODY);
	buf_addf(out, "Content-Length: %zu\r\n\r\n", body_len);
	buf_add(out, body, body_len);
	return 0;
}

void frame_decoder_feed(struct frame_decoder *d, const void *data, size_t len)
{
	size_t left = d->in.len - d->start;

	if (d->failed || len == 0)
		return;
	if (left < KEEP_CAP && d->in.cap > KEEP_CAP && !d->in_body) {
		struct buf small = BUF_INIT;

		buf_add(&small, d->in.data + d->start, left);
		buf_finish(&d->in);
		d->in = small;
	} else {
		buf_consume(&d->in, d->start);
	}
	d->start = 0;
	buf_add(&d->in, data, len);
}

static int broken(struct frame_decoder *d, struct err *err, const char *what)
{
	d->failed = true;
	d->start = 0;
	buf_finish(&d->in);
	return err_set(err, ERR_PROTOCOL, "frame: %s", what);
}

static const char *parse_length(struct frame_decoder *d, const char *s, const char *end)
{
	size_t n = 0;

	if (d->body_len > 0)
		return "Content-Length twice (F2)";
	if (s == end)
		return "Content-Length without a number (F2)";
	for (; s < end; s++) {
		if (*s < '0' || *s > '9')
			return "Content-Length is not a number (F2)";
		n = n * 10 + (size_t)(*s - '0');
		if (n > FRAME_MAX_BODY)
			return "Content-Length is too large (F4)";
	}
	if (n == 0)
		return "Content-Length is 0 (F4)";
	d->body_len = n;
	return NULL;
}

static bool is_name_char(unsigned char c)
{
	return c > ' ' && c < 0x7f && c != ':';
}

/* One header line without its CR LF; returns what is wrong with it, or NULL. */
static const char *parse_line(struct frame_decoder *d, const char *s, const char *end)
{
	static const char name[] = "Content-Length";
	const char *colon = s;

	while (colon < end && is_name_char((unsigned char)*colon))
		colon++;
	if (colon == s || colon == end || *colon != ':')
		return "a header line is not \"Name: value\" (F1)";
	if ((size_t)(colon - s) != sizeof(name) - 1 || strncasecmp(s, name, sizeof(name) - 1) != 0)
		return NULL;
	s = colon + 1;
	while (s < end && (*s == ' ' || *s == '\t'))
		s++;
	while (end > s && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	return parse_length(d, s, end);
}

/*
 * Goes over the header part as far as it has arrived, from its start at every call: it is short,
 * and what is no header (a driver that prints text) is found at once, not at a deadline.
 * 1: complete, *ret_size is its size. 0: more bytes are needed. -1: broken, *ret_what says how.
 */
static int parse_header(struct frame_decoder *d, size_t *ret_size, const char **ret_what)
{
	const char *p = d->in.data + d->start;
	const char *limit = p + MIN(d->in.len - d->start, (size_t)FRAME_MAX_HEADER);
	const char *line = p;

	d->body_len = 0;
	for (const char *c = p; c < limit; c++) {
		if (*c != '\r') {
			if (((unsigned char)*c < ' ' && *c != '\t') || *c == 0x7f) {
				*ret_what = "a control character in the header part (F1)";
				return -1;
			}
			continue;
		}
		if (c + 1 == limit)
			break;
		if (c[1] != '\n') {
			*ret_what = "a CR without LF in the header part (F1)";
			return -1;
		}
		if (c == line) {
			*ret_size = (size_t)(c + 2 - p);
			*ret_what = "no Content-Length (F2)";
			return d->body_len > 0 ? 1 : -1;
		}
		*ret_what = parse_line(d, line, c);
		if (*ret_what)
			return -1;
		line = ++c + 1;
	}
	*ret_what = "the header part is too long (F4)";
	return d->in.len - d->start >= FRAME_MAX_HEADER ? -1 : 0;
}

int frame_decoder_next(
	struct frame_decoder *d, const char **ret_body, size_t *ret_len, struct err *err)
{
	if (d->failed)
		return err_set(err, ERR_PROTOCOL, "frame: an earlier frame was broken");
	if (!d->in_body) {
		const char *what = NULL;
		size_t size = 0;
		int r;

		if (d->in.len == d->start)
			return 0;
		r = parse_header(d, &size, &what);
		if (r < 0)
			return broken(d, err, what);
		if (r == 0)
			return 0;
		d->start += size;
		d->in_body = true;
	}
	if (d->in.len - d->start < d->body_len)
		return 0;
	*ret_body = d->in.data + d->start;
	*ret_len = d->body_len;
	d->start += d->body_len;
	d->in_body = false;
	return 1;
}

bool frame_decoder_mid_frame(const struct frame_decoder *d)
{
	return d->in_body || d->in.len > d->start;
}

void frame_decoder_finish(struct frame_decoder *d)
{
	buf_finish(&d->in);
	*d = FRAME_DECODER_INIT;
}
