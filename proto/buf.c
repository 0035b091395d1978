#include "buf.h"

#include "mem.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define BUF_FIRST_CAP 64

/* Room for len more bytes and the NUL behind them. */
static void grow(struct buf *b, size_t len)
{
	size_t need, cap = b->cap ? b->cap : BUF_FIRST_CAP;

	if (__builtin_add_overflow(b->len, len, &need) || need >= SIZE_MAX / 2)
		need = SIZE_MAX; /* xrealloc ends the program */
	else
		need++;
	if (b->data && need <= b->cap)
		return;
	while (cap < need)
		cap = cap > SIZE_MAX / 2 ? SIZE_MAX : cap * 2;
	b->data = xrealloc(b->data, cap, 1);
	b->cap = cap;
}

void buf_add(struct buf *b, const void *data, size_t len)
{
	grow(b, len);
	if (len > 0)
		memcpy(b->data + b->len, data, len);
	b->len += len;
	b->data[b->len] = '\0';
}

void buf_addc(struct buf *b, char c)
{
	buf_add(b, &c, 1);
}

void buf_adds(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void buf_addf(struct buf *b, const char *fmt, ...)
{
	_cleanup_free_ char *s = NULL;
	va_list ap;

	va_start(ap, fmt);
	s = xvasprintf(fmt, ap);
	va_end(ap);
	buf_adds(b, s);
}

/* The room is zeroed, so that the NUL is there however much of it gets used. */
char *buf_reserve(struct buf *b, size_t len)
{
	grow(b, len);
	memset(b->data + b->len, 0, len + 1);
	return b->data + b->len;
}

void buf_consume(struct buf *b, size_t len)
{
	if (len == 0)
		return;
	if (len >= b->len) {
		buf_clear(b);
		return;
	}
	b->len -= len;
	memmove(b->data, b->data + len, b->len + 1);
}

void buf_clear(struct buf *b)
{
	b->len = 0;
	if (b->data)
		b->data[0] = '\0';
}

void buf_finish(struct buf *b)
{
	free(b->data);
	*b = BUF_INIT;
}

const char *buf_str(const struct buf *b)
{
	return b->data ? b->data : "";
}

char *buf_steal(struct buf *b)
{
	char *s = b->data ? b->data : xstrdup("");

	*b = BUF_INIT;
	return s;
}
