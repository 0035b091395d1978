#include "tree.h"

#include "chars.h"
#include "mem.h"

#include <string.h>

void node_add(struct node *parent, struct node *kid)
{
	if (parent->last)
		parent->last->next = kid;
	else
		parent->first = kid;
	parent->last = kid;
	parent->n++;
}

static void write_kids(const struct node *n, const char *separator, struct buf *out)
{
	for (const struct node *k = n->first; k; k = k->next) {
		if (k != n->first)
			buf_adds(out, separator);
		bool parens = n->type == N_COMMAND && k->type == N_PIPE;
		buf_adds(out, parens ? "(" : "");
		node_write(k, out);
		buf_adds(out, parens ? ")" : "");
	}
}

static void write_pipe(const struct node *n, struct buf *out)
{
	for (const struct node *v = n->decl; v; v = v->next) {
		buf_adds(out, v == n->decl ? "" : ", ");
		node_write(v, out);
	}
	buf_adds(out, n->decl ? " := " : "");
	write_kids(n, " | ", out);
}

static void write_branch(const struct node *n, struct buf *out)
{
	buf_addf(out, "{{%s ", n->type == N_IF ? "if" : n->type == N_RANGE ? "range" : "with");
	node_write(n->pipe, out);
	buf_adds(out, "}}");
	node_write(n->list, out);
	if (n->other) {
		buf_adds(out, "{{else}}");
		node_write(n->other, out);
	}
	buf_adds(out, "{{end}}");
}

static void write_names(const struct node *n, struct buf *out)
{
	if (n->type == N_CHAIN) {
		bool parens = n->pipe->type == N_PIPE;
		buf_adds(out, parens ? "(" : "");
		node_write(n->pipe, out);
		buf_adds(out, parens ? ")" : "");
	}
	for (const struct node *k = n->first; k; k = k->next) {
		buf_adds(out, n->type == N_VARIABLE && k == n->first ? "" : ".");
		buf_add(out, k->text, k->len);
	}
}

static void write_template(const struct node *n, struct buf *out)
{
	buf_adds(out, "{{template ");
	char_add_quoted(n->text, n->len, '"', QUOTE_UTF8, out);
	if (n->pipe) {
		buf_addc(out, ' ');
		node_write(n->pipe, out);
	}
	buf_adds(out, "}}");
}

static void write_action(const struct node *n, struct buf *out)
{
	buf_adds(out, "{{");
	node_write(n->pipe, out);
	buf_adds(out, "}}");
}

static void write_list(const struct node *n, struct buf *out)
{
	write_kids(n, n->type == N_COMMAND ? " " : "", out);
}

static void write_text(const struct node *n, struct buf *out)
{
	buf_add(out, n->quoted ? n->quoted : n->text, n->quoted ? n->quoted_len : n->len);
}

static void write_bool(const struct node *n, struct buf *out)
{
	buf_adds(out, n->flag ? "true" : "false");
}

void node_write(const struct node *n, struct buf *out)
{
	static void (*const writers[])(const struct node *n, struct buf *out) = {
		[N_LIST] = write_list,
		[N_ACTION] = write_action,
		[N_IF] = write_branch,
		[N_RANGE] = write_branch,
		[N_WITH] = write_branch,
		[N_TEMPLATE] = write_template,
		[N_PIPE] = write_pipe,
		[N_COMMAND] = write_list,
		[N_FIELD] = write_names,
		[N_VARIABLE] = write_names,
		[N_CHAIN] = write_names,
		[N_BOOL] = write_bool,
		[N_STRING] = write_text,
	};
	static const char *const words[] = {
		[N_BREAK] = "{{break}}",
		[N_CONTINUE] = "{{continue}}",
		[N_END] = "{{end}}",
		[N_ELSE] = "{{else}}",
		[N_DOT] = ".",
		[N_NIL] = "nil",
		[N_STRING] = NULL,
	};

	if (writers[n->type])
		writers[n->type](n, out);
	else if (words[n->type])
		buf_adds(out, words[n->type]);
	else
		write_text(n, out);
}

bool node_is_empty(const struct node *root)
{
	for (const struct node *k = root->first; k; k = k->next) {
		if (k->type != N_TEXT)
			return false;
		for (size_t i = 0; i < k->len; i++)
			if (!k->text[i] || !strchr(" \t\n\v\f\r", k->text[i]))
				return false;
	}
	return true;
}

struct named *template_find(const struct template *t, const char *name, size_t len)
{
	for (struct named *d = t->first; d; d = d->next)
		if (d->len == len && memcmp(d->name, name, len) == 0)
			return d->root ? d : NULL;
	return NULL;
}

char *template_place(const struct template *t, size_t pos)
{
	size_t line = 1, start = 0;

	for (size_t i = 0; i < pos && i < t->len; i++) {
		if (t->text[i] == '\n') {
			line++;
			start = i + 1;
		}
	}
	return xasprintf("%zu:%zu", line, pos - start);
}

void template_free(struct template *t)
{
	if (!t)
		return;
	arena_finish(&t->arena);
	free(t);
}

static bool names_field(const struct node *n, const char *field)
{
	if (n->type == N_NAME)
		return n->len == strlen(field) && memcmp(n->text, field, n->len) == 0;
	if (n->type == N_DOT || (n->type == N_VARIABLE && n->n == 1 && n->first->len == 1))
		return true; /* all of it goes somewhere */
	for (const struct node *k = n->first; k; k = k->next)
		if (names_field(k, field))
			return true;
	const struct node *const parts[] = {n->pipe, n->list, n->other};
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		if (parts[i] && names_field(parts[i], field))
			return true;
	return false;
}

bool template_uses(const struct template *t, const char *field)
{
	for (const struct named *d = t->first; d; d = d->next)
		if (d->root && names_field(d->root, field))
			return true;
	return false;
}
