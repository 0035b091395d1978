/* Values as text: Go's package fmt. */
#pragma once

#include "buf.h"
#include "template.h"

#include <stdbool.h>

struct format {
	bool plus, minus, sharp, space, zero;
	bool plus_v, sharp_v; /* %+v, %#v: go down into values, unlike plus and sharp */
	bool erroring;        /* within %!d(…): no String methods */
	bool has_width, has_precision;
	int width, precision;
	struct buf *out;
};

/* One value by one verb; what cannot be shown so is shown as %!d(string=x). */
void format_value(struct format *f, uint32_t verb, const struct tmpl_value *v);
/* As %v has it. */
void format_plain(const struct tmpl_value *v, struct buf *out);
/* The same of what a pointer points to, without the &. */
void format_pointee(const struct tmpl_value *v, struct buf *out);

/* -1: more than `limit` bytes came of it. */
int format_printf(const char *s, size_t len, const struct tmpl_value *args, size_t n, size_t limit,
	struct buf *out);
/* print (blanks between what are no strings) and println (everywhere, and a newline). */
int format_print(const struct tmpl_value *args, size_t n, bool line, size_t limit, struct buf *out);

/* For one kind of value each; false: not with this verb. */
bool format_integer(struct format *f, uint32_t verb, uint64_t u, bool is_signed);
bool format_float(struct format *f, uint32_t verb, double d);
bool format_string(struct format *f, uint32_t verb, const char *s, size_t n);
/* Padded to the width. */
void format_pad(struct format *f, const char *s, size_t n);

/* The Go name of a value's type; of what is within an interface. */
const char *value_type_name(const struct tmpl_value *v);
static inline enum tmpl_kind value_kind(const struct tmpl_value *v)
{
	return v->type ? v->type->kind : TMPL_NONE;
}
/* Item i of a LIST; field i of a STRUCT; the value of a key of a MAP, TMPL_NONE without one. */
struct tmpl_value value_element(const struct tmpl_value *of, const struct json *j);
struct tmpl_value value_item(const struct tmpl_value *list, size_t i);
struct tmpl_value value_field(const struct tmpl_value *object, size_t i);
struct tmpl_value value_member(const struct tmpl_value *map, const char *key, size_t len);
struct tmpl_value value_string(const char *s, size_t n);
/* The members in the order of their keys; malloc'ed. */
const struct json_member **value_sorted(const struct tmpl_value *map);
/* Taken out of its interface: null is no value. */
struct tmpl_value value_unbox(struct tmpl_value v);
bool value_truth(const struct tmpl_value *v);
size_t value_len(const struct tmpl_value *v); /* STRING, LIST, MAP */
/* As encoding/json writes it; the caller frees. */
struct json *value_to_json(const struct tmpl_value *v);
