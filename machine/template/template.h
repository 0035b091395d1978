/*
 * Templates in the language of Go's text/template: what `inspect -f` and `ls --format` are given.
 *
 * All of the language is there but complex numbers, `call` and methods with arguments. Beside Go's
 * own functions: json, prettyjson, join, split, lower, upper, title, pad, truncate. An error has
 * the code ERR_USER and Go's text: `template: :1:2: executing "" at <.X>: can't evaluate …`.
 *
 * Ownership: a template copies its text. Values are small and passed by value; what they point to
 * is borrowed and has to outlive the call that they are given to. Output that was made before an
 * error stays in the buffer.
 *
 * The limits hold for whatever template: an error tells which one was met.
 */
#pragma once

#include "buf.h"
#include "err.h"
#include "json.h"

#define TEMPLATE_MAX_BYTES (64u << 10)          /* of its text */
#define TEMPLATE_MAX_NODES 20000u               /* of the tree */
#define TEMPLATE_MAX_NESTING 32u                /* of blocks and parentheses, as written */
#define TEMPLATE_MAX_DEPTH 48u                  /* of blocks, calls and parentheses, as executed */
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION /* many short runs rather than few long ones */
#define TEMPLATE_MAX_STEPS 10000u
#define TEMPLATE_MAX_OUTPUT (64u << 10)
#else
#define TEMPLATE_MAX_STEPS 1000000u    /* nodes executed, and 64 bytes that a function reads */
#define TEMPLATE_MAX_OUTPUT (8u << 20) /* bytes that one execution writes, or one function */
#endif
#define TEMPLATE_MAX_MEMORY (32u << 20)   /* bytes that its intermediate values take */
#define TEMPLATE_MAX_FORMAT_WIDTH 1000000 /* of a number in a format: as in Go */

enum tmpl_kind {
	TMPL_NONE, /* no value: a key that is not there */
	TMPL_NIL,  /* null */
	TMPL_BOOL,
	TMPL_INT,
	TMPL_UINT,
	TMPL_FLOAT,
	TMPL_STRING,
	TMPL_LIST,
	TMPL_MAP,
	TMPL_STRUCT
};

struct tmpl_value {
	const struct tmpl_type *type; /* NULL: no value */
	bool boxed;                   /* an interface {} holds it: error texts say so */
	size_t n;                     /* STRING: bytes; LIST: items */
	union {
		bool b;
		int64_t i;
		uint64_t u;
		const char *s;
		struct json *const *items;
		const struct json *map;
		const void *object;
		struct {
			double f;
			const char *digits; /* as written in JSON, or NULL */
		};
	};
};

/* What Go would call the type of a value. Static data. */
struct tmpl_type {
	const char *name; /* "commands.HostListItem" */
	enum tmpl_kind kind;
	bool pointer;                 /* STRUCT: a value is a pointer to one; the name says so */
	const struct tmpl_type *elem; /* LIST, MAP; NULL: interface {} */
	/* STRUCT: its fields in order, and how to read one of an object */
	const struct tmpl_field *fields;
	size_t n_fields;
	void (*get)(const void *object, size_t field, struct tmpl_value *ret);
	/* INT: its String method, which printing uses, and methods that give a number */
	void (*text)(int64_t i, struct buf *out);
	double (*number)(int64_t i, const char *method, size_t len, bool *found);
};

struct tmpl_field {
	const char *name;
	const struct tmpl_type *type; /* for the getter's use */
	const char *alias;            /* another name for it, or NULL */
};

extern const struct tmpl_type tmpl_bool, tmpl_int, tmpl_uint8, tmpl_float, tmpl_string, tmpl_list,
	tmpl_strings, tmpl_map, tmpl_string_map, tmpl_nil, tmpl_duration;

/* A JSON value as Go decodes it: map[string]interface {}, []interface {}, float64, … NULL: none. */
struct tmpl_value tmpl_json(const struct json *j);
/* JSON that is known to be of a type: []string, map[string]string, int, …; anything else, or NULL,
 * gives the type's empty value. Not for STRUCT. */
struct tmpl_value tmpl_typed(const struct tmpl_type *type, const struct json *j);
struct tmpl_value tmpl_str(const char *s); /* NULL: "" */
struct tmpl_value tmpl_integer(const struct tmpl_type *type, int64_t i);
struct tmpl_value tmpl_boolean(bool b);
struct tmpl_value tmpl_object(const struct tmpl_type *type, const void *object);

enum template_flags {
	/* A JSON number compares with integers, which Go calls incompatible with a float64. */
	TEMPLATE_NUMBERS_MEET = 1 << 0
};

struct template;
int template_parse(
	const char *text, size_t len, unsigned flags, struct template **ret, struct err *err);
void template_free(struct template *t);
static inline void template_freep(struct template **t)
{
	template_free(*t);
}
#define _cleanup_template_ __attribute__((cleanup(template_freep)))

/* Appends to out. */
int template_execute(
	const struct template *t, struct tmpl_value data, struct buf *out, struct err *err);
/* May executing it read this field of the data? True also where that cannot be told. */
bool template_uses(const struct template *t, const char *field);
