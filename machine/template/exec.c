/* Walks the tree: texts, actions, blocks, templates. */
#include "exec.h"

#include "chars.h"
#include "mem.h"

#include <stdarg.h>
#include <string.h>

int(exec_fail)(struct exec *e, const char *fmt, ...)
{
	_cleanup_buf_ struct buf context = BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	_cleanup_free_ char *why = xvasprintf(fmt, ap);
	va_end(ap);
	_cleanup_free_ char *place = template_place(e->t, e->at->pos);
	_cleanup_free_ char *name = char_quote(e->current->name, e->current->len, '"');
	node_write(e->at, &context);
	return err_set(e->err, ERR_USER, "template: :%s: executing %s at <%s>: %s", place, name,
		buf_str(&context), why);
}

int exec_charge(struct exec *e, size_t bytes)
{
	size_t steps = 1 + bytes / 64;

	if (steps > TEMPLATE_MAX_STEPS - e->steps)
		return exec_fail(e, "takes more than %u steps", TEMPLATE_MAX_STEPS);
	e->steps += (unsigned)steps;
	if (e->arena.total > TEMPLATE_MAX_MEMORY)
		return exec_fail(e, "takes more than %u bytes of memory", TEMPLATE_MAX_MEMORY);
	return 0;
}

int exec_enter(struct exec *e)
{
	if (e->depth >= TEMPLATE_MAX_DEPTH)
		return exec_fail(e, "exceeded maximum template depth (%u)", TEMPLATE_MAX_DEPTH);
	e->depth++;
	return 0;
}

void exec_push(struct exec *e, const char *name, size_t len, struct tmpl_value v)
{
	if (e->n_vars == e->cap_vars) {
		e->cap_vars = MAX(2 * e->cap_vars, (size_t)8);
		e->vars = xrealloc(e->vars, e->cap_vars, sizeof(*e->vars));
	}
	e->vars[e->n_vars++] = (struct variable){name, len, v};
}

struct variable *exec_variable(struct exec *e, const struct node *name)
{
	for (size_t i = e->n_vars; i-- > e->base;)
		if (e->vars[i].len == name->len &&
			memcmp(e->vars[i].name, name->text, name->len) == 0)
			return &e->vars[i];
	return NULL;
}

static int check_output(struct exec *e, size_t before)
{
	if (e->out->len - e->out_begin > TEMPLATE_MAX_OUTPUT)
		return exec_fail(e, "writes more than %u bytes", TEMPLATE_MAX_OUTPUT);
	return exec_charge(e, e->out->len - before);
}

static int walk(struct exec *e, const struct tmpl_value *dot, const struct node *n);

static int walk_list(struct exec *e, const struct tmpl_value *dot, const struct node *list)
{
	if (exec_enter(e) < 0)
		return -1;
	for (const struct node *k = list->first; k && e->jump == JUMP_NONE; k = k->next)
		if (walk(e, dot, k) < 0)
			return -1;
	e->depth--;
	return 0;
}

static int walk_text(struct exec *e, const struct tmpl_value *dot, const struct node *n)
{
	size_t before = e->out->len;

	(void)dot;
	buf_add(e->out, n->text, n->len);
	return check_output(e, before);
}

static int walk_action(struct exec *e, const struct tmpl_value *dot, const struct node *n)
{
	size_t before = e->out->len;
	struct tmpl_value v;

	if (eval_pipe(e, dot, n->pipe, &v) < 0)
		return -1;
	if (n->pipe->decl)
		return 0;
	e->at = n;
	if (!v.type)
		buf_adds(e->out, "<no value>");
	else if (v.type->pointer) /* what it points to is shown */
		format_pointee(&v, e->out);
	else
		format_plain(&v, e->out);
	return check_output(e, before);
}

static int walk_if(struct exec *e, const struct tmpl_value *dot, const struct node *n)
{
	size_t mark = e->n_vars;
	struct tmpl_value v;
	int rc = 0;

	if (eval_pipe(e, dot, n->pipe, &v) < 0)
		return -1;
	if (value_truth(&v))
		rc = walk_list(e, n->type == N_WITH ? &v : dot, n->list);
	else if (n->other)
		rc = walk_list(e, dot, n->other);
	e->n_vars = mark;
	return rc;
}

/* One turn of a loop; false in *ret_more after {{break}}. */
static int walk_turn(struct exec *e, const struct node *n, struct tmpl_value index,
	const struct tmpl_value *item, bool *ret_more)
{
	size_t mark = e->n_vars;

	const struct node *first = n->pipe->decl, *second = first ? first->next : NULL;
	if (second)
		exec_variable(e, first->first)->value = index;
	if (first)
		exec_variable(e, second ? second->first : first->first)->value = *item;
	if (exec_charge(e, 0) < 0 || walk_list(e, item, n->list) < 0)
		return -1;
	e->n_vars = mark;
	*ret_more = e->jump != JUMP_BREAK;
	e->jump = JUMP_NONE;
	return 0;
}

static int walk_items(struct exec *e, const struct node *n, const struct tmpl_value *list)
{
	bool more = true;

	for (size_t i = 0; i < list->n && more; i++) {
		struct tmpl_value item = value_item(list, i);
		if (walk_turn(e, n, tmpl_integer(&tmpl_int, (int64_t)i), &item, &more) < 0)
			return -1;
	}
	return 0;
}

static int walk_members(struct exec *e, const struct node *n, const struct tmpl_value *map)
{
	const struct json_member **order = value_sorted(map);
	bool more = true;
	int rc = 0;

	for (size_t i = 0; i < value_len(map) && more && rc == 0; i++) {
		struct tmpl_value value = value_element(map, order[i]->value);
		rc = walk_turn(e, n, tmpl_str(order[i]->key), &value, &more);
	}
	free(order);
	return rc;
}

static int walk_range(struct exec *e, const struct tmpl_value *dot, const struct node *n)
{
	_cleanup_buf_ struct buf shown = BUF_INIT;
	size_t mark = e->n_vars;
	struct tmpl_value v;
	int rc;

	if (eval_pipe(e, dot, n->pipe, &v) < 0)
		return -1;
	enum tmpl_kind kind = value_kind(&v);
	if (kind != TMPL_NONE && kind != TMPL_LIST && kind != TMPL_MAP) {
		format_plain(&v, &shown);
		return exec_fail(e, "range can't iterate over %s", buf_str(&shown));
	}
	size_t len = kind == TMPL_NONE ? 0 : value_len(&v);
	if (kind == TMPL_MAP && exec_charge(e, len * BYTES_PER_MEMBER) < 0)
		return -1;
	if (!len)
		rc = n->other ? walk_list(e, dot, n->other) : 0;
	else
		rc = kind == TMPL_LIST ? walk_items(e, n, &v) : walk_members(e, n, &v);
	e->n_vars = mark;
	return rc;
}

static int walk_template(struct exec *e, const struct tmpl_value *dot, const struct node *n)
{
	const struct named *d = template_find(e->t, n->text, n->len), *outer = e->current;
	size_t mark = e->n_vars, base = e->base;
	struct tmpl_value v;

	if (!d) {
		_cleanup_free_ char *shown = char_quote(n->text, n->len, '"');
		return exec_fail(e, "template %s not defined", shown);
	}
	if (eval_pipe(e, dot, n->pipe, &v) < 0)
		return -1;
	size_t after = e->n_vars; /* what the pipeline declares stays */
	e->base = e->n_vars;
	e->current = d;
	exec_push(e, "$", 1, v);
	if (walk_list(e, &v, d->root) < 0)
		return -1;
	e->current = outer;
	e->n_vars = MAX(after, mark);
	e->base = base;
	return 0;
}

static int walk_jump(struct exec *e, const struct tmpl_value *dot, const struct node *n)
{
	(void)dot;
	e->jump = n->type == N_BREAK ? JUMP_BREAK : JUMP_CONTINUE;
	return 0;
}

static int walk(struct exec *e, const struct tmpl_value *dot, const struct node *n)
{
	static int (*const walkers[])(
		struct exec * e, const struct tmpl_value *dot, const struct node *n) = {
		[N_TEXT] = walk_text,
		[N_ACTION] = walk_action,
		[N_IF] = walk_if,
		[N_WITH] = walk_if,
		[N_RANGE] = walk_range,
		[N_TEMPLATE] = walk_template,
		[N_BREAK] = walk_jump,
		[N_CONTINUE] = walk_jump,
	};

	e->at = n;
	if (exec_charge(e, 0) < 0)
		return -1;
	return walkers[n->type](e, dot, n);
}

int template_execute(
	const struct template *t, struct tmpl_value data, struct buf *out, struct err *err)
{
	struct exec e = {
		.t = t,
		.current = t->first,
		.out = out,
		.out_begin = out->len,
		.at = t->first->root,
		.err = err,
	};

	exec_push(&e, "$", 1, data);
	int rc = walk_list(&e, &data, t->first->root);
	free(e.vars);
	json_free(e.made);
	arena_finish(&e.arena);
	return rc;
}
