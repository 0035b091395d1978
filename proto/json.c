#include "json.h"

#include "mem.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define FIRST_CAP 4

static struct json *new_json(enum json_type type)
{
	struct json *j = xcalloc(1, sizeof(*j));

	j->type = type;
	return j;
}

static struct json *new_text(enum json_type type, const char *s, size_t n)
{
	assert(n < UINT32_MAX);
	struct json *j = xmalloc(sizeof(*j) + n + 1);
	char *text = (char *)(j + 1);

	*j = (struct json){.type = type, .n = (uint32_t)n, .text = text};
	memcpy(text, s, n);
	text[n] = '\0';
	return j;
}

struct json *json_null(void)
{
	return new_json(JSON_NULL);
}

struct json *json_bool(bool b)
{
	struct json *j = new_json(JSON_BOOL);

	j->boolean = b;
	return j;
}

struct json *json_int(int64_t i)
{
	char text[24];
	int n = snprintf(text, sizeof(text), "%" PRId64, i);

	return new_text(JSON_NUMBER, text, (size_t)n);
}

static const char *skip_digits(const char *s)
{
	while (*s >= '0' && *s <= '9')
		s++;
	return s;
}

static bool is_number(const char *s)
{
	const char *p;

	if (*s == '-')
		s++;
	p = skip_digits(s);
	if (p == s || (*s == '0' && p > s + 1))
		return false;
	if (*p == '.') {
		s = p + 1;
		p = skip_digits(s);
		if (p == s)
			return false;
	}
	if (*p == 'e' || *p == 'E') {
		s = p + 1;
		if (*s == '+' || *s == '-')
			s++;
		p = skip_digits(s);
		if (p == s)
			return false;
	}
	return *p == '\0';
}

struct json *json_number(const char *digits)
{
	assert(is_number(digits));
	return new_text(JSON_NUMBER, digits, strlen(digits));
}

struct json *json_string(const char *s)
{
	return s ? new_text(JSON_STRING, s, strlen(s)) : json_null();
}

struct json *json_stringn(const char *s, size_t n)
{
	return new_text(JSON_STRING, s, strnlen(s, n));
}

struct json *json_array(void)
{
	return new_json(JSON_ARRAY);
}

struct json *json_object(void)
{
	return new_json(JSON_OBJECT);
}

void json_free(struct json *j)
{
	if (!j)
		return;
	switch (j->type) {
	case JSON_ARRAY:
		for (size_t i = 0; i < j->n; i++)
			json_free(j->items[i]);
		free(j->items);
		break;
	case JSON_OBJECT:
		for (size_t i = 0; i < j->n; i++) {
			free(j->members[i].key);
			json_free(j->members[i].value);
		}
		free(j->members);
		break;
	case JSON_NULL:
	case JSON_BOOL:
	case JSON_NUMBER:
	case JSON_STRING: /* the text is behind it */
		break;
	}
	free(j);
}

static void add_member(struct json *obj, char *take_key, struct json *take_value)
{
	if (obj->n == obj->cap) {
		obj->cap = obj->cap ? obj->cap * 2 : FIRST_CAP;
		obj->members = xrealloc(obj->members, obj->cap, sizeof(*obj->members));
	}
	obj->members[obj->n++] = (struct json_member){take_key, take_value};
}

struct json *json_copy(const struct json *j)
{
	struct json *copy;

	if (!j)
		return NULL;
	switch (j->type) {
	case JSON_NUMBER:
	case JSON_STRING:
		return new_text(j->type, j->text, j->n);
	case JSON_BOOL:
		return json_bool(j->boolean);
	case JSON_ARRAY:
		copy = json_array();
		for (size_t i = 0; i < j->n; i++)
			json_add(copy, json_copy(j->items[i]));
		return copy;
	case JSON_OBJECT:
		copy = json_object();
		json_foreach (m, j)
			add_member(copy, xstrdup(m->key), json_copy(m->value));
		return copy;
	case JSON_NULL:
		break;
	}
	return json_null();
}

bool json_equal(const struct json *a, const struct json *b)
{
	if (!a || !b)
		return a == b;
	if (a->type != b->type)
		return false;
	switch (a->type) {
	case JSON_BOOL:
		return a->boolean == b->boolean;
	case JSON_NUMBER:
	case JSON_STRING:
		return a->n == b->n && memcmp(a->text, b->text, a->n) == 0;
	case JSON_ARRAY:
		if (a->n != b->n)
			return false;
		for (size_t i = 0; i < a->n; i++)
			if (!json_equal(a->items[i], b->items[i]))
				return false;
		return true;
	case JSON_OBJECT:
		if (a->n != b->n)
			return false;
		for (size_t i = 0; i < a->n; i++) {
			const struct json_member *m = &a->members[i];
			/* Most often both have the same order. */
			const struct json *other = streq(m->key, b->members[i].key)
							   ? b->members[i].value
							   : json_get(b, m->key);

			if (!json_equal(m->value, other))
				return false;
		}
		return true;
	case JSON_NULL:
		break;
	}
	return true;
}

static struct json_member *find(const struct json *obj, const char *key)
{
	if (!json_is(obj, JSON_OBJECT))
		return NULL;
	for (size_t i = 0; i < obj->n; i++)
		if (streq(obj->members[i].key, key))
			return &obj->members[i];
	return NULL;
}

void json_set(struct json *obj, const char *key, struct json *take_value)
{
	struct json_member *m = find(obj, key);

	assert(json_is(obj, JSON_OBJECT));
	if (!take_value)
		take_value = json_null();
	if (!m) {
		add_member(obj, xstrdup(key), take_value);
	} else if (m->value != take_value) {
		json_free(m->value);
		m->value = take_value;
	}
}

void json_unset(struct json *obj, const char *key)
{
	struct json_member *m = find(obj, key);
	size_t behind;

	if (!m)
		return;
	free(m->key);
	json_free(m->value);
	behind = obj->n - (size_t)(m - obj->members) - 1;
	memmove(m, m + 1, behind * sizeof(*m));
	obj->n--;
}

struct json *json_get(const struct json *obj, const char *key)
{
	struct json_member *m = find(obj, key);

	return m ? m->value : NULL;
}

struct json *json_get_fold(const struct json *obj, const char *key)
{
	struct json_member *exact = find(obj, key);

	if (exact)
		return exact->value;
	json_foreach (m, obj)
		if (strcasecmp(m->key, key) == 0)
			return m->value;
	return NULL;
}

struct json *json_path(const struct json *obj, ...)
{
	struct json *j = (struct json *)obj;
	const char *key;
	va_list ap;

	va_start(ap, obj);
	/* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): clang 14 misses the va_start */
	while (j && (key = va_arg(ap, const char *)))
		j = json_get_fold(j, key);
	va_end(ap);
	return j;
}

void json_add(struct json *array, struct json *take_value)
{
	assert(json_is(array, JSON_ARRAY));
	if (array->n == array->cap) {
		array->cap = array->cap ? array->cap * 2 : FIRST_CAP;
		array->items = xrealloc(array->items, array->cap, sizeof(*array->items));
	}
	array->items[array->n++] = take_value ? take_value : json_null();
}

struct json *json_at(const struct json *array, size_t i)
{
	return json_is(array, JSON_ARRAY) && i < array->n ? array->items[i] : NULL;
}

const char *json_str(const struct json *j, const char *fallback)
{
	return json_is(j, JSON_STRING) ? j->text : fallback;
}

/* The exponent behind the mantissa; saturates far outside of what matters. */
static int64_t exponent(const char *s)
{
	bool negative = false;
	int64_t e = 0;

	if (*s != 'e' && *s != 'E')
		return 0;
	s++;
	if (*s == '-' || *s == '+')
		negative = *s++ == '-';
	for (; *s; s++)
		if (e < 1000000000)
			e = e * 10 + (*s - '0');
	return negative ? -e : e;
}

/*
 * Works on the digits, so that nothing is rounded: the mantissa's digits from the first to the last
 * that is not 0 are the value's, and the rest moves the decimal point.
 */
bool json_to_int(const struct json *j, int64_t *ret)
{
	bool negative, frac = false;
	int64_t value = 0, zeros = 0, scale = 0;
	const char *s;

	if (!json_is(j, JSON_NUMBER))
		return false;
	s = j->text;
	negative = *s == '-';
	for (s += negative; *s == '.' || (*s >= '0' && *s <= '9'); s++) {
		if (*s == '.') {
			frac = true;
			continue;
		}
		scale -= frac;
		if (*s == '0') {
			zeros++;
			continue;
		}
		for (; zeros > 0 && value != 0; zeros--)
			if (__builtin_mul_overflow(value, 10, &value))
				return false;
		zeros = 0;
		if (__builtin_mul_overflow(value, 10, &value) ||
			__builtin_sub_overflow(value, *s - '0', &value))
			return false;
	}
	scale += zeros + exponent(s);
	if (value == 0)
		scale = 0;
	if (scale < 0)
		return false;
	for (; scale > 0; scale--)
		if (__builtin_mul_overflow(value, 10, &value))
			return false;
	if (!negative && __builtin_sub_overflow((int64_t)0, value, &value))
		return false;
	*ret = value;
	return true;
}

int64_t json_int_or(const struct json *j, int64_t fallback)
{
	int64_t value;

	return json_to_int(j, &value) ? value : fallback;
}

bool json_bool_or(const struct json *j, bool fallback)
{
	return json_is(j, JSON_BOOL) ? j->boolean : fallback;
}

unsigned json_depth(const struct json *j)
{
	unsigned deepest = 0;

	if (!json_is(j, JSON_ARRAY) && !json_is(j, JSON_OBJECT))
		return 0;
	for (size_t i = 0; i < j->n; i++) {
		const struct json *child =
			j->type == JSON_ARRAY ? j->items[i] : j->members[i].value;
		unsigned depth = json_depth(child);

		deepest = MAX(deepest, depth);
	}
	return deepest + 1;
}

bool json_is(const struct json *j, enum json_type type)
{
	return j && j->type == type;
}
