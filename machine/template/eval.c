/* Values of pipelines: commands, fields, variables, constants. */
#include "exec.h"

#include "chars.h"
#include "functions.h"
#include "mem.h"

#include <string.h>

static int not_a_function(struct exec *e, const struct node *cmd, const struct tmpl_value *final)
{
	_cleanup_buf_ struct buf shown = BUF_INIT;

	if (cmd->n <= 1 && !final)
		return 0;
	node_write(cmd->first, &shown);
	return exec_fail(e, "can't give argument to non-function %s", buf_str(&shown));
}

static int constant(struct exec *e, const struct node *n, struct tmpl_value *ret)
{
	const struct number *number = &n->number;
	bool is_char = n->text[0] == '\'';
	bool is_hex = n->len > 2 && n->text[0] == '0' && (n->text[1] | 0x20) == 'x' &&
		      !memchr(n->text, 'p', n->len) && !memchr(n->text, 'P', n->len);
	bool looks_float = false;

	for (size_t i = 0; i < n->len; i++)
		looks_float |= strchr(".eEpP", n->text[i]) != NULL;
	e->at = n;
	if (number->is_float && !is_hex && !is_char && looks_float) {
		*ret = (struct tmpl_value){.type = &tmpl_float, .f = number->f};
		return 0;
	}
	if (!number->is_int)
		return exec_fail(e, "%.*s overflows int", (int)n->len, n->text);
	*ret = tmpl_integer(&tmpl_int, number->i);
	return 0;
}

static bool is_name(const struct node *name, const char *s)
{
	return s && strlen(s) == name->len && memcmp(s, name->text, name->len) == 0;
}

/* A method of a number: State.String, Duration.Seconds. */
static bool find_method(
	struct exec *e, const struct tmpl_value *v, const struct node *name, struct tmpl_value *ret)
{
	bool found = false;

	if (value_kind(v) != TMPL_INT || !v->type->text)
		return false;
	if (is_name(name, "String")) {
		_cleanup_buf_ struct buf b = BUF_INIT;
		v->type->text(v->i, &b);
		*ret = value_string(arena_dup(&e->arena, buf_str(&b), b.len), b.len);
		return true;
	}
	if (v->type->number) {
		double f = v->type->number(v->i, name->text, name->len, &found);
		*ret = (struct tmpl_value){.type = &tmpl_float, .f = f};
	}
	return found;
}

static int struct_field(struct exec *e, const struct tmpl_value *v, const struct node *name,
	bool args, struct tmpl_value *ret)
{
	for (size_t i = 0; i < v->type->n_fields; i++) {
		const struct tmpl_field *f = &v->type->fields[i];
		if (!is_name(name, f->name) && !is_name(name, f->alias))
			continue;
		if (args)
			return exec_fail(
				e, "%s has arguments but cannot be invoked as function", f->name);
		*ret = value_field(v, i);
		return 0;
	}
	return exec_fail(e, "can't evaluate field %.*s in type %s", (int)name->len, name->text,
		value_type_name(v));
}

static int field(struct exec *e, const struct tmpl_value *v, const struct node *name, size_t args,
	struct tmpl_value *ret)
{
	int len = (int)name->len;
	struct tmpl_value found;

	*ret = (struct tmpl_value){0};
	if (exec_charge(e, value_kind(v) == TMPL_MAP ? value_len(v) * BYTES_PER_MEMBER : 0) < 0)
		return -1;
	if (!v->type)
		return 0;
	if (find_method(e, v, name, &found)) {
		*ret = found;
		return args ? exec_fail(e, "wrong number of args for %.*s: want 0 got %zu", len,
				      name->text, args)
			    : 0;
	}
	switch (v->type->kind) {
	case TMPL_NIL:
		return exec_fail(e, "nil pointer evaluating interface {}.%.*s", len, name->text);
	case TMPL_STRUCT:
		return struct_field(e, v, name, args > 0, ret);
	case TMPL_MAP:
		if (args)
			return exec_fail(
				e, "%.*s is not a method but has arguments", len, name->text);
		*ret = value_member(v, name->text, name->len);
		return 0;
	default:
		return exec_fail(e, "can't evaluate field %.*s in type %s", len, name->text,
			value_type_name(v));
	}
}

/* v.A.B.C; args: how many the last one is given */
static int chain(struct exec *e, struct tmpl_value v, const struct node *name, size_t args,
	struct tmpl_value *ret)
{
	for (; name; name = name->next) {
		struct tmpl_value next;
		if (field(e, &v, name, name->next ? 0 : args, &next) < 0)
			return -1;
		v = next;
	}
	*ret = v;
	return 0;
}

static int variable(struct exec *e, const struct node *n, const struct node *cmd,
	const struct tmpl_value *final, size_t args, struct tmpl_value *ret)
{
	const struct variable *found = exec_variable(e, n->first);

	e->at = n;
	if (!found)
		return exec_fail(e, "undefined variable: %.*s", (int)n->first->len, n->first->text);
	if (n->n == 1 && cmd && not_a_function(e, cmd, final) < 0)
		return -1;
	return chain(e, found->value, n->first->next, args, ret);
}

static int chain_node(struct exec *e, const struct tmpl_value *dot, const struct node *n,
	size_t args, struct tmpl_value *ret)
{
	_cleanup_buf_ struct buf shown = BUF_INIT;
	struct tmpl_value v;

	e->at = n;
	if (n->pipe->type == N_NIL) {
		node_write(n, &shown);
		return exec_fail(e, "indirection through explicit nil in %s", buf_str(&shown));
	}
	if (eval_arg(e, dot, 'a', n->pipe, &v) < 0)
		return -1;
	return chain(e, v, n->first, args, ret);
}

/* What may stand at the beginning of a command, and, with cmd NULL, as an operand. */
static int operand(struct exec *e, const struct tmpl_value *dot, const struct node *n,
	const struct node *cmd, const struct tmpl_value *final, struct tmpl_value *ret)
{
	size_t args = (cmd ? cmd->n - 1 : 0) + (final != NULL);

	switch (n->type) {
	case N_FIELD:
		e->at = n;
		return chain(e, *dot, n->first, args, ret);
	case N_CHAIN:
		return chain_node(e, dot, n, args, ret);
	case N_VARIABLE:
		return variable(e, n, cmd, final, args, ret);
	case N_FUNCTION:
		return eval_call(e, dot, n, cmd ? cmd : n, final, ret);
	case N_PIPE:
		if (cmd && not_a_function(e, cmd, final) < 0)
			return -1;
		return eval_pipe(e, dot, n, ret);
	default:
		break;
	}
	e->at = n;
	if (cmd && not_a_function(e, cmd, final) < 0)
		return -1;
	switch (n->type) {
	case N_BOOL:
		*ret = tmpl_boolean(n->flag);
		return 0;
	case N_DOT:
		*ret = *dot;
		return 0;
	case N_NUMBER:
		return constant(e, n, ret);
	case N_STRING:
		*ret = value_string(n->text, n->len);
		return 0;
	default:
		return exec_fail(e, "nil is not a command");
	}
}

/* A constant for a parameter that is a string or an int. */
static int typed_constant(struct exec *e, char kind, const struct node *n, struct tmpl_value *ret)
{
	_cleanup_buf_ struct buf shown = BUF_INIT;

	if (kind == 's' && n->type == N_STRING) {
		*ret = value_string(n->text, n->len);
		return 0;
	}
	if (kind == 'i' && n->type == N_NUMBER && n->number.is_int) {
		*ret = tmpl_integer(&tmpl_int, n->number.i);
		return 0;
	}
	node_write(n, &shown);
	return exec_fail(
		e, "expected %s; found %s", kind == 's' ? "string" : "integer", buf_str(&shown));
}

int eval_check(struct exec *e, char kind, struct tmpl_value *v)
{
	const struct tmpl_type *want = kind == 's' ? &tmpl_string : &tmpl_int;

	if (kind == 'v' || kind == 'a')
		return 0;
	if (!v->type)
		return exec_fail(e, "invalid value; expected %s", want->name);
	if (v->type != want) {
		struct tmpl_value inner = value_unbox(*v);
		return exec_fail(e, "wrong type for value; expected %s; got %s", want->name,
			inner.type ? inner.type->name : value_type_name(v));
	}
	v->boxed = false;
	return 0;
}

int eval_arg(struct exec *e, const struct tmpl_value *dot, char kind, const struct node *n,
	struct tmpl_value *ret)
{
	e->at = n;
	if (n->type == N_NIL) {
		*ret = (struct tmpl_value){0};
		if (kind == 'v' || kind == 'a')
			return 0;
		return exec_fail(e, "cannot assign nil to %s", kind == 's' ? "string" : "int");
	}
	if (n->type > N_NIL && kind != 'v' && kind != 'a')
		return typed_constant(e, kind, n, ret);
	if (operand(e, dot, n, NULL, NULL, ret) < 0)
		return -1;
	return eval_check(e, kind, ret);
}

static int eval_command(struct exec *e, const struct tmpl_value *dot, const struct node *cmd,
	const struct tmpl_value *final, struct tmpl_value *ret)
{
	if (exec_charge(e, 0) < 0 || operand(e, dot, cmd->first, cmd, final, ret) < 0)
		return -1;
	if (ret->boxed)
		*ret = value_unbox(*ret);
	return 0;
}

int eval_pipe(struct exec *e, const struct tmpl_value *dot, const struct node *pipe,
	struct tmpl_value *ret)
{
	struct tmpl_value v = {0}, final;

	*ret = v;
	if (!pipe)
		return 0;
	e->at = pipe;
	if (exec_enter(e) < 0)
		return -1;
	for (const struct node *cmd = pipe->first; cmd; cmd = cmd->next) {
		final = v;
		if (eval_command(e, dot, cmd, cmd == pipe->first ? NULL : &final, &v) < 0)
			return -1;
	}
	for (const struct node *d = pipe->decl; d; d = d->next) {
		struct variable *old = pipe->flag ? exec_variable(e, d->first) : NULL;
		if (pipe->flag && !old)
			return exec_fail(
				e, "undefined variable: %.*s", (int)d->first->len, d->first->text);
		if (old)
			old->value = v;
		else
			exec_push(e, d->first->text, d->first->len, v);
	}
	e->depth--;
	*ret = v;
	return 0;
}
