/* A list of strings, NULL-terminated for exec and friends. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct strv {
	char **items; /* NULL when empty and never added to; else items[n] is NULL */
	size_t n;
	size_t cap;
};

#define STRV_INIT ((struct strv){0})

void strv_add(struct strv *v, const char *s); /* copies */
void strv_add_take(struct strv *v, char *s);  /* takes ownership */
void strv_addf(struct strv *v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void strv_extend(struct strv *v, const struct strv *other);
bool strv_contains(const struct strv *v, const char *s);
void strv_sort(struct strv *v); /* byte order */
void strv_split(struct strv *v, const char *s,
	char sep); /* adds the parts, blanks trimmed, empty ones dropped */
char *strv_join(const struct strv *v, const char *sep); /* malloc'ed */
void strv_finish(struct strv *v);

#define strv_foreach(s, v)                                     \
	for (size_t i_##s = 0; i_##s < (v)->n; i_##s = (v)->n) \
		for (const char *s; i_##s < (v)->n && ((s = (v)->items[i_##s]), true); i_##s++)

#define _cleanup_strv_ __attribute__((cleanup(strv_finish)))
