/* Pipelines: declarations, commands, operands. */
#include "parse.h"

#include "chars.h"
#include "functions.h"
#include "mem.h"

#include <string.h>

static struct node *name_node(struct parser *p, size_t pos, const char *s, size_t len)
{
	struct node *n = parse_node(p, N_NAME, pos);

	if (n) {
		n->text = s;
		n->len = len;
	}
	return n;
}

/* A node with the names of ".A" or "$x" in it. */
static struct node *named_node(struct parser *p, enum node_type type, struct token t)
{
	size_t skip = type == N_FIELD ? 1 : 0;
	struct node *n = parse_node(p, type, t.pos);
	struct node *name = n ? name_node(p, t.pos, t.text + skip, t.len - skip) : NULL;

	if (!name)
		return NULL;
	node_add(n, name);
	return n;
}

/* A declaration, if there is one: *ret_more says that range may have a second variable. */
static int parse_decl(struct parser *p, struct node *pipe, const char *context, bool *ret_more)
{
	struct token v = parse_peek_word(p);

	*ret_more = false;
	if (v.type != T_VARIABLE)
		return 0;
	parse_next(p);
	struct token after = parse_peek(p), next = parse_peek_word(p);
	bool comma = next.type == T_CHAR && *next.text == ',';
	if (next.type != T_ASSIGN && next.type != T_DECLARE && !comma) {
		if (after.type == T_SPACE)
			parse_back3(p, v, after);
		else
			parse_back2(p, v);
		return 0;
	}
	parse_next_word(p);
	struct node *variable = named_node(p, N_VARIABLE, v), **end = &pipe->decl;
	if (!variable)
		return -1;
	bool first = !*end;
	while (*end)
		end = &(*end)->next;
	*end = variable;
	parse_declare(p, variable->first);
	if (!comma) {
		pipe->flag = next.type == T_ASSIGN;
		return 0;
	}
	if (!streq(context, "range") || !first)
		return parse_fail(p, "too many declarations in %s", context);
	next = parse_peek_word(p);
	if (next.type != T_VARIABLE && next.type != T_RIGHT && next.type != T_RIGHT_PAREN)
		return parse_fail(p, "range can only initialize variables");
	*ret_more = true;
	return 0;
}

static int check_pipe(struct parser *p, const struct node *pipe, const char *context)
{
	unsigned stage = 2;

	if (!pipe->n)
		return parse_fail(p, "missing value for %s", context);
	for (const struct node *c = pipe->first->next; c; c = c->next, stage++)
		if (c->first->type >= N_DOT)
			return parse_fail(p, "non executable command in pipeline stage %u", stage);
	return 0;
}

static int use_function(struct parser *p, struct token t, struct node **ret)
{
	const struct function *f = function_find(t.text, t.len);

	if (!f) {
		_cleanup_free_ char *shown = char_quote(t.text, t.len, '"');
		return parse_fail(p, "function %s not defined", shown);
	}
	*ret = name_node(p, t.pos, t.text, t.len);
	if (!*ret)
		return -1;
	(*ret)->type = N_FUNCTION;
	(*ret)->function = f;
	return 0;
}

static int use_variable(struct parser *p, struct token t, struct node **ret)
{
	for (size_t i = 0; i < p->n_vars; i++) {
		const struct node *v = p->vars[i];
		if (v->len != t.len || memcmp(v->text, t.text, t.len) != 0)
			continue;
		*ret = named_node(p, N_VARIABLE, t);
		return *ret ? 0 : -1;
	}
	_cleanup_free_ char *shown = char_quote(t.text, t.len, '"');
	return parse_fail(p, "undefined variable %s", shown);
}

static int use_number(struct parser *p, struct token t, struct node **ret)
{
	*ret = name_node(p, t.pos, t.text, t.len);
	if (!*ret)
		return -1;
	(*ret)->type = N_NUMBER;
	if (t.type == T_COMPLEX || (t.type == T_NUMBER && t.text[t.len - 1] == 'i'))
		return parse_fail(p, "complex numbers are not supported");
	const char *why = literal_number(
		t.text, t.len, t.type == T_CHAR_CONSTANT, &p->t->arena, &(*ret)->number);
	return why ? parse_fail(p, "%s", why) : 0;
}

static int use_string(struct parser *p, struct token t, struct node **ret)
{
	*ret = parse_node(p, N_STRING, t.pos);
	if (!*ret)
		return -1;
	(*ret)->quoted = t.text;
	(*ret)->quoted_len = t.len;
	if (literal_unquote(t.text, t.len, &p->t->arena, &(*ret)->text, &(*ret)->len) < 0)
		return parse_fail(p, "invalid syntax");
	return 0;
}

static int use_parens(struct parser *p, struct node **ret)
{
	if (parse_enter(p) < 0 || parse_pipe(p, "parenthesized pipeline", T_RIGHT_PAREN, ret) < 0)
		return -1;
	p->nesting--;
	return 0;
}

/* *ret is NULL if what follows is no operand. */
static int parse_term(struct parser *p, struct node **ret)
{
	struct token t = parse_next_word(p);

	*ret = NULL;
	switch (t.type) {
	case T_IDENTIFIER:
		return use_function(p, t, ret);
	case T_DOT:
		*ret = parse_node(p, N_DOT, t.pos);
		return *ret ? 0 : -1;
	case T_NIL_CONSTANT:
		*ret = parse_node(p, N_NIL, t.pos);
		return *ret ? 0 : -1;
	case T_VARIABLE:
		return use_variable(p, t, ret);
	case T_FIELD:
		*ret = named_node(p, N_FIELD, t);
		return *ret ? 0 : -1;
	case T_BOOL:
		*ret = parse_node(p, N_BOOL, t.pos);
		if (*ret)
			(*ret)->flag = t.len == 4;
		return *ret ? 0 : -1;
	case T_CHAR_CONSTANT:
	case T_COMPLEX:
	case T_NUMBER:
		return use_number(p, t, ret);
	case T_LEFT_PAREN:
		return use_parens(p, ret);
	case T_STRING:
	case T_RAW_STRING:
		return use_string(p, t, ret);
	default:
		parse_back(p);
		return 0;
	}
}

/* Fields after a term: more names for a field or variable, else a chain. */
static int parse_fields(struct parser *p, struct node **operand)
{
	struct node *n = *operand, *name;
	size_t pos = parse_peek(p).pos;

	if (n->type >= N_DOT) {
		_cleanup_buf_ struct buf b = BUF_INIT;
		node_write(n, &b);
		_cleanup_free_ char *shown = char_quote(buf_str(&b), b.len, '"');
		return parse_fail(p, "unexpected . after term %s", shown);
	}
	if (n->type != N_FIELD && n->type != N_VARIABLE) {
		n = parse_node(p, N_CHAIN, pos);
		if (!n)
			return -1;
		n->pipe = *operand;
		*operand = n;
	}
	n->pos = pos;
	while (parse_peek(p).type == T_FIELD) {
		struct token t = parse_next(p);
		name = name_node(p, t.pos, t.text + 1, t.len - 1);
		if (!name)
			return -1;
		node_add(n, name);
	}
	return 0;
}

static int parse_command(struct parser *p, struct node **ret)
{
	struct node *cmd = parse_node(p, N_COMMAND, parse_peek_word(p).pos), *operand;

	for (bool more = cmd != NULL; more;) {
		parse_peek_word(p);
		if (parse_term(p, &operand) < 0)
			return -1;
		if (operand && parse_peek(p).type == T_FIELD && parse_fields(p, &operand) < 0)
			return -1;
		if (operand)
			node_add(cmd, operand);
		struct token t = parse_next(p);
		more = t.type == T_SPACE;
		if (t.type == T_RIGHT || t.type == T_RIGHT_PAREN)
			parse_back(p);
		else if (!more && t.type != T_PIPE)
			return parse_unexpected(p, t, "operand");
	}
	if (!cmd)
		return -1;
	*ret = cmd;
	return cmd->n ? 0 : parse_fail(p, "empty command");
}

int parse_pipe(struct parser *p, const char *context, enum token_type end, struct node **ret)
{
	struct node *pipe = parse_node(p, N_PIPE, parse_peek_word(p).pos), *cmd = NULL;
	bool more = pipe != NULL;

	while (more)
		if (parse_decl(p, pipe, context, &more) < 0)
			return -1;
	if (!pipe)
		return -1;
	for (;;) {
		struct token t = parse_next_word(p);
		if (t.type == end) {
			*ret = pipe;
			return check_pipe(p, pipe, context);
		}
		bool operand = (t.type >= T_CHAR_CONSTANT && t.type <= T_DOT) ||
			       t.type == T_NIL_CONSTANT || t.type == T_LEFT_PAREN;
		if (!operand)
			return parse_unexpected(p, t, context);
		parse_back(p);
		if (parse_command(p, &cmd) < 0)
			return -1;
		node_add(pipe, cmd);
	}
}
