/* Values by verbs, from the outside in; and print, println, printf. */
#include "format.h"

#include "chars.h"
#include "mem.h"

#include <string.h>

static void add_bad_verb(struct format *f, uint32_t verb, const struct tmpl_value *v);
static void add_value(struct format *f, uint32_t verb, const struct tmpl_value *v, unsigned depth);

static void add_hex(struct format *f, const char *s, size_t n, bool upper)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	const char *set = upper ? "0123456789ABCDEF" : "0123456789abcdef";

	if (f->has_precision)
		n = MIN(n, (size_t)f->precision);
	for (size_t i = 0; i < n; i++) {
		if (i && f->space)
			buf_addc(&b, ' ');
		if (f->sharp && (f->space || !i))
			buf_adds(&b, upper ? "0X" : "0x");
		buf_addc(&b, set[(unsigned char)s[i] >> 4]);
		buf_addc(&b, set[(unsigned char)s[i] & 15]);
	}
	format_pad(f, buf_str(&b), b.len);
}

/* Can it stand between backquotes? */
static bool can_backquote(const char *s, size_t n)
{
	size_t len;

	for (size_t i = 0; i < n; i += len) {
		uint32_t rune = char_decode(s + i, n - i, &len);
		if ((rune == RUNE_ERROR && len == 1) || rune == 0xfeff || rune == '`' ||
			rune == 0x7f || (rune < ' ' && rune != '\t'))
			return false;
	}
	return true;
}

static void add_quoted(struct format *f, const char *s, size_t n)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	if (f->has_precision)
		n = char_prefix(s, n, (size_t)f->precision);
	if (f->sharp && can_backquote(s, n)) {
		buf_addc(&b, '`');
		buf_add(&b, s, n);
		buf_addc(&b, '`');
	} else {
		char_add_quoted(s, n, '"', f->plus ? QUOTE_ASCII : QUOTE_UTF8, &b);
	}
	format_pad(f, buf_str(&b), b.len);
}

bool format_string(struct format *f, uint32_t verb, const char *s, size_t n)
{
	switch (verb) {
	case 'v':
		if (f->sharp_v) {
			add_quoted(f, s, n);
			return true;
		}
		/* fall through */
	case 's':
		if (f->has_precision)
			n = char_prefix(s, n, (size_t)f->precision);
		format_pad(f, s, n);
		return true;
	case 'x':
	case 'X':
		add_hex(f, s, n, verb == 'X');
		return true;
	case 'q':
		add_quoted(f, s, n);
		return true;
	default:
		return false;
	}
}

static bool add_int(struct format *f, uint32_t verb, const struct tmpl_value *v)
{
	_cleanup_buf_ struct buf text = BUF_INIT;

	if (!v->type->text || f->erroring || f->sharp_v || verb >= 0x80 ||
		!strchr("vsxXq", (int)verb))
		return format_integer(f, verb, (uint64_t)v->i, true);
	v->type->text(v->i, &text);
	return format_string(f, verb, buf_str(&text), text.len);
}

static bool add_scalar(struct format *f, uint32_t verb, const struct tmpl_value *v)
{
	switch (v->type->kind) {
	case TMPL_BOOL:
		if (verb != 'v' && verb != 't')
			return false;
		format_pad(f, v->b ? "true" : "false", v->b ? 4 : 5);
		return true;
	case TMPL_INT:
		return add_int(f, verb, v);
	case TMPL_UINT:
		return format_integer(f, verb, v->u, false);
	case TMPL_FLOAT:
		return format_float(f, verb, v->f);
	default:
		return format_string(f, verb, v->s, v->n);
	}
}

static void add_list(struct format *f, uint32_t verb, const struct tmpl_value *v, unsigned depth)
{
	if (f->sharp_v) {
		buf_adds(f->out, v->type->name);
		if (!v->items) {
			buf_adds(f->out, "(nil)");
			return;
		}
	}
	buf_addc(f->out, f->sharp_v ? '{' : '[');
	for (size_t i = 0; i < v->n; i++) {
		struct tmpl_value item = value_item(v, i);
		if (i)
			buf_adds(f->out, f->sharp_v ? ", " : " ");
		add_value(f, verb, &item, depth + 1);
	}
	buf_addc(f->out, f->sharp_v ? '}' : ']');
}

static void add_map(struct format *f, uint32_t verb, const struct tmpl_value *v, unsigned depth)
{
	const struct json_member **order = value_sorted(v);
	size_t n = value_len(v);

	buf_adds(f->out, f->sharp_v ? v->type->name : "map");
	buf_addc(f->out, f->sharp_v ? '{' : '[');
	for (size_t i = 0; i < n; i++) {
		struct tmpl_value key = tmpl_str(order[i]->key);
		struct tmpl_value value = value_element(v, order[i]->value);
		if (i)
			buf_adds(f->out, f->sharp_v ? ", " : " ");
		add_value(f, verb, &key, depth + 1);
		buf_addc(f->out, ':');
		add_value(f, verb, &value, depth + 1);
	}
	buf_addc(f->out, f->sharp_v ? '}' : ']');
	free(order);
}

static void add_struct(struct format *f, uint32_t verb, const struct tmpl_value *v, unsigned depth)
{
	if (v->type->pointer && depth == 0)
		buf_addc(f->out, '&');
	if (f->sharp_v)
		buf_adds(f->out, v->type->name + (v->type->pointer ? 1 : 0));
	buf_addc(f->out, '{');
	for (size_t i = 0; i < v->type->n_fields; i++) {
		struct tmpl_value field = value_field(v, i);
		if (i)
			buf_adds(f->out, f->sharp_v ? ", " : " ");
		if (f->plus_v || f->sharp_v)
			buf_addf(f->out, "%s:", v->type->fields[i].name);
		add_value(f, verb, &field, depth + 1);
	}
	buf_addc(f->out, '}');
}

static void add_value(struct format *f, uint32_t verb, const struct tmpl_value *v, unsigned depth)
{
	switch (value_kind(v)) {
	case TMPL_NONE:
	case TMPL_NIL:
		buf_adds(f->out, f->sharp_v ? "interface {}(nil)" : "<nil>");
		break;
	case TMPL_LIST:
		add_list(f, verb, v, depth);
		break;
	case TMPL_MAP:
		add_map(f, verb, v, depth);
		break;
	case TMPL_STRUCT:
		add_struct(f, verb, v, depth);
		break;
	default:
		if (!add_scalar(f, verb, v))
			add_bad_verb(f, verb, v);
	}
}

static void add_bad_verb(struct format *f, uint32_t verb, const struct tmpl_value *v)
{
	bool erroring = f->erroring;

	f->erroring = true;
	buf_adds(f->out, "%!");
	char_encode(verb, f->out);
	buf_addc(f->out, '(');
	if (value_unbox(*v).type) {
		buf_addf(f->out, "%s=", v->type->name);
		add_value(f, 'v', v, 0);
	} else {
		buf_adds(f->out, "<nil>");
	}
	buf_addc(f->out, ')');
	f->erroring = erroring;
}

void format_value(struct format *f, uint32_t verb, const struct tmpl_value *v)
{
	struct tmpl_value inner = value_unbox(*v);

	if (!inner.type && (verb == 'v' || verb == 'T'))
		format_pad(f, "<nil>", 5);
	else if (!inner.type)
		add_bad_verb(f, verb, &inner);
	else if (verb == 'T')
		format_string(f, 's', inner.type->name, strlen(inner.type->name));
	else
		add_value(f, verb, &inner, 0);
}

void format_plain(const struct tmpl_value *v, struct buf *out)
{
	struct format f = {.out = out};

	format_value(&f, 'v', v);
}

void format_pointee(const struct tmpl_value *v, struct buf *out)
{
	struct format f = {.out = out};

	add_struct(&f, 'v', v, 1);
}

int format_print(const struct tmpl_value *args, size_t n, bool line, size_t limit, struct buf *out)
{
	for (size_t i = 0; i < n; i++) {
		bool strings = i && (value_kind(&args[i]) == TMPL_STRING ||
					    value_kind(&args[i - 1]) == TMPL_STRING);
		if (i && (line || !strings))
			buf_addc(out, ' ');
		format_plain(&args[i], out);
		if (out->len > limit)
			return -1;
	}
	if (line)
		buf_addc(out, '\n');
	return 0;
}
