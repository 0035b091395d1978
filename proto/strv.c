#include "strv.h"

#include "buf.h"
#include "mem.h"

#include <string.h>

#define STRV_FIRST_CAP 8

void strv_add(struct strv *v, const char *s)
{
	strv_add_take(v, xstrdup(s));
}

void strv_add_take(struct strv *v, char *s)
{
	if (v->n + 1 >= v->cap) {
		v->cap = v->cap ? v->cap * 2 : STRV_FIRST_CAP;
		v->items = xrealloc(v->items, v->cap, sizeof(*v->items));
	}
	v->items[v->n++] = s;
	v->items[v->n] = NULL;
}

void strv_addf(struct strv *v, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	strv_add_take(v, xvasprintf(fmt, ap));
	va_end(ap);
}

void strv_extend(struct strv *v, const struct strv *other)
{
	size_t n = other->n; /* v may be extended by itself */

	for (size_t i = 0; i < n; i++)
		strv_add(v, other->items[i]);
}

bool strv_contains(const struct strv *v, const char *s)
{
	for (size_t i = 0; i < v->n; i++)
		if (streq(v->items[i], s))
			return true;
	return false;
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void strv_sort(struct strv *v)
{
	if (v->n > 1)
		qsort(v->items, v->n, sizeof(*v->items), compare);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

void strv_split(struct strv *v, const char *s, char sep)
{
	for (;;) {
		const char *end = strchr(s, sep);
		const char *last = end ? end : s + strlen(s);
		const char *first = s;

		while (first < last && is_blank(*first))
			first++;
		while (last > first && is_blank(last[-1]))
			last--;
		if (last > first)
			strv_add_take(v, xstrndup(first, (size_t)(last - first)));
		if (!end || sep == '\0')
			return;
		s = end + 1;
	}
}

char *strv_join(const struct strv *v, const char *sep)
{
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < v->n; i++) {
		if (i > 0)
			buf_adds(&b, sep);
		buf_adds(&b, v->items[i]);
	}
	return buf_steal(&b);
}

void strv_finish(struct strv *v)
{
	for (size_t i = 0; i < v->n; i++)
		free(v->items[i]);
	free(v->items);
	*v = STRV_INIT;
}
