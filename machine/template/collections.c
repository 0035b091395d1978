/* index, slice, len. */
#include "functions.h"

#include "mem.h"

#include <string.h>

static int position(struct call *c, const struct tmpl_value *index, size_t max, size_t *ret)
{
	struct tmpl_value v = value_unbox(*index);
	enum tmpl_kind kind = value_kind(&v);

	if (!v.type)
		return err_set(c->err, ERR_USER, "cannot index slice/array with nil");
	if (kind != TMPL_INT && kind != TMPL_UINT)
		return err_set(
			c->err, ERR_USER, "cannot index slice/array with type %s", v.type->name);
	if (v.i < 0 || (uint64_t)v.i > max)
		return err_set(c->err, ERR_USER, "index out of range: %lld", (long long)v.i);
	*ret = (size_t)v.i;
	return 0;
}

static int index_list(struct call *c, struct tmpl_value *item, const struct tmpl_value *index)
{
	bool is_string = item->type->kind == TMPL_STRING;
	size_t i;

	if (position(c, index, item->n, &i) < 0)
		return -1;
	if (i >= item->n)
		return err_set(c->err, ERR_USER, "reflect: %s index out of range",
			is_string ? "string" : "slice");
	*item = is_string ? (struct tmpl_value){.type = &tmpl_uint8, .u = (unsigned char)item->s[i]}
			  : value_item(item, i);
	return 0;
}

static int index_map(struct call *c, struct tmpl_value *item, const struct tmpl_value *index)
{
	struct tmpl_value key = value_unbox(*index);

	if (!key.type)
		return err_set(c->err, ERR_USER, "value is nil; should be of type string");
	if (key.type->kind != TMPL_STRING)
		return err_set(
			c->err, ERR_USER, "value has type %s; should be string", key.type->name);
	if (exec_charge(c->e, value_len(item) * BYTES_PER_MEMBER) < 0)
		return err_set(c->err, ERR_USER, "too many steps");
	struct tmpl_value found = value_member(item, key.s, key.n);
	if (!found.type)
		found = item->type->elem ? tmpl_typed(item->type->elem, NULL)
					 : (struct tmpl_value){.type = &tmpl_nil, .boxed = true};
	*item = found;
	return 0;
}

int function_index(struct call *c)
{
	struct tmpl_value item = value_unbox(c->args[0]);
	int rc = 0;

	if (!item.type)
		return err_set(c->err, ERR_USER, "index of untyped nil");
	for (size_t i = 1; i < c->n && rc == 0; i++) {
		switch (item.type->kind) {
		case TMPL_NIL:
			return err_set(c->err, ERR_USER, "index of nil pointer");
		case TMPL_STRING:
		case TMPL_LIST:
			rc = index_list(c, &item, &c->args[i]);
			break;
		case TMPL_MAP:
			rc = index_map(c, &item, &c->args[i]);
			break;
		default:
			return err_set(
				c->err, ERR_USER, "can't index item of type %s", item.type->name);
		}
	}
	*c->ret = item;
	return rc;
}

int function_slice(struct call *c)
{
	struct tmpl_value item = value_unbox(c->args[0]);
	enum tmpl_kind kind = value_kind(&item);
	size_t at[3] = {0};

	if (!item.type)
		return err_set(c->err, ERR_USER, "slice of untyped nil");
	if (c->n > 4)
		return err_set(c->err, ERR_USER, "too many slice indexes: %zu", c->n - 1);
	if (kind == TMPL_STRING && c->n == 4)
		return err_set(c->err, ERR_USER, "cannot 3-index slice a string");
	if (kind != TMPL_STRING && kind != TMPL_LIST)
		return err_set(c->err, ERR_USER, "can't slice item of type %s", item.type->name);
	at[1] = item.n;
	for (size_t i = 1; i < c->n; i++)
		if (position(c, &c->args[i], item.n, &at[i - 1]) < 0)
			return -1;
	for (size_t i = 1; i < (c->n == 4 ? 3 : 2); i++)
		if (at[i - 1] > at[i])
			return err_set(c->err, ERR_USER, "invalid slice index: %zu > %zu",
				at[i - 1], at[i]);
	*c->ret = item;
	if (kind == TMPL_STRING)
		c->ret->s += at[0];
	else if (at[0])
		c->ret->items += at[0];
	c->ret->n = at[1] - at[0];
	return 0;
}

int function_len(struct call *c)
{
	struct tmpl_value v = c->args[0];

	switch (value_kind(&v)) {
	case TMPL_STRING:
	case TMPL_LIST:
	case TMPL_MAP:
		*c->ret = tmpl_integer(&tmpl_int, (int64_t)value_len(&v));
		return 0;
	case TMPL_NONE:
		return err_set(
			c->err, ERR_USER, "reflect: call of reflect.Value.Type on zero Value");
	case TMPL_NIL:
		return err_set(c->err, ERR_USER, "len of nil pointer");
	default:
		return err_set(c->err, ERR_USER, "len of type %s", v.type->name);
	}
}
