/* A growing byte buffer. Always followed by a NUL that does not count, so data is also a C string.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>

struct buf {
	char *data; /* NULL until the first byte; use buf_str for a string */
	size_t len;
	size_t cap;
};

#define BUF_INIT ((struct buf){0})

void buf_add(struct buf *b, const void *data, size_t len);
void buf_addc(struct buf *b, char c);
void buf_adds(struct buf *b, const char *s);
void buf_addf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
char *buf_reserve(struct buf *b, size_t len); /* room for len more bytes; then add to b->len */
void buf_consume(struct buf *b, size_t len);  /* drops len bytes from the front */
void buf_clear(struct buf *b);                /* len = 0, keeps the memory */
void buf_finish(struct buf *b);               /* frees; usable again afterwards */
const char *buf_str(const struct buf *b);     /* never NULL */
char *buf_steal(struct buf *b);               /* malloc'ed string, never NULL; b is empty */

#define _cleanup_buf_ __attribute__((cleanup(buf_finish)))
