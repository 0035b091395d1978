/* A template at work. */
#pragma once

#include "arena.h"
#include "format.h"
#include "tree.h"

struct variable {
	const char *name;
	size_t len;
	struct tmpl_value value;
};

#define BYTES_PER_MEMBER 8u /* what looking for a key costs for each that is there */

enum jump { JUMP_NONE, JUMP_BREAK, JUMP_CONTINUE };

struct exec {
	const struct template *t;
	const struct named *current;
	struct buf *out;
	size_t out_begin;
	struct arena arena; /* intermediate values */
	struct json *made;  /* lists that functions made: an array of them */
	struct variable *vars;
	size_t n_vars, cap_vars, base; /* base: where the current template's begin */
	const struct node *at;         /* what errors are about */
	unsigned depth;
	unsigned steps;
	enum jump jump;
	struct err *err;
};

/* Sets the error with the place and the text of what is at work. Returns -1. */
int exec_fail(struct exec *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
#define exec_fail(...) err_failed(exec_fail(__VA_ARGS__))
/* Against a template that never ends: bytes are what is read or made. */
int exec_charge(struct exec *e, size_t bytes);
int exec_enter(struct exec *e); /* leaving is e->depth-- */
void exec_push(struct exec *e, const char *name, size_t len, struct tmpl_value v);
/* The innermost of that name in the current template, or NULL. */
struct variable *exec_variable(struct exec *e, const struct node *name);

/* pipe NULL: no value. */
int eval_pipe(struct exec *e, const struct tmpl_value *dot, const struct node *pipe,
	struct tmpl_value *ret);
/* An operand for a parameter of the kind 'v' (as it is), 'a' (anything), 's' or 'i'. */
int eval_arg(struct exec *e, const struct tmpl_value *dot, char kind, const struct node *n,
	struct tmpl_value *ret);
/* final: what the pipeline brings along, or NULL. */
int eval_call(struct exec *e, const struct tmpl_value *dot, const struct node *function,
	const struct node *cmd, const struct tmpl_value *final, struct tmpl_value *ret);
/* Fits v to a parameter of that kind. */
int eval_check(struct exec *e, char kind, struct tmpl_value *v);
