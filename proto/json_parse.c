/*
 * yajl reads; this builds the tree and holds the limits that yajl does not know: depth, number of
 * values, NUL and lone surrogates in strings. yajl replaces a lone surrogate by '?', so escapes are
 * checked in the text before it is parsed.
 */
#include "json.h"
#include "mem.h"

#include <string.h>
#include <yajl/yajl_parse.h>

struct builder {
	struct json *root;
	struct json *open[JSON_MAX_DEPTH];
	char *keys[JSON_MAX_DEPTH]; /* pending key of each open object */
	unsigned depth;
	size_t nodes;
	const char *refused;
};

static int refuse(struct builder *b, const char *why)
{
	b->refused = why;
	return 0;
}

static void append_member(struct json *obj, char *take_key, struct json *value)
{
	if (obj->n == obj->cap) {
		obj->cap = obj->cap ? obj->cap * 2 : 4;
		obj->members = xrealloc(obj->members, obj->cap, sizeof(*obj->members));
	}
	obj->members[obj->n++] = (struct json_member){take_key, value};
}

static int add(struct builder *b, struct json *value)
{
	if (++b->nodes > JSON_MAX_NODES) {
		json_free(value);
		return refuse(b, "too many values");
	}
	if (!b->depth) {
		b->root = value;
		return 1;
	}
	struct json *parent = b->open[b->depth - 1];
	if (parent->type == JSON_ARRAY)
		json_add(parent, value);
	else
		append_member(parent, take(b->keys[b->depth - 1]), value);
	return 1;
}

static int open_node(struct builder *b, struct json *node)
{
	if (b->depth == JSON_MAX_DEPTH) {
		json_free(node);
		return refuse(b, "nested too deep");
	}
	if (!add(b, node))
		return 0;
	b->open[b->depth++] = node;
	return 1;
}

static int on_null(void *ctx)
{
	return add(ctx, json_null());
}

static int on_bool(void *ctx, int value)
{
	return add(ctx, json_bool(value != 0));
}

static int on_number(void *ctx, const char *s, size_t n)
{
	_cleanup_free_ char *digits = xstrndup(s, n);

	return add(ctx, json_number(digits));
}

static int on_string(void *ctx, const unsigned char *s, size_t n)
{
	if (memchr(s, '\0', n))
		return refuse(ctx, "a string holds U+0000");
	return add(ctx, json_stringn((const char *)s, n));
}

static int on_key(void *ctx, const unsigned char *s, size_t n)
{
	struct builder *b = ctx;

	if (memchr(s, '\0', n))
		return refuse(b, "a key holds U+0000");
	b->keys[b->depth - 1] = xstrndup((const char *)s, n);
	return 1;
}

static int on_start_map(void *ctx)
{
	return open_node(ctx, json_object());
}

static int on_start_array(void *ctx)
{
	return open_node(ctx, json_array());
}

struct indexed {
	const char *key;
	size_t i;
};

static int by_key_then_place(const void *a, const void *b)
{
	const struct indexed *x = a, *y = b;
	int c = strcmp(x->key, y->key);

	return c ? c : (x->i > y->i) - (x->i < y->i);
}

/* A key given twice keeps its first place and its last value. */
static void drop_duplicates(struct json *obj)
{
	struct indexed *order = xcalloc(obj->n + 1, sizeof(*order));
	bool any = false;

	for (size_t i = 0; i < obj->n; i++)
		order[i] = (struct indexed){obj->members[i].key, i};
	qsort(order, obj->n, sizeof(*order), by_key_then_place);
	for (size_t i = 1, first = 0; i < obj->n; i++) {
		if (!streq(order[i].key, order[first].key)) {
			first = i;
			continue;
		}
		struct json_member *kept = &obj->members[order[first].i];
		struct json_member *again = &obj->members[order[i].i];
		json_free(kept->value);
		kept->value = take(again->value);
		any = true;
	}
	size_t n = 0;
	for (size_t i = 0; any && i < obj->n; i++) {
		if (obj->members[i].value)
			obj->members[n++] = obj->members[i];
		else
			free(obj->members[i].key);
	}
	if (any)
		obj->n = n;
	free(order);
}

static int on_end(void *ctx)
{
	struct builder *b = ctx;
	struct json *node = b->open[--b->depth];

	if (node->type == JSON_OBJECT && node->n > 1)
		drop_duplicates(node);
	return 1;
}

static const yajl_callbacks callbacks = {
	.yajl_null = on_null,
	.yajl_boolean = on_bool,
	.yajl_number = on_number,
	.yajl_string = on_string,
	.yajl_start_map = on_start_map,
	.yajl_map_key = on_key,
	.yajl_end_map = on_end,
	.yajl_start_array = on_start_array,
	.yajl_end_array = on_end,
};

static int hex4(const char *s, const char *end)
{
	int v = 0;

	if (end - s < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		char c = s[i];
		int d = c >= '0' && c <= '9'   ? c - '0'
			: c >= 'a' && c <= 'f' ? c - 'a' + 10
			: c >= 'A' && c <= 'F' ? c - 'A' + 10
					       : -1;
		if (d < 0)
			return -1;
		v = v * 16 + d;
	}
	return v;
}

/* Offset of a \u escape that is half of a pair, or -1. Backslashes occur in strings only, or the
 * text is no JSON anyway. */
static ssize_t lone_surrogate(const char *text, size_t len)
{
	const char *end = text + len;

	for (const char *s = text; (s = memchr(s, '\\', (size_t)(end - s)));) {
		if (end - s < 2)
			return -1;
		if (s[1] != 'u') {
			s += 2;
			continue;
		}
		int v = hex4(s + 2, end);
		if (v >= 0xdc00 && v <= 0xdfff)
			return s - text;
		if (v >= 0xd800 && v <= 0xdbff) {
			int low = end - s >= 12 && s[6] == '\\' && s[7] == 'u' ? hex4(s + 8, end)
									       : -1;
			if (low < 0xdc00 || low > 0xdfff)
				return s - text;
			s += 6;
		}
		s += MIN((ptrdiff_t)6, end - s);
	}
	return -1;
}

/* yajl takes a byte order mark for a lexical error; it does check the encoding, overlong forms and
 * surrogates in UTF-8 it does not. */
static ssize_t bad_utf8(const unsigned char *s, size_t len)
{
	for (size_t i = 0; i < len;) {
		unsigned char c = s[i];
		size_t more = c < 0x80                ? 0
			      : c >= 0xc2 && c < 0xe0 ? 1
			      : c >= 0xe0 && c < 0xf0 ? 2
			      : c >= 0xf0 && c < 0xf5 ? 3
						      : 4;
		if (more == 4 || i + more >= len)
			return (ssize_t)i;
		for (size_t k = 1; k <= more; k++)
			if ((s[i + k] & 0xc0) != 0x80)
				return (ssize_t)i;
		if ((c == 0xe0 && s[i + 1] < 0xa0) || (c == 0xed && s[i + 1] > 0x9f) ||
			(c == 0xf0 && s[i + 1] < 0x90) || (c == 0xf4 && s[i + 1] > 0x8f))
			return (ssize_t)i;
		i += more + 1;
	}
	return -1;
}

static int check_text(const char *text, size_t len, struct err *err)
{
	ssize_t at;

	if (len > JSON_MAX_BYTES)
		return err_set(err, ERR_PROTOCOL, "JSON text of %zu bytes is more than %u", len,
			JSON_MAX_BYTES);
	if ((at = bad_utf8((const unsigned char *)text, len)) >= 0)
		return err_set(err, ERR_PROTOCOL, "invalid UTF-8 at byte %zd", at);
	if ((at = lone_surrogate(text, len)) >= 0)
		return err_set(err, ERR_PROTOCOL, "half of a surrogate pair at byte %zd", at);
	return 0;
}

int json_parse(const char *text, size_t len, struct json **ret, struct err *err)
{
	struct builder b = {0};

	if (check_text(text, len, err) < 0)
		return -1;
	yajl_handle h = yajl_alloc(&callbacks, NULL, &b);
	yajl_status status = yajl_parse(h, (const unsigned char *)text, len);
	size_t at = yajl_get_bytes_consumed(h);
	if (status == yajl_status_ok)
		status = yajl_complete_parse(h);
	yajl_free(h);
	for (unsigned i = 0; i < JSON_MAX_DEPTH; i++)
		free(b.keys[i]);
	if (status == yajl_status_ok && b.root && !b.depth) {
		*ret = b.root;
		return 0;
	}
	json_free(b.root);
	return err_set(err, ERR_PROTOCOL, "%s at byte %zu", b.refused ? b.refused : "not JSON", at);
}
