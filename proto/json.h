/*
 * JSON as a tree. Objects keep the order of their members, numbers the digits they were written
 * with. yajl parses; the tree and the writer are ours.
 *
 * Ownership: a tree owns its children. json_set and json_add take the value given (NULL: null);
 * everything returned by a json_get… function belongs to the tree. All getters accept NULL and give
 * "absent".
 */
#pragma once

#include "err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;

#define JSON_MAX_DEPTH 64
#define JSON_MAX_BYTES (8u << 20)
#define JSON_MAX_NODES 1000000u

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json_member {
	char *key;
	struct json *value;
};

/* Fields may be read directly; they are changed through the functions only. */
struct json {
	enum json_type type;
	bool boolean; /* BOOL */
	uint32_t n;   /* STRING, NUMBER: bytes of text; ARRAY, OBJECT: children */
	uint32_t cap;
	union {
		const char *text;    /* STRING (UTF-8, no U+0000), NUMBER: behind this, NUL-ended */
		struct json **items; /* ARRAY */
		struct json_member *members; /* OBJECT */
	};
};

/* Parses one JSON text. Refuses: more than JSON_MAX_BYTES, deeper than JSON_MAX_DEPTH, more than
 * JSON_MAX_NODES values, invalid UTF-8, a lone surrogate, U+0000 in strings, trailing text. A key
 * given twice: the last value wins. The error (ERR_PROTOCOL) tells the byte offset, never the
 * content. */
int json_parse(const char *text, size_t len, struct json **ret, struct err *err);
void json_free(struct json *j);
static inline void json_freep(struct json **j)
{
	json_free(*j);
}
#define _cleanup_json_ __attribute__((cleanup(json_freep)))

struct json *json_null(void);
struct json *json_bool(bool b);
struct json *json_int(int64_t i);
struct json *json_number(const char *digits); /* text must be a JSON number */
struct json *json_string(const char *s);      /* NULL gives json_null() */
struct json *json_stringn(const char *s, size_t n);
struct json *json_array(void);
struct json *json_object(void);
struct json *json_copy(const struct json *j);
bool json_equal(const struct json *a, const struct json *b); /* order of members matters not */

/* Objects. json_set replaces in place or appends. */
void json_set(struct json *obj, const char *key, struct json *take_value);
void json_unset(struct json *obj, const char *key);
struct json *json_get(const struct json *obj, const char *key);
/* As Go reads: the exact key, else the first that is equal without regard to (ASCII) case. */
struct json *json_get_fold(const struct json *obj, const char *key);
/* json_get_fold along a path of keys, ended by NULL. */
struct json *json_path(const struct json *obj, ...) __attribute__((sentinel));
static inline void json_set_str(struct json *obj, const char *key, const char *s)
{
	json_set(obj, key, json_string(s));
}

/* Arrays. */
void json_add(struct json *array, struct json *take_value);
struct json *json_at(const struct json *array, size_t i); /* NULL past the end */

/* Values: false or the fallback if absent or of another type. */
const char *json_str(const struct json *j, const char *fallback);
bool json_to_int(const struct json *j, int64_t *ret); /* integral and in range; 1e3 and 5.0 count */
int64_t json_int_or(const struct json *j, int64_t fallback);
bool json_bool_or(const struct json *j, bool fallback);
bool json_is(const struct json *j, enum json_type type);
unsigned json_depth(const struct json *j); /* 0 for a scalar, 1 for [] and {}, 2 for [[]] … */

/* Writing. Adds no newline at the end. */
enum json_style {
	JSON_COMPACT = 0,
	JSON_INDENT = 1 << 0,  /* 4 blanks a level, as Go's MarshalIndent: {} and [] stay closed */
	JSON_SORTED = 1 << 1,  /* members in byte order of their keys */
	JSON_HTMLSAFE = 1 << 2 /* < > & U+2028 U+2029 as \u003c …, as Go writes */
};
#define JSON_STORE (JSON_INDENT | JSON_HTMLSAFE)
void json_write(const struct json *j, unsigned style, struct buf *out);
char *json_to_string(const struct json *j, unsigned style); /* malloc'ed */

#define json_foreach(m, obj)                                                                    \
	for (const struct json_member *m = (obj) && (obj)->type == JSON_OBJECT ? (obj)->members \
									       : NULL,          \
				      *m##_end = m ? m + (obj)->n : NULL;                       \
		m < m##_end; m++)
