/* The tree. Parsing and writing live in json_parse.c and json_write.c. */
#include "json.h"

#include "mem.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <strings.h>

static struct json *new_node(enum json_type type)
{
	struct json *j = xcalloc(1, sizeof(*j));

	j->type = type;
	return j;
}

struct json *json_null(void)
{
	return new_node(JSON_NULL);
}

struct json *json_bool(bool b)
{
	struct json *j = new_node(JSON_BOOL);

	j->boolean = b;
	return j;
}

static struct json *new_text(enum json_type type, const char *s, size_t n)
{
	struct json *j = new_node(type);

	j->text = xstrndup(s, n);
	j->n = n;
	return j;
}

struct json *json_number(const char *digits)
{
	return new_text(JSON_NUMBER, digits, strlen(digits));
}

struct json *json_int(int64_t i)
{
	_cleanup_free_ char *digits = xasprintf("%lld", (long long)i);

	return json_number(digits);
}

struct json *json_stringn(const char *s, size_t n)
{
	return new_text(JSON_STRING, s, n);
}

struct json *json_string(const char *s)
{
	return s ? json_stringn(s, strlen(s)) : json_null();
}

struct json *json_array(void)
{
	return new_node(JSON_ARRAY);
}

struct json *json_object(void)
{
	return new_node(JSON_OBJECT);
}

void json_free(struct json *j)
{
	if (!j)
		return;
	switch (j->type) {
	case JSON_STRING:
	case JSON_NUMBER:
		free(j->text);
		break;
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
		break;
	}
	free(j);
}

bool json_is(const struct json *j, enum json_type type)
{
	return j && j->type == type;
}

static void grow(struct json *j, size_t size)
{
	if (j->n < j->cap)
		return;
	j->cap = j->cap ? j->cap * 2 : 4;
	j->items = xrealloc(j->items, j->cap, size);
}

void json_add(struct json *array, struct json *take_value)
{
	grow(array, sizeof(struct json *));
	array->items[array->n++] = take_value;
}

struct json *json_at(const struct json *array, size_t i)
{
	return json_is(array, JSON_ARRAY) && i < array->n ? array->items[i] : NULL;
}

static struct json_member *find_member(const struct json *obj, const char *key)
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
	struct json_member *m = find_member(obj, key);

	if (m) {
		json_free(m->value);
		m->value = take_value;
		return;
	}
	grow(obj, sizeof(struct json_member));
	obj->members[obj->n++] = (struct json_member){xstrdup(key), take_value};
}

void json_unset(struct json *obj, const char *key)
{
	struct json_member *m = find_member(obj, key);

	if (!m)
		return;
	free(m->key);
	json_free(m->value);
	memmove(m, m + 1, (size_t)(obj->members + obj->n - (m + 1)) * sizeof(*m));
	obj->n--;
}

struct json *json_get(const struct json *obj, const char *key)
{
	const struct json_member *m = find_member(obj, key);

	return m ? m->value : NULL;
}

struct json *json_get_fold(const struct json *obj, const char *key)
{
	struct json *exact = json_get(obj, key);

	if (exact || !json_is(obj, JSON_OBJECT))
		return exact;
	for (size_t i = 0; i < obj->n; i++)
		if (strcasecmp(obj->members[i].key, key) == 0)
			return obj->members[i].value;
	return NULL;
}

struct json *json_path(const struct json *obj, ...)
{
	struct json *j = (struct json *)obj;
	const char *key;
	va_list ap;

	va_start(ap, obj);
	while (j && (key = va_arg(ap, const char *)))
		j = json_get_fold(j, key);
	va_end(ap);
	return j;
}

const char *json_str(const struct json *j, const char *fallback)
{
	return json_is(j, JSON_STRING) ? j->text : fallback;
}

/* Also 5.0 and 1e3: Go wrote some integers that way. Doubles hold integers exactly up to 2^53. */
static bool integral_double(const char *text, int64_t *ret)
{
	char *end;
	double d = strtod(text, &end);

	if (*end || d < -9007199254740992.0 || d > 9007199254740992.0 || d != (double)(int64_t)d)
		return false;
	*ret = (int64_t)d;
	return true;
}

bool json_to_int(const struct json *j, int64_t *ret)
{
	char *end;

	if (!json_is(j, JSON_NUMBER))
		return false;
	errno = 0;
	long long v = strtoll(j->text, &end, 10);
	if (*end)
		return integral_double(j->text, ret);
	if (errno)
		return false;
	*ret = v;
	return true;
}

int64_t json_int_or(const struct json *j, int64_t fallback)
{
	int64_t v;

	return json_to_int(j, &v) ? v : fallback;
}

bool json_bool_or(const struct json *j, bool fallback)
{
	return json_is(j, JSON_BOOL) ? j->boolean : fallback;
}

struct json *json_copy(const struct json *j)
{
	if (!j)
		return NULL;
	struct json *c = new_node(j->type);
	c->boolean = j->boolean;
	switch (j->type) {
	case JSON_STRING:
	case JSON_NUMBER:
		c->text = xstrndup(j->text, j->n);
		c->n = j->n;
		break;
	case JSON_ARRAY:
		for (size_t i = 0; i < j->n; i++)
			json_add(c, json_copy(j->items[i]));
		break;
	case JSON_OBJECT:
		for (size_t i = 0; i < j->n; i++) {
			grow(c, sizeof(struct json_member));
			c->members[c->n++] = (struct json_member){
				xstrdup(j->members[i].key), json_copy(j->members[i].value)};
		}
		break;
	case JSON_NULL:
	case JSON_BOOL:
		break;
	}
	return c;
}

static bool equal_objects(const struct json *a, const struct json *b)
{
	for (size_t i = 0; i < a->n; i++) {
		/* the same place is the common case */
		const struct json *other = streq(a->members[i].key, b->members[i].key)
						   ? b->members[i].value
						   : json_get(b, a->members[i].key);
		if (!other || !json_equal(a->members[i].value, other))
			return false;
	}
	return true;
}

bool json_equal(const struct json *a, const struct json *b)
{
	if (!a || !b)
		return a == b;
	if (a->type != b->type || (a->type != JSON_BOOL && a->n != b->n))
		return false;
	switch (a->type) {
	case JSON_NULL:
		return true;
	case JSON_BOOL:
		return a->boolean == b->boolean;
	case JSON_STRING:
	case JSON_NUMBER:
		return memcmp(a->text, b->text, a->n) == 0;
	case JSON_ARRAY:
		for (size_t i = 0; i < a->n; i++)
			if (!json_equal(a->items[i], b->items[i]))
				return false;
		return true;
	case JSON_OBJECT:
		return equal_objects(a, b);
	}
	return false;
}
