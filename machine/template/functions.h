/* The functions that templates call. */
#pragma once

#include "exec.h"

struct call {
	struct exec *e;
	struct tmpl_value *args;
	size_t n;
	struct tmpl_value *ret;
	struct err *err; /* the bare reason; the caller says where */
};

struct function {
	const char *name;
	/* One letter for each parameter (see eval_arg); after '*' comes the one that may be given
	 * any number of times. */
	const char *params;
	int (*run)(struct call *c); /* NULL: and, or, which eval_call does */
};

const struct function *function_find(const char *name, size_t len);

/* A text that the execution keeps; fails when it is too long. */
int function_text(struct call *c, struct buf *text);

int function_eq(struct call *c);
int function_ne(struct call *c);
int function_lt(struct call *c);
int function_le(struct call *c);
int function_gt(struct call *c);
int function_ge(struct call *c);

int function_index(struct call *c);
int function_slice(struct call *c);
int function_len(struct call *c);

int function_html(struct call *c);
int function_js(struct call *c);
int function_urlquery(struct call *c);

int function_join(struct call *c);
int function_split(struct call *c);
int function_lower(struct call *c);
int function_upper(struct call *c);
int function_title(struct call *c);
int function_pad(struct call *c);
int function_truncate(struct call *c);
