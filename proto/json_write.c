#include "json.h"

#include "buf.h"
#include "mem.h"
#include "utf8.h"

#include <string.h>

#define INDENT 4

struct writer {
	struct buf *out;
	unsigned style;
	unsigned depth;
};

static void new_line(struct writer *w)
{
	if (!(w->style & JSON_INDENT))
		return;
	buf_addc(w->out, '\n');
	for (unsigned i = 0; i < w->depth * INDENT; i++)
		buf_addc(w->out, ' ');
}

static void escape_ascii(struct buf *out, char c)
{
	switch (c) {
	case '"':
	case '\\':
		buf_addc(out, '\\');
		buf_addc(out, c);
		break;
	case '\n':
		buf_adds(out, "\\n");
		break;
	case '\r':
		buf_adds(out, "\\r");
		break;
	case '\t':
		buf_adds(out, "\\t");
		break;
	default:
		buf_addf(out, "\\u%04x", (unsigned)c);
	}
}

/* The escape that a sequence of two bytes or more needs, or NULL. */
static const char *escape_wide(const char *s, size_t len, unsigned style)
{
	if (len == 0)
		return "\\ufffd";
	if (!(style & JSON_HTMLSAFE) || len != 3 || memcmp(s, "\xe2\x80", 2) != 0)
		return NULL;
	return s[2] == '\xa8' ? "\\u2028" : s[2] == '\xa9' ? "\\u2029" : NULL;
}

/* Whatever the bytes, what comes out is valid JSON: bytes that are no UTF-8 become U+FFFD. */
static void write_string(struct writer *w, const char *s, size_t n)
{
	size_t plain = 0;

	buf_addc(w->out, '"');
	for (size_t i = 0; i < n;) {
		size_t len = utf8_sequence(s + i, n - i);
		bool ascii = len == 1;
		bool escaped = ascii && ((unsigned char)s[i] < 0x20 || s[i] == '"' || s[i] == '\\');
		const char *wide = ascii ? NULL : escape_wide(s + i, len, w->style);

		if (ascii && (w->style & JSON_HTMLSAFE))
			escaped = escaped || s[i] == '<' || s[i] == '>' || s[i] == '&';
		if (escaped || wide) {
			buf_add(w->out, s + plain, i - plain);
			if (wide)
				buf_adds(w->out, wide);
			else
				escape_ascii(w->out, s[i]);
		}
		i += len ? len : 1;
		if (escaped || wide)
			plain = i;
	}
	buf_add(w->out, s + plain, n - plain);
	buf_addc(w->out, '"');
}

static void write_value(struct writer *w, const struct json *j);

static void write_array(struct writer *w, const struct json *j)
{
	buf_addc(w->out, '[');
	w->depth++;
	for (size_t i = 0; i < j->n; i++) {
		if (i > 0)
			buf_addc(w->out, ',');
		new_line(w);
		write_value(w, j->items[i]);
	}
	w->depth--;
	if (j->n > 0)
		new_line(w);
	buf_addc(w->out, ']');
}

static int by_key(const void *a, const void *b)
{
	const struct json_member *const *x = a, *const *y = b;

	return strcmp((*x)->key, (*y)->key);
}

static const struct json_member **member_order(const struct json *j, unsigned style)
{
	const struct json_member **order = xcalloc(j->n, sizeof(*order));

	for (size_t i = 0; i < j->n; i++)
		order[i] = &j->members[i];
	if (style & JSON_SORTED)
		qsort(order, j->n, sizeof(*order), by_key);
	return order;
}

static void write_object(struct writer *w, const struct json *j)
{
	const struct json_member **order = member_order(j, w->style);

	buf_addc(w->out, '{');
	w->depth++;
	for (size_t i = 0; i < j->n; i++) {
		if (i > 0)
			buf_addc(w->out, ',');
		new_line(w);
		write_string(w, order[i]->key, strlen(order[i]->key));
		buf_adds(w->out, w->style & JSON_INDENT ? ": " : ":");
		write_value(w, order[i]->value);
	}
	w->depth--;
	if (j->n > 0)
		new_line(w);
	buf_addc(w->out, '}');
	free(order);
}

static void write_value(struct writer *w, const struct json *j)
{
	switch (j->type) {
	case JSON_NULL:
		buf_adds(w->out, "null");
		break;
	case JSON_BOOL:
		buf_adds(w->out, j->boolean ? "true" : "false");
		break;
	case JSON_NUMBER:
		buf_add(w->out, j->text, j->n);
		break;
	case JSON_STRING:
		write_string(w, j->text, j->n);
		break;
	case JSON_ARRAY:
		write_array(w, j);
		break;
	case JSON_OBJECT:
		write_object(w, j);
		break;
	}
}

void json_write(const struct json *j, unsigned style, struct buf *out)
{
	struct writer w = {.out = out, .style = style};

	if (j)
		write_value(&w, j);
	else
		buf_adds(out, "null");
}

char *json_to_string(const struct json *j, unsigned style)
{
	struct buf b = BUF_INIT;

	json_write(j, style, &b);
	return buf_steal(&b);
}
