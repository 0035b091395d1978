/* Recursive descent: texts and actions, blocks, definitions. */
#include "parse.h"

#include "chars.h"
#include "mem.h"

#include <stdarg.h>
#include <string.h>

int(parse_fail)(struct parser *p, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	_cleanup_free_ char *s = xvasprintf(fmt, ap);
	va_end(ap);
	return err_set(p->err, ERR_USER, "template: :%u: %s", p->tokens[0].line, s);
}

static char *describe(struct token t)
{
	if (t.type == T_EOF)
		return xstrdup("EOF");
	if (t.type == T_ERROR)
		return xstrndup(t.text, t.len);
	if (t.type >= T_KEYWORD)
		return xasprintf("<%.*s>", (int)t.len, t.text);
	_cleanup_free_ char *s = char_quote(t.text, char_prefix(t.text, t.len, 10), '"');
	return t.len > 10 ? xasprintf("%s...", s) : take(s);
}

int(parse_unexpected)(struct parser *p, struct token t, const char *context)
{
	_cleanup_free_ char *s = describe(t);
	size_t n = strlen(s);

	if (t.type != T_ERROR)
		return parse_fail(p, "unexpected %s in %s", s, context);
	if (!p->action_line || p->action_line == t.line)
		return parse_fail(p, "%s", s);
	bool action = n > 7 && streq(s + n - 7, " action");
	return parse_fail(p, "%s%s started at :%u", s, action ? "" : " in action", p->action_line);
}

struct node *parse_node(struct parser *p, enum node_type type, size_t pos)
{
	if (++p->n_nodes > TEMPLATE_MAX_NODES) {
		parse_fail(p, "more than %u parts", TEMPLATE_MAX_NODES);
		return NULL;
	}
	struct node *n = arena_alloc(&p->t->arena, sizeof(*n));
	n->type = type;
	n->pos = pos;
	return n;
}

int parse_enter(struct parser *p)
{
	if (p->nesting >= TEMPLATE_MAX_NESTING)
		return parse_fail(p, "nested deeper than %u levels", TEMPLATE_MAX_NESTING);
	p->nesting++;
	return 0;
}

struct token parse_next(struct parser *p)
{
	if (p->peeked)
		p->peeked--;
	else
		p->tokens[0] = lex_next(&p->lex);
	return p->tokens[p->peeked];
}

void parse_back(struct parser *p)
{
	p->peeked++;
}

void parse_back2(struct parser *p, struct token t1)
{
	p->tokens[1] = t1;
	p->peeked = 2;
}

void parse_back3(struct parser *p, struct token t2, struct token t1)
{
	p->tokens[1] = t1;
	p->tokens[2] = t2;
	p->peeked = 3;
}

struct token parse_peek(struct parser *p)
{
	struct token t = parse_next(p);

	parse_back(p);
	return t;
}

struct token parse_next_word(struct parser *p)
{
	struct token t;

	do
		t = parse_next(p);
	while (t.type == T_SPACE);
	return t;
}

struct token parse_peek_word(struct parser *p)
{
	struct token t = parse_next_word(p);

	parse_back(p);
	return t;
}

void parse_declare(struct parser *p, const struct node *name)
{
	if (p->n_vars == p->cap_vars) {
		p->cap_vars = MAX(2 * p->cap_vars, (size_t)16);
		p->vars = xrealloc(p->vars, p->cap_vars, sizeof(*p->vars));
	}
	p->vars[p->n_vars++] = name;
}

static int expect(struct parser *p, enum token_type type, const char *context, struct token *ret)
{
	*ret = parse_next_word(p);
	return ret->type == type ? 0 : parse_unexpected(p, *ret, context);
}

static int parse_item(struct parser *p, struct node **ret);

/* Up to {{end}} or {{else}}, which is *ret_end. */
static int parse_list(struct parser *p, struct node **ret, struct node **ret_end)
{
	struct node *list = parse_node(p, N_LIST, parse_peek_word(p).pos), *n = NULL;

	if (!list || parse_enter(p) < 0)
		return -1;
	while (parse_peek_word(p).type != T_EOF) {
		if (parse_item(p, &n) < 0)
			return -1;
		if (n->type == N_END || n->type == N_ELSE) {
			p->nesting--;
			*ret = list;
			*ret_end = n;
			return 0;
		}
		node_add(list, n);
	}
	return parse_fail(p, "unexpected EOF");
}

static int parse_list_to_end(
	struct parser *p, const char *wrong, const char *context, struct node **ret)
{
	struct node *end;

	if (parse_list(p, ret, &end) < 0)
		return -1;
	if (end->type != N_END)
		return parse_fail(p, "%s {{else}}%s", wrong, context);
	return 0;
}

static int parse_if(struct parser *p, struct node *n);

static int parse_else(struct parser *p, struct node *n, const struct node *mark)
{
	if (n->type != N_IF || parse_peek(p).type != T_IF)
		return parse_list_to_end(p, "expected end; found", "", &n->other);
	/* {{else if}}: as an if within the else, and the one {{end}} ends both */
	parse_next(p);
	struct node *inner = parse_node(p, N_IF, parse_peek_word(p).pos);
	n->other = parse_node(p, N_LIST, mark->pos);
	if (!inner || !n->other || parse_enter(p) < 0 || parse_if(p, inner) < 0)
		return -1;
	p->nesting--;
	node_add(n->other, inner);
	return 0;
}

static int parse_branch(struct parser *p, struct node *n, const char *context)
{
	size_t n_vars = p->n_vars;
	struct node *end;

	if (parse_pipe(p, context, T_RIGHT, &n->pipe) < 0)
		return -1;
	n->pos = n->pipe->pos;
	p->range_depth += n->type == N_RANGE;
	if (parse_list(p, &n->list, &end) < 0)
		return -1;
	p->range_depth -= n->type == N_RANGE;
	if (end->type == N_ELSE && parse_else(p, n, end) < 0)
		return -1;
	p->n_vars = n_vars;
	return 0;
}

static int parse_if(struct parser *p, struct node *n)
{
	return parse_branch(p, n, "if");
}

static int parse_range(struct parser *p, struct node *n)
{
	return parse_branch(p, n, "range");
}

static int parse_with(struct parser *p, struct node *n)
{
	return parse_branch(p, n, "with");
}

static int parse_end(struct parser *p, struct node *n)
{
	struct token t;

	return expect(p, T_RIGHT, "end", &t);
}

static int parse_else_mark(struct parser *p, struct node *n)
{
	struct token t = parse_peek_word(p);

	n->pos = t.pos;
	return t.type == T_IF ? 0 : expect(p, T_RIGHT, "else", &t);
}

static int parse_jump(struct parser *p, struct node *n)
{
	const char *word = n->type == N_BREAK ? "{{break}}" : "{{continue}}";
	struct token t;

	if (expect(p, T_RIGHT, word, &t) < 0)
		return -1;
	return p->range_depth ? 0 : parse_fail(p, "%s outside {{range}}", word);
}

static int parse_name(
	struct parser *p, struct token t, const char *context, const char **ret, size_t *ret_len)
{
	if (t.type != T_STRING && t.type != T_RAW_STRING)
		return parse_unexpected(p, t, context);
	if (literal_unquote(t.text, t.len, &p->t->arena, ret, ret_len) < 0)
		return parse_fail(p, "invalid syntax");
	return 0;
}

/* The later of two definitions counts, unless both have something in them. */
static int define(struct parser *p, const char *name, size_t len, struct node *root)
{
	struct named *d = template_find(p->t, name, len);

	if (!len)
		d = p->t->first;
	if (d && d->root && !node_is_empty(d->root)) {
		_cleanup_free_ char *shown = char_quote(name, len, '"');
		return node_is_empty(root)
			       ? 0
			       : parse_fail(
					 p, "template: multiple definition of template %s", shown);
	}
	if (!d) {
		d = arena_alloc(&p->t->arena, sizeof(*d));
		*d = (struct named){name, len, NULL, p->t->first->next};
		p->t->first->next = d;
	}
	d->root = root;
	return 0;
}

/* The body of a define or block: a template of its own, without the variables around it. */
static int parse_body(struct parser *p, const char *name, size_t len, const char *context)
{
	struct parser outer = *p;
	_cleanup_free_ char *where = context ? xasprintf(" in %s", context) : xstrdup("");
	struct node *root;

	p->vars = NULL;
	p->n_vars = p->cap_vars = 0;
	p->range_depth = p->action_line = 0;
	parse_declare(p, outer.vars[0]);
	int rc = parse_list_to_end(p, "unexpected", where, &root);
	if (rc == 0)
		rc = define(p, name, len, root);
	free(p->vars);
	p->vars = outer.vars;
	p->n_vars = outer.n_vars;
	p->cap_vars = outer.cap_vars;
	p->range_depth = outer.range_depth;
	p->action_line = outer.action_line;
	return rc;
}

static int parse_definition(struct parser *p)
{
	static const char context[] = "define clause";
	struct token t = parse_next_word(p);
	const char *name;
	size_t len;

	if (parse_name(p, t, context, &name, &len) < 0 || expect(p, T_RIGHT, context, &t) < 0)
		return -1;
	return parse_body(p, name, len, context);
}

static int parse_block(struct parser *p, struct node *n)
{
	static const char context[] = "block clause";
	struct token t = parse_next_word(p);

	n->type = N_TEMPLATE;
	n->pos = t.pos;
	if (parse_name(p, t, context, &n->text, &n->len) < 0 ||
		parse_pipe(p, context, T_RIGHT, &n->pipe) < 0)
		return -1;
	return parse_body(p, n->text, n->len, context);
}

static int parse_template(struct parser *p, struct node *n)
{
	static const char context[] = "template clause";
	struct token t = parse_next_word(p);

	n->pos = t.pos;
	if (parse_name(p, t, context, &n->text, &n->len) < 0)
		return -1;
	if (parse_next_word(p).type == T_RIGHT)
		return 0;
	parse_back(p);
	return parse_pipe(p, context, T_RIGHT, &n->pipe);
}

/* After {{. */
static int parse_action(struct parser *p, struct node **ret)
{
	static const struct {
		enum token_type token;
		enum node_type node;
		int (*parse)(struct parser *p, struct node *n);
	} actions[] = {
		{T_BLOCK, N_TEMPLATE, parse_block},
		{T_BREAK, N_BREAK, parse_jump},
		{T_CONTINUE, N_CONTINUE, parse_jump},
		{T_ELSE, N_ELSE, parse_else_mark},
		{T_END, N_END, parse_end},
		{T_IF, N_IF, parse_if},
		{T_RANGE, N_RANGE, parse_range},
		{T_TEMPLATE, N_TEMPLATE, parse_template},
		{T_WITH, N_WITH, parse_with},
	};
	struct token t = parse_next_word(p);

	for (size_t i = 0; i < ARRAY_SIZE(actions); i++) {
		if (t.type != actions[i].token)
			continue;
		*ret = parse_node(p, actions[i].node, t.pos);
		return *ret ? actions[i].parse(p, *ret) : -1;
	}
	parse_back(p);
	*ret = parse_node(p, N_ACTION, parse_peek(p).pos);
	return *ret ? parse_pipe(p, "command", T_RIGHT, &(*ret)->pipe) : -1;
}

static int parse_item(struct parser *p, struct node **ret)
{
	struct token t = parse_next_word(p);

	if (t.type == T_TEXT) {
		*ret = parse_node(p, N_TEXT, t.pos);
		if (!*ret)
			return -1;
		(*ret)->text = t.text;
		(*ret)->len = t.len;
		return 0;
	}
	if (t.type != T_LEFT)
		return parse_unexpected(p, t, "input");
	p->action_line = t.line;
	int rc = parse_action(p, ret);
	p->action_line = 0;
	return rc;
}

static int parse_all(struct parser *p)
{
	struct node *root = parse_node(p, N_LIST, 0), *n, *dollar = parse_node(p, N_NAME, 0);

	dollar->text = "$";
	dollar->len = 1;
	parse_declare(p, dollar);
	while (parse_peek(p).type != T_EOF) {
		struct token t = parse_peek(p);
		if (t.type == T_LEFT) {
			parse_next(p);
			if (parse_next_word(p).type == T_DEFINE) {
				if (parse_definition(p) < 0)
					return -1;
				continue;
			}
			parse_back2(p, t);
		}
		if (parse_item(p, &n) < 0)
			return -1;
		if (n->type == N_END || n->type == N_ELSE)
			return parse_fail(
				p, "unexpected {{%s}}", n->type == N_END ? "end" : "else");
		node_add(root, n);
	}
	return define(p, "", 0, root);
}

int template_parse(
	const char *text, size_t len, unsigned flags, struct template **ret, struct err *err)
{
	_cleanup_template_ struct template *t = xcalloc(1, sizeof(*t));
	struct parser p = {.t = t, .err = err};

	if (len > TEMPLATE_MAX_BYTES)
		return err_set(
			err, ERR_USER, "template: : longer than %u bytes", TEMPLATE_MAX_BYTES);
	t->text = arena_dup(&t->arena, text, len);
	t->len = len;
	t->flags = flags;
	t->first = arena_alloc(&t->arena, sizeof(*t->first));
	t->first->name = "";
	lex_init(&p.lex, t->text, len, &t->arena);
	int rc = parse_all(&p);
	free(p.vars);
	if (rc == 0)
		*ret = take(t);
	return rc;
}
