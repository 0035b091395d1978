#include "arena.h"

#include "mem.h"

#include <string.h>

#define CHUNK 4096u
#define ALIGN 16u

struct arena_chunk {
	struct arena_chunk *next;
	char *at;
	_Alignas(ALIGN) char data[];
};

void *arena_alloc(struct arena *a, size_t n)
{
	size_t size = (MAX(n, (size_t)1) + ALIGN - 1) / ALIGN * ALIGN;

	if (size > a->left) {
		size_t room = MAX(size, (size_t)CHUNK);
		struct arena_chunk *c = xcalloc(1, sizeof(*c) + room);
		c->next = a->chunks;
		c->at = c->data;
		a->chunks = c;
		a->left = room;
	}
	char *p = a->chunks->at;
	a->chunks->at += size;
	a->left -= size;
	a->total += size;
	return p;
}

char *arena_dup(struct arena *a, const char *s, size_t n)
{
	char *copy = arena_alloc(a, n + 1);

	if (n)
		memcpy(copy, s, n);
	return copy;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	_cleanup_free_ char *s = xvasprintf(fmt, ap);
	va_end(ap);
	return arena_dup(a, s, strlen(s));
}

void arena_finish(struct arena *a)
{
	while (a->chunks) {
		struct arena_chunk *c = a->chunks;
		a->chunks = c->next;
		free(c);
	}
	*a = ARENA_INIT;
}
