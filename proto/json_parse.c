/*
 * yajl finds the tokens; this file builds the tree and keeps the promises of json.h that yajl does
 * not make. yajl lets pass what is nearly UTF-8 (overlong forms, surrogates) and turns a lone
 * surrogate into '?', so the text is looked through for both first. Depth and number of values are
 * limited while parsing. A key given twice is only resolved when its object ends, by sorting, so
 * that an object of a million members costs n log n, not n².
 */
#include "json.h"

#include "mem.h"
#include "utf8.h"

#include <string.h>
#include <yajl/yajl_parse.h>

/* Objects up to this size are searched for doubles in place. */
#define SMALL_OBJECT 16

struct builder {
	struct json *root;
	struct json *open[JSON_MAX_DEPTH];
	char *keys[JSON_MAX_DEPTH]; /* read, waiting for its value; one per open object */
	unsigned depth;
	size_t nodes;
	const char *problem;
};

static int refuse(struct builder *b, const char *problem)
{
	b->problem = problem;
	return 0;
}

/* Links a value into what is open. Takes it. */
static int put(struct builder *b, struct json *j)
{
	struct json *parent = b->depth ? b->open[b->depth - 1] : NULL;

	if (!parent) {
		b->root = j;
	} else if (parent->type == JSON_ARRAY) {
		json_add(parent, j);
	} else {
		if (parent->n == parent->cap) {
			parent->cap = parent->cap ? parent->cap * 2 : 4;
			parent->members =
				xrealloc(parent->members, parent->cap, sizeof(*parent->members));
		}
		parent->members[parent->n++] = (struct json_member){take(b->keys[b->depth - 1]), j};
	}
	if (++b->nodes > JSON_MAX_NODES)
		return refuse(b, "too many values");
	return 1;
}

static int open_container(struct builder *b, struct json *take_container)
{
	int go_on = put(b, take_container);

	if (!go_on)
		return 0;
	if (b->depth == JSON_MAX_DEPTH)
		return refuse(b, "nested too deeply (J2)");
	b->open[b->depth++] = take_container;
	return 1;
}

static int on_null(void *ctx)
{
	return put(ctx, json_null());
}

static int on_boolean(void *ctx, int value)
{
	return put(ctx, json_bool(value != 0));
}

static int on_number(void *ctx, const char *digits, size_t n)
{
	struct json *j = json_stringn(digits, n);

	j->type = JSON_NUMBER;
	return put(ctx, j);
}

static int on_string(void *ctx, const unsigned char *s, size_t n)
{
	if (n > 0 && memchr(s, '\0', n))
		return refuse(ctx, "U+0000 in a string (J5)");
	return put(ctx, n > 0 ? json_stringn((const char *)s, n) : json_string(""));
}

static int on_key(void *ctx, const unsigned char *s, size_t n)
{
	struct builder *b = ctx;

	if (n > 0 && memchr(s, '\0', n))
		return refuse(b, "U+0000 in a string (J5)");
	b->keys[b->depth - 1] = n > 0 ? xstrndup((const char *)s, n) : xstrdup("");
	return 1;
}

static int on_start_map(void *ctx)
{
	return open_container(ctx, json_object());
}

static int on_start_array(void *ctx)
{
	return open_container(ctx, json_array());
}

/* The later of two members of one key gives its value to the earlier one and becomes empty. */
static void merge(struct json_member *first, struct json_member *later)
{
	json_free(first->value);
	first->value = take(later->value);
	free(later->key);
	later->key = NULL;
}

static int by_key_and_place(const void *a, const void *b)
{
	const struct json_member *x = *(struct json_member *const *)a;
	const struct json_member *y = *(struct json_member *const *)b;
	int order = strcmp(x->key, y->key);

	return order ? order : (x > y) - (x < y);
}

static bool merge_large(struct json *obj)
{
	struct json_member **order = xcalloc(obj->n, sizeof(*order));
	struct json_member *first;
	bool found = false;

	for (size_t i = 0; i < obj->n; i++)
		order[i] = &obj->members[i];
	qsort(order, obj->n, sizeof(*order), by_key_and_place);
	first = order[0];
	for (size_t i = 1; i < obj->n; i++) {
		if (streq(first->key, order[i]->key)) {
			merge(first, order[i]);
			found = true;
		} else {
			first = order[i];
		}
	}
	free(order);
	return found;
}

static bool merge_small(struct json *obj)
{
	bool found = false;

	for (size_t i = 1; i < obj->n; i++) {
		for (size_t k = 0; k < i; k++) {
			if (obj->members[k].key &&
				streq(obj->members[k].key, obj->members[i].key)) {
				merge(&obj->members[k], &obj->members[i]);
				found = true;
				break;
			}
		}
	}
	return found;
}

static void drop_merged(struct json *obj)
{
	uint32_t n = 0;

	for (size_t i = 0; i < obj->n; i++)
		if (obj->members[i].key)
			obj->members[n++] = obj->members[i];
	obj->n = n;
}

/* Trees are many and seldom grow once they are read: the room to grow is given back. */
static int on_end_map(void *ctx)
{
	struct builder *b = ctx;
	struct json *obj = b->open[--b->depth];

	if (obj->n > 1 && (obj->n <= SMALL_OBJECT ? merge_small(obj) : merge_large(obj)))
		drop_merged(obj);
	if (obj->n < obj->cap)
		obj->members = xrealloc(obj->members, obj->n, sizeof(*obj->members));
	obj->cap = obj->n;
	return 1;
}

static int on_end_array(void *ctx)
{
	struct builder *b = ctx;
	struct json *array = b->open[--b->depth];

	if (array->n < array->cap)
		array->items = xrealloc(array->items, array->n, sizeof(*array->items));
	array->cap = array->n;
	return 1;
}

static const yajl_callbacks callbacks = {
	.yajl_null = on_null,
	.yajl_boolean = on_boolean,
	.yajl_number = on_number,
	.yajl_string = on_string,
	.yajl_start_map = on_start_map,
	.yajl_map_key = on_key,
	.yajl_end_map = on_end_map,
	.yajl_start_array = on_start_array,
	.yajl_end_array = on_end_array,
};

static int hex4(const char *s, size_t n)
{
	int value = 0;

	if (n < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		char c = s[i];
		int digit = c >= '0' && c <= '9'   ? c - '0'
			    : c >= 'a' && c <= 'f' ? c - 'a' + 10
			    : c >= 'A' && c <= 'F' ? c - 'A' + 10
						   : -1;

		if (digit < 0)
			return -1;
		value = value * 16 + digit;
	}
	return value;
}

/* The length of the escape at s ("\n", "\u00e4", a pair of surrogates); 0 if it is broken. */
static size_t escape_length(const char *s, size_t n)
{
	int unit;

	if (n < 2)
		return 0;
	if (s[1] != 'u')
		return 2; /* yajl knows which letters are allowed */
	unit = hex4(s + 2, n - 2);
	if (unit < 0 || (unit >= 0xdc00 && unit <= 0xdfff))
		return 0;
	if (unit < 0xd800 || unit > 0xdbff)
		return 6;
	if (n < 12 || s[6] != '\\' || s[7] != 'u')
		return 0;
	unit = hex4(s + 8, n - 8);
	return unit >= 0xdc00 && unit <= 0xdfff ? 12 : 0;
}

/* A backslash is nowhere but in strings, if the text is JSON at all: no need to know where. */
static int check_text(const char *text, size_t len, struct err *err)
{
	for (size_t i = 0; i < len;) {
		size_t step = text[i] == '\\' ? escape_length(text + i, len - i)
					      : utf8_sequence(text + i, len - i);

		if (step == 0)
			return err_set(err, ERR_PROTOCOL, "JSON: %s at byte %zu",
				text[i] == '\\' ? "a broken escape" : "invalid UTF-8 (J2)", i);
		i += step;
	}
	return 0;
}

/* yajl's own words name what it expected, never the text. */
static int parse_failed(yajl_handle handle, const struct builder *b, size_t at, struct err *err)
{
	unsigned char *words;

	if (b->problem)
		return err_set(err, ERR_PROTOCOL, "JSON: %s at byte %zu", b->problem, at);
	words = yajl_get_error(handle, 0, NULL, 0);
	err_set(err, ERR_PROTOCOL, "JSON: %.*s at byte %zu",
		words ? (int)strcspn((char *)words, "\n") : 0, words ? (char *)words : "", at);
	if (words)
		yajl_free_error(handle, words);
	return -1;
}

int json_parse(const char *text, size_t len, struct json **ret, struct err *err)
{
	struct builder b = {0};
	yajl_handle handle;
	yajl_status status;
	size_t at = len; /* the text ends too early */

	if (len > JSON_MAX_BYTES)
		return err_set(err, ERR_PROTOCOL, "JSON: %zu bytes; at most %u are read", len,
			JSON_MAX_BYTES);
	if (check_text(text, len, err) < 0)
		return -1;
	handle = yajl_alloc(&callbacks, NULL, &b);
	if (!handle)
		abort();
	status = yajl_parse(handle, (const unsigned char *)text, len);
	if (status == yajl_status_ok)
		status = yajl_complete_parse(handle);
	else
		at = yajl_get_bytes_consumed(handle);
	if (status != yajl_status_ok)
		parse_failed(handle, &b, at, err);
	yajl_free(handle);
	if (status == yajl_status_ok && b.root) {
		*ret = b.root;
		return 0;
	}
	for (unsigned i = 0; i < JSON_MAX_DEPTH; i++)
		free(b.keys[i]);
	json_free(b.root);
	return status == yajl_status_ok ? err_set(err, ERR_PROTOCOL, "JSON: no value") : -1;
}
