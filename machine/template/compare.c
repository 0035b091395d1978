/* eq, ne, lt, le, gt, ge. */
#include "functions.h"

#include "mem.h"

#include <string.h>

enum basic { BASIC_NONE, BASIC_BOOL, BASIC_INT, BASIC_UINT, BASIC_FLOAT, BASIC_STRING };

static enum basic basic_of(const struct tmpl_value *v)
{
	static const enum basic kinds[] = {
		[TMPL_BOOL] = BASIC_BOOL,
		[TMPL_INT] = BASIC_INT,
		[TMPL_UINT] = BASIC_UINT,
		[TMPL_FLOAT] = BASIC_FLOAT,
		[TMPL_STRING] = BASIC_STRING,
		[TMPL_STRUCT] = BASIC_NONE,
	};

	return kinds[value_kind(v)];
}

/* A JSON number meets an int. */
static void meet(const struct call *c, struct tmpl_value *a, struct tmpl_value *b)
{
	enum basic x = basic_of(a), y = basic_of(b);

	if (!(c->e->t->flags & TEMPLATE_NUMBERS_MEET))
		return;
	if (x == BASIC_FLOAT && a->digits && y == BASIC_INT)
		*b = (struct tmpl_value){.type = &tmpl_float, .f = (double)b->i};
	else if (y == BASIC_FLOAT && b->digits && x == BASIC_INT)
		*a = (struct tmpl_value){.type = &tmpl_float, .f = (double)a->i};
}

static int order_of(const struct tmpl_value *a, const struct tmpl_value *b)
{
	int c = memcmp(a->s, b->s, MIN(a->n, b->n));

	return c ? c : a->n < b->n ? -1 : a->n > b->n;
}

static bool same_basic(enum basic kind, const struct tmpl_value *a, const struct tmpl_value *b)
{
	switch (kind) {
	case BASIC_BOOL:
		return a->b == b->b;
	case BASIC_FLOAT:
		return a->f == b->f;
	case BASIC_STRING:
		return order_of(a, b) == 0;
	default:
		return a->u == b->u;
	}
}

/* Neither is a basic value. Only null compares; anything else is refused. */
static int same_other(
	struct call *c, const struct tmpl_value *a, const struct tmpl_value *b, bool *ret)
{
	bool a_nil = !a->type || (!a->items && value_kind(a) == TMPL_LIST),
	     b_nil = !b->type || (!b->items && value_kind(b) == TMPL_LIST);

	if (a->type && b->type && a->type->kind != b->type->kind)
		return err_set(c->err, ERR_USER, "non-comparable types %s, %s", a->type->name,
			b->type->name);
	if (a_nil || b_nil) {
		*ret = a_nil == b_nil;
		return 0;
	}
	if (b->type->kind != TMPL_STRUCT || !b->type->pointer)
		return err_set(c->err, ERR_USER, "non-comparable type %s", b->type->name);
	*ret = a->object == b->object && a->type == b->type;
	return 0;
}

static int equal(struct call *c, struct tmpl_value a, struct tmpl_value b, bool *ret)
{
	a = value_unbox(a);
	b = value_unbox(b);
	meet(c, &a, &b);
	enum basic x = basic_of(&a), y = basic_of(&b);

	*ret = false;
	if (x == y) {
		if (x == BASIC_NONE)
			return same_other(c, &a, &b, ret);
		*ret = same_basic(x, &a, &b);
		return 0;
	}
	if ((x == BASIC_INT && y == BASIC_UINT) || (x == BASIC_UINT && y == BASIC_INT)) {
		*ret = a.u == b.u && (x == BASIC_INT ? a.i : b.i) >= 0;
		return 0;
	}
	if (a.type && b.type)
		return err_set(c->err, ERR_USER, "incompatible types for comparison");
	return 0;
}

static int less(struct call *c, struct tmpl_value a, struct tmpl_value b, bool *ret)
{
	a = value_unbox(a);
	b = value_unbox(b);
	meet(c, &a, &b);
	enum basic x = basic_of(&a), y = basic_of(&b);

	if (x == BASIC_NONE || y == BASIC_NONE || (x == y && x == BASIC_BOOL))
		return err_set(c->err, ERR_USER, "invalid type for comparison");
	if (x == BASIC_INT && y == BASIC_UINT)
		*ret = a.i < 0 || a.u < b.u;
	else if (x == BASIC_UINT && y == BASIC_INT)
		*ret = b.i >= 0 && a.u < b.u;
	else if (x != y)
		return err_set(c->err, ERR_USER, "incompatible types for comparison");
	else if (x == BASIC_FLOAT)
		*ret = a.f < b.f;
	else if (x == BASIC_STRING)
		*ret = order_of(&a, &b) < 0;
	else
		*ret = x == BASIC_INT ? a.i < b.i : a.u < b.u;
	return 0;
}

static int answer(struct call *c, bool b)
{
	*c->ret = tmpl_boolean(b);
	return 0;
}

/* eq A B C: is A one of the others? */
int function_eq(struct call *c)
{
	bool same = false;

	if (c->n < 2)
		return err_set(c->err, ERR_USER, "missing argument for comparison");
	for (size_t i = 1; i < c->n && !same; i++)
		if (equal(c, c->args[0], c->args[i], &same) < 0)
			return -1;
	return answer(c, same);
}

int function_ne(struct call *c)
{
	bool same;

	return equal(c, c->args[0], c->args[1], &same) < 0 ? -1 : answer(c, !same);
}

int function_lt(struct call *c)
{
	bool is_less;

	return less(c, c->args[0], c->args[1], &is_less) < 0 ? -1 : answer(c, is_less);
}

static int less_or_equal(struct call *c, bool *ret)
{
	if (less(c, c->args[0], c->args[1], ret) < 0)
		return -1;
	return *ret ? 0 : equal(c, c->args[0], c->args[1], ret);
}

int function_le(struct call *c)
{
	bool b;

	return less_or_equal(c, &b) < 0 ? -1 : answer(c, b);
}

int function_gt(struct call *c)
{
	bool b;

	return less_or_equal(c, &b) < 0 ? -1 : answer(c, !b);
}

int function_ge(struct call *c)
{
	bool is_less;

	return less(c, c->args[0], c->args[1], &is_less) < 0 ? -1 : answer(c, !is_less);
}
