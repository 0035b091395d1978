#include "buf.h"
#include "json.h"
#include "mem.h"

#include <stdio.h>
#include <string.h>

/* U+2028 and U+2029, which Go escapes for the sake of JavaScript, are E2 80 A8 and E2 80 A9. */
static bool is_line_separator(const char *s, size_t left)
{
	return left >= 3 && memcmp(s, "\xe2\x80", 2) == 0 && ((unsigned char)s[2] & 0xfe) == 0xa8;
}

static void write_escape(unsigned char c, struct buf *out)
{
	switch (c) {
	case '"':
		buf_adds(out, "\\\"");
		break;
	case '\\':
		buf_adds(out, "\\\\");
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
		buf_addf(out, "\\u%04x", c);
	}
}

static void write_string(const char *s, size_t n, unsigned style, struct buf *out)
{
	bool html = style & JSON_HTMLSAFE;
	size_t from = 0;

	buf_addc(out, '"');
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];
		bool separator = html && is_line_separator(s + i, n - i);
		if (c >= 0x20 && c != '"' && c != '\\' && !separator &&
			!(html && (c == '<' || c == '>' || c == '&')))
			continue;
		buf_add(out, s + from, i - from);
		if (separator) {
			buf_addf(out, "\\u202%c", (unsigned char)s[i + 2] == 0xa8 ? '8' : '9');
			i += 2;
		} else {
			write_escape(c, out);
		}
		from = i + 1;
	}
	buf_add(out, s + from, n - from);
	buf_addc(out, '"');
}

static void new_line(unsigned style, unsigned depth, struct buf *out)
{
	if (!(style & JSON_INDENT))
		return;
	buf_addc(out, '\n');
	for (unsigned i = 0; i < depth; i++)
		buf_adds(out, "    ");
}

static void write_value(const struct json *j, unsigned style, unsigned depth, struct buf *out);

static int by_key(const void *a, const void *b)
{
	const struct json_member *const *x = a, *const *y = b;

	return strcmp((*x)->key, (*y)->key);
}

static void write_object(const struct json *j, unsigned style, unsigned depth, struct buf *out)
{
	const struct json_member **order = xcalloc(j->n + 1, sizeof(const struct json_member *));

	for (size_t i = 0; i < j->n; i++)
		order[i] = &j->members[i];
	if (style & JSON_SORTED)
		qsort(order, j->n, sizeof(*order), by_key);
	buf_addc(out, '{');
	for (size_t i = 0; i < j->n; i++) {
		if (i)
			buf_addc(out, ',');
		new_line(style, depth + 1, out);
		write_string(order[i]->key, strlen(order[i]->key), style, out);
		buf_adds(out, style & JSON_INDENT ? ": " : ":");
		write_value(order[i]->value, style, depth + 1, out);
	}
	if (j->n)
		new_line(style, depth, out);
	buf_addc(out, '}');
	free(order);
}

static void write_array(const struct json *j, unsigned style, unsigned depth, struct buf *out)
{
	buf_addc(out, '[');
	for (size_t i = 0; i < j->n; i++) {
		if (i)
			buf_addc(out, ',');
		new_line(style, depth + 1, out);
		write_value(j->items[i], style, depth + 1, out);
	}
	if (j->n)
		new_line(style, depth, out);
	buf_addc(out, ']');
}

static void write_value(const struct json *j, unsigned style, unsigned depth, struct buf *out)
{
	switch (j->type) {
	case JSON_NULL:
		buf_adds(out, "null");
		break;
	case JSON_BOOL:
		buf_adds(out, j->boolean ? "true" : "false");
		break;
	case JSON_NUMBER:
		buf_add(out, j->text, j->n);
		break;
	case JSON_STRING:
		write_string(j->text, j->n, style, out);
		break;
	case JSON_ARRAY:
		write_array(j, style, depth, out);
		break;
	case JSON_OBJECT:
		write_object(j, style, depth, out);
		break;
	}
}

void json_write(const struct json *j, unsigned style, struct buf *out)
{
	if (j)
		write_value(j, style, 0, out);
	else
		buf_adds(out, "null");
}

char *json_to_string(const struct json *j, unsigned style)
{
	struct buf b = BUF_INIT;

	json_write(j, style, &b);
	return buf_steal(&b);
}
