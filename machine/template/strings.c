/* What docker's templates have beside Go's functions. Letters are ASCII's: names of machines and
 * what drivers say of them. */
#include "functions.h"

#include "chars.h"
#include "mem.h"

#include <ctype.h>
#include <string.h>

/* join LIST SEPARATOR */
int function_join(struct call *c)
{
	const struct tmpl_value list = value_unbox(c->args[0]), *separator = &c->args[1];
	_cleanup_buf_ struct buf b = BUF_INIT;

	if (list.type && list.type->kind != TMPL_LIST)
		return err_set(c->err, ERR_USER, "expected a list, got %s", list.type->name);
	for (size_t i = 0; list.type && i < list.n && b.len <= TEMPLATE_MAX_OUTPUT; i++) {
		struct tmpl_value item = value_item(&list, i);
		if (i)
			buf_add(&b, separator->s, separator->n);
		format_plain(&item, &b);
	}
	return function_text(c, &b);
}

/* A list that lives as long as the execution. */
static struct json *new_list(struct exec *e)
{
	struct json *list = json_array();

	if (!e->made)
		e->made = json_array();
	json_add(e->made, list);
	return list;
}

/* split TEXT SEPARATOR; without a separator: into characters */
int function_split(struct call *c)
{
	const char *s = c->args[0].s, *end = s + c->args[0].n;
	const struct tmpl_value *separator = &c->args[1];
	struct json *list = new_list(c->e);
	size_t len;

	for (bool more = separator->n || s < end; more;) {
		const char *found = memmem(s, (size_t)(end - s), separator->s, separator->n);
		if (!separator->n) {
			char_decode(s, (size_t)(end - s), &len);
			found = s + len < end ? s + len : NULL;
		}
		more = found != NULL;
		json_add(list, json_stringn(s, (size_t)((found ? found : end) - s)));
		s = found ? found + separator->n : end;
		if (exec_charge(c->e, 64) < 0)
			return err_set(c->err, ERR_USER, "too many parts");
		c->e->arena.total += sizeof(*list);
	}
	*c->ret = tmpl_typed(&tmpl_strings, list);
	return 0;
}

static int change(struct call *c, int (*first)(int ch), int (*other)(int ch))
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	bool begins = true;

	for (size_t i = 0; i < c->args[0].n; i++) {
		unsigned char ch = (unsigned char)c->args[0].s[i];
		int (*to)(int) = begins ? first : other;
		buf_addc(&b, ch < 0x80 && to ? (char)to(ch) : (char)ch);
		/* what is neither letter, digit nor underscore parts words; a quote does, too */
		begins = ch < 0x80 && !isalnum(ch) && ch != '_';
	}
	return function_text(c, &b);
}

int function_lower(struct call *c)
{
	return change(c, tolower, tolower);
}

int function_upper(struct call *c)
{
	return change(c, toupper, toupper);
}

int function_title(struct call *c)
{
	return change(c, toupper, NULL);
}

/* pad TEXT BEFORE AFTER: with blanks; an empty text stays so */
int function_pad(struct call *c)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	int64_t before = c->args[1].i, after = c->args[2].i, most = TEMPLATE_MAX_OUTPUT;

	if (before < 0 || after < 0)
		return err_set(c->err, ERR_USER, "negative padding");
	if (before > most || after > most)
		return err_set(c->err, ERR_USER, "more than %u bytes", TEMPLATE_MAX_OUTPUT);
	if (c->args[0].n) {
		for (int64_t i = 0; i < before; i++)
			buf_addc(&b, ' ');
		buf_add(&b, c->args[0].s, c->args[0].n);
		for (int64_t i = 0; i < after; i++)
			buf_addc(&b, ' ');
	}
	return function_text(c, &b);
}

/* truncate TEXT LENGTH: at most that many characters */
int function_truncate(struct call *c)
{
	int64_t most = c->args[1].i;

	if (most < 0)
		return err_set(c->err, ERR_USER, "negative length");
	*c->ret = c->args[0];
	c->ret->n = char_prefix(c->args[0].s, c->args[0].n, (size_t)most);
	return 0;
}
