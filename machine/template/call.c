/* Calling functions: arguments are fitted to parameters; and, or. */
#include "functions.h"

#include "mem.h"

#include <string.h>

/* The kind of parameter i. */
static char param_of(const struct function *f, size_t i)
{
	const char *star = strchr(f->params, '*');
	size_t fixed = star ? (size_t)(star - f->params) : strlen(f->params);

	return i < fixed || !star ? f->params[i] : star[1];
}

static int check_count(struct exec *e, const struct function *f, size_t args, bool final)
{
	const char *star = strchr(f->params, '*');
	size_t fixed = star ? (size_t)(star - f->params) : strlen(f->params), n = args + final;

	if (star && n < fixed)
		return exec_fail(e, "wrong number of args for %s: want at least %zu got %zu",
			f->name, fixed, args);
	if (!star && n != fixed)
		return exec_fail(
			e, "wrong number of args for %s: want %zu got %zu", f->name, fixed, n);
	return 0;
}

/* Evaluates one after the other and stops at the first that decides. */
static int and_or(struct exec *e, const struct tmpl_value *dot, const struct function *f,
	const struct node *arg, const struct tmpl_value *final, struct tmpl_value *ret)
{
	bool is_or = f->name[0] == 'o';

	*ret = (struct tmpl_value){0};
	for (; arg; arg = arg->next) {
		if (eval_arg(e, dot, 'v', arg, ret) < 0)
			return -1;
		if (value_truth(ret) == is_or)
			return 0;
	}
	if (final)
		*ret = *final;
	return 0;
}

static size_t bytes_of(const struct call *c)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n; i++) {
		enum tmpl_kind kind = value_kind(&c->args[i]);
		if (kind == TMPL_STRING)
			n += c->args[i].n;
	}
	return n;
}

static int run(struct call *c, const struct function *f, const struct node *cmd)
{
	_cleanup_err_ struct err why = ERR_INIT;

	*c->ret = (struct tmpl_value){0};
	if (exec_charge(c->e, bytes_of(c)) < 0)
		return -1;
	c->err = &why;
	int rc = f->run(c);
	c->err = NULL;
	if (rc == 0)
		return 0;
	c->e->at = cmd;
	return exec_fail(c->e, "error calling %s: %s", f->name, err_msg(&why));
}

int eval_call(struct exec *e, const struct tmpl_value *dot, const struct node *function,
	const struct node *cmd, const struct tmpl_value *final, struct tmpl_value *ret)
{
	const struct function *f = function->function;
	const struct node *arg = cmd->type == N_COMMAND ? cmd->first->next : NULL;
	size_t n = cmd->type == N_COMMAND ? cmd->n - 1 : 0, i = 0;

	e->at = function;
	if (check_count(e, f, n, final != NULL) < 0 || exec_enter(e) < 0)
		return -1;
	if (!f->run) {
		e->depth--;
		return and_or(e, dot, f, arg, final, ret);
	}
	struct tmpl_value *args = xcalloc(n + 2, sizeof(*args));
	int rc = 0;
	for (; arg && rc == 0; arg = arg->next, i++)
		rc = eval_arg(e, dot, param_of(f, i), arg, &args[i]);
	if (rc == 0 && final) {
		args[i] = *final;
		rc = eval_check(e, param_of(f, i), &args[i]);
		i++;
	}
	struct call c = {e, args, i, ret, NULL};
	if (rc == 0)
		rc = run(&c, f, cmd);
	free(args);
	e->depth--;
	return rc;
}
