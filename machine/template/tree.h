/* The tree of a template, and what is known of its numbers and strings. */
#pragma once

#include "arena.h"
#include "buf.h"
#include "lex.h"
#include "template.h"

enum node_type {
	N_LIST, /* kids */
	N_TEXT, /* text */
	N_ACTION,
	N_IF, /* pipe, list, other */
	N_RANGE,
	N_WITH,
	N_TEMPLATE, /* text: the name; pipe or NULL */
	N_BREAK,
	N_CONTINUE,
	N_END,
	N_ELSE,
	N_PIPE,    /* kids: commands; decl: variables; flag: assigns */
	N_COMMAND, /* kids: the operands */
	N_FIELD,   /* kids: names */
	N_VARIABLE,
	N_CHAIN, /* pipe: what is before the fields */
	N_NAME,  /* text */
	N_FUNCTION,
	N_DOT,
	N_NIL,
	N_BOOL,   /* flag */
	N_NUMBER, /* text: as written */
	N_STRING  /* text; quoted: as written */
};

/* A constant has every type that can hold its value. */
struct number {
	bool is_int, is_uint, is_float;
	int64_t i;
	uint64_t u;
	double f;
};

struct node {
	enum node_type type;
	bool flag;
	size_t pos;
	const char *text, *quoted;
	size_t len, quoted_len;
	struct node *first, *last, *next; /* kids; the next of the same parent */
	size_t n;                         /* kids */
	struct node *pipe, *list, *other, *decl;
	const struct function *function;
	struct number number;
};

/* The template itself, named "", and those that it defines. */
struct named {
	const char *name;
	size_t len;
	struct node *root;
	struct named *next;
};

struct template
{
	struct arena arena;
	const char *text;
	size_t len;
	unsigned flags;
	struct named *first; /* the template itself */
};

void node_add(struct node *parent, struct node *kid);
/* As Go writes it in errors. */
void node_write(const struct node *n, struct buf *out);
/* Nothing but blanks and definitions? */
bool node_is_empty(const struct node *root);
struct named *template_find(const struct template *t, const char *name, size_t len);
/* "LINE:COLUMN" of a place in the text; columns are bytes. malloc'ed */
char *template_place(const struct template *t, size_t pos);

/* A string constant with its quotes. -1: invalid syntax */
int literal_unquote(
	const char *s, size_t len, struct arena *arena, const char **ret, size_t *ret_len);
/* NULL, or why it is none, from the arena. */
const char *literal_number(
	const char *s, size_t len, bool is_char, struct arena *arena, struct number *ret);
