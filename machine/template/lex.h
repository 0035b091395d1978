/* The words of a template. */
#pragma once

#include "arena.h"

#include <stdbool.h>
#include <stdint.h>

enum token_type {
	T_ERROR, /* text is the message */
	T_EOF,
	T_TEXT,
	T_LEFT, /* {{ */
	T_RIGHT,
	T_SPACE,
	T_ASSIGN,  /* = */
	T_DECLARE, /* := */
	T_PIPE,
	T_LEFT_PAREN,
	T_RIGHT_PAREN,
	T_CHAR, /* any other printable character, such as a comma */
	T_CHAR_CONSTANT,
	T_STRING,
	T_RAW_STRING,
	T_NUMBER,
	T_COMPLEX,
	T_BOOL,
	T_FIELD,      /* .Name */
	T_VARIABLE,   /* $, $name */
	T_IDENTIFIER, /* a function */
	/* keywords from here on */
	T_KEYWORD,
	T_DOT = T_KEYWORD,
	T_BLOCK,
	T_BREAK,
	T_CONTINUE,
	T_DEFINE,
	T_ELSE,
	T_END,
	T_IF,
	T_NIL_CONSTANT,
	T_RANGE,
	T_TEMPLATE,
	T_WITH
};

struct token {
	enum token_type type;
	size_t pos;
	unsigned line;
	const char *text; /* in the template's text, not NUL-terminated */
	size_t len;
};

struct lexer {
	const char *input;
	size_t len;
	struct arena *arena; /* for messages */
	size_t pos, start;
	unsigned line; /* of start */
	int parens;
	bool in_action;
	bool failed;
};

void lex_init(struct lexer *l, const char *input, size_t len, struct arena *arena);
/* After an error or the end: the same again. */
struct token lex_next(struct lexer *l);
