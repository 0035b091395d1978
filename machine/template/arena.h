/* Memory that is freed all at once. */
#pragma once

#include <stddef.h>

struct arena_chunk;
struct arena {
	struct arena_chunk *chunks;
	size_t left;  /* in the newest */
	size_t total; /* bytes given out */
};

#define ARENA_INIT ((struct arena){0})

void *arena_alloc(struct arena *a, size_t n);              /* zeroed */
char *arena_dup(struct arena *a, const char *s, size_t n); /* adds a NUL */
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void arena_finish(struct arena *a);
