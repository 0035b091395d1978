#include "functions.h"

#include "mem.h"

#include <string.h>

int function_text(struct call *c, struct buf *text)
{
	if (text->len > TEMPLATE_MAX_OUTPUT)
		return err_set(c->err, ERR_USER, "more than %u bytes", TEMPLATE_MAX_OUTPUT);
	if (exec_charge(c->e, text->len) < 0)
		return err_set(c->err, ERR_USER, "too much text");
	*c->ret = value_string(arena_dup(&c->e->arena, buf_str(text), text->len), text->len);
	return 0;
}

static int too_long(struct call *c)
{
	return err_set(c->err, ERR_USER, "more than %u bytes", TEMPLATE_MAX_OUTPUT);
}

static int print(struct call *c)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	if (format_print(c->args, c->n, false, TEMPLATE_MAX_OUTPUT, &b) < 0)
		return too_long(c);
	return function_text(c, &b);
}

static int println(struct call *c)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	if (format_print(c->args, c->n, true, TEMPLATE_MAX_OUTPUT, &b) < 0)
		return too_long(c);
	return function_text(c, &b);
}

static int print_format(struct call *c)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	if (format_printf(
		    c->args[0].s, c->args[0].n, c->args + 1, c->n - 1, TEMPLATE_MAX_OUTPUT, &b) < 0)
		return too_long(c);
	return function_text(c, &b);
}

static int write_json(struct call *c, unsigned style)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	_cleanup_json_ struct json *j = value_to_json(&c->args[0]);

	/* a struct's fields have an order of their own */
	if (value_kind(&c->args[0]) != TMPL_STRUCT)
		style |= JSON_SORTED;
	json_write(j, style | JSON_HTMLSAFE, &b);
	return function_text(c, &b);
}

static int compact_json(struct call *c)
{
	return write_json(c, JSON_COMPACT);
}

static int pretty_json(struct call *c)
{
	return write_json(c, JSON_INDENT);
}

static int not(struct call * c)
{
	*c->ret = tmpl_boolean(!value_truth(&c->args[0]));
	return 0;
}

const struct function *function_find(const char *name, size_t len)
{
	static const struct function functions[] = {
		{"and", "v*v", NULL},
		{"or", "v*v", NULL},
		{"not", "v", not },
		{"eq", "v*v", function_eq},
		{"ne", "vv", function_ne},
		{"lt", "vv", function_lt},
		{"le", "vv", function_le},
		{"gt", "vv", function_gt},
		{"ge", "vv", function_ge},
		{"index", "v*v", function_index},
		{"slice", "v*v", function_slice},
		{"len", "v", function_len},
		{"print", "*a", print},
		{"printf", "s*a", print_format},
		{"println", "*a", println},
		{"html", "*a", function_html},
		{"js", "*a", function_js},
		{"urlquery", "*a", function_urlquery},
		{"json", "a", compact_json},
		{"prettyjson", "a", pretty_json},
		{"join", "as", function_join},
		{"split", "ss", function_split},
		{"lower", "s", function_lower},
		{"upper", "s", function_upper},
		{"title", "s", function_title},
		{"pad", "sii", function_pad},
		{"truncate", "si", function_truncate},
	};

	for (size_t i = 0; i < ARRAY_SIZE(functions); i++)
		if (strlen(functions[i].name) == len && memcmp(functions[i].name, name, len) == 0)
			return &functions[i];
	return NULL;
}
