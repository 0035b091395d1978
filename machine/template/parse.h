/* What the two halves of the parser share: words and blocks (parse.c), pipelines (parse_pipe.c). */
#pragma once

#include "lex.h"
#include "tree.h"

struct parser {
	struct template *t;
	struct lexer lex;
	struct token tokens[3]; /* [0] is the last one read */
	unsigned peeked;
	unsigned action_line; /* of the action being parsed; 0: none */
	unsigned range_depth, nesting;
	size_t n_nodes;
	const struct node **vars; /* in scope, as nodes N_NAME */
	size_t n_vars, cap_vars;
	struct err *err;
};

/* Sets the error, with the line of the last word read. Returns -1. */
int parse_fail(struct parser *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
#define parse_fail(...) err_failed(parse_fail(__VA_ARGS__))
int parse_unexpected(struct parser *p, struct token t, const char *context);
#define parse_unexpected(...) err_failed(parse_unexpected(__VA_ARGS__))
/* NULL, with the error set, if there are too many. */
struct node *parse_node(struct parser *p, enum node_type type, size_t pos);
int parse_enter(struct parser *p); /* one level deeper; leaving is p->nesting-- */

struct token parse_next(struct parser *p);
struct token parse_peek(struct parser *p);
struct token parse_next_word(struct parser *p); /* no blank */
struct token parse_peek_word(struct parser *p);
void parse_back(struct parser *p);
void parse_back2(struct parser *p, struct token t1);
void parse_back3(struct parser *p, struct token t2, struct token t1);

void parse_declare(struct parser *p, const struct node *name);
/* Up to the end token, which is consumed. */
int parse_pipe(struct parser *p, const char *context, enum token_type end, struct node **ret);
