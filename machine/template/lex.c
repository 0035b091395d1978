/*
 * Text up to "{{" is one token; inside an action it is words, up to "}}". "{{- " and " -}}" take
 * the blanks outside along. A comment is an action that gives no token.
 */
#include "lex.h"

#include "chars.h"
#include "mem.h"

#include <stdarg.h>
#include <string.h>

void lex_init(struct lexer *l, const char *input, size_t len, struct arena *arena)
{
	*l = (struct lexer){.input = input, .len = len, .arena = arena, .line = 1};
}

static struct token make(struct lexer *l, enum token_type type)
{
	return (struct token){type, l->start, l->line, l->input + l->start, l->pos - l->start};
}

/* What lies between start and pos is done with. */
static void skip(struct lexer *l)
{
	for (size_t i = l->start; i < l->pos; i++)
		l->line += l->input[i] == '\n';
	l->start = l->pos;
}

static struct token emit(struct lexer *l, enum token_type type)
{
	struct token t = make(l, type);

	skip(l);
	return t;
}

static struct token __attribute__((format(printf, 2, 3)))
fail(struct lexer *l, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	_cleanup_free_ char *s = xvasprintf(fmt, ap);
	va_end(ap);
	l->failed = true;
	struct token t = make(l, T_ERROR);
	t.len = strlen(s);
	t.text = arena_dup(l->arena, s, t.len);
	return t;
}

static bool at(const struct lexer *l, size_t pos, const char *what)
{
	size_t n = strlen(what);

	return pos <= l->len && l->len - pos >= n && memcmp(l->input + pos, what, n) == 0;
}

static int byte_at(const struct lexer *l, size_t pos)
{
	return pos < l->len ? (unsigned char)l->input[pos] : -1;
}

static bool is_space(int c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Length of the letter, digit or underscore at pos; 0 if there is none. Every character beyond
 * ASCII counts as a letter. */
static size_t word_char(const struct lexer *l, size_t pos)
{
	if (pos >= l->len)
		return 0;
	return char_is_word(l->input + pos, l->len - pos);
}

static bool left_trim_marker(const struct lexer *l, size_t pos)
{
	return byte_at(l, pos) == '-' && is_space(byte_at(l, pos + 1));
}

static bool right_trim_marker(const struct lexer *l, size_t pos)
{
	return is_space(byte_at(l, pos)) && byte_at(l, pos + 1) == '-';
}

/* Is "}}" at pos, maybe with its trim marker? */
static bool right_delim(const struct lexer *l, size_t pos, bool *ret_trim)
{
	*ret_trim = right_trim_marker(l, pos) && at(l, pos + 2, "}}");
	return *ret_trim || at(l, pos, "}}");
}

static void skip_blanks(struct lexer *l)
{
	while (is_space(byte_at(l, l->pos)))
		l->pos++;
	skip(l);
}

/* At "/"+"*"; true: gone, with the action's end. */
static bool skip_comment(struct lexer *l, struct token *ret_error)
{
	const char *end = memmem(l->input + l->pos + 2, l->len - l->pos - 2, "*/", 2);
	bool trim;

	if (!end) {
		*ret_error = fail(l, "unclosed comment");
		return false;
	}
	l->pos = (size_t)(end - l->input) + 2;
	if (!right_delim(l, l->pos, &trim)) {
		*ret_error = fail(l, "comment ends before closing delimiter");
		return false;
	}
	l->pos += trim ? 4 : 2;
	skip(l);
	if (trim)
		skip_blanks(l);
	return true;
}

static struct token lex_text(struct lexer *l)
{
	struct token error;

	for (;;) {
		const char *found = memmem(l->input + l->pos, l->len - l->pos, "{{", 2);
		size_t left = found ? (size_t)(found - l->input) : l->len;
		bool trim = found && left_trim_marker(l, left + 2);
		l->pos = left;
		while (trim && l->pos > l->start && is_space(byte_at(l, l->pos - 1)))
			l->pos--;
		struct token text = emit(l, T_TEXT);
		l->pos = left;
		skip(l);
		if (text.len)
			return text;
		if (!found)
			return emit(l, T_EOF);
		if (!at(l, left + 2 + (trim ? 2 : 0), "/*")) {
			l->pos += 2;
			struct token delim = emit(l, T_LEFT);
			l->pos += trim ? 2 : 0;
			skip(l);
			l->in_action = true;
			l->parens = 0;
			return delim;
		}
		l->pos += 2 + (trim ? 2 : 0);
		skip(l);
		if (!skip_comment(l, &error))
			return error;
	}
}

static struct token lex_right(struct lexer *l, bool trim)
{
	if (trim) {
		l->pos += 2;
		skip(l);
	}
	l->pos += 2;
	struct token t = emit(l, T_RIGHT);
	if (trim)
		skip_blanks(l);
	l->in_action = false;
	return t;
}

/* May a word end here? */
static bool at_terminator(const struct lexer *l)
{
	int c = byte_at(l, l->pos);

	return c < 0 || is_space(c) || strchr(".,|:)(", c) || at(l, l->pos, "}}");
}

static struct token bad_character(struct lexer *l)
{
	_cleanup_free_ char *shown = char_describe(l->input + l->pos, l->len - l->pos);

	return fail(l, "bad character %s", shown);
}

static enum token_type keyword(const char *s, size_t len)
{
	static const struct {
		const char *word;
		enum token_type type;
	} words[] = {
		{"block", T_BLOCK},
		{"break", T_BREAK},
		{"continue", T_CONTINUE},
		{"define", T_DEFINE},
		{"else", T_ELSE},
		{"end", T_END},
		{"if", T_IF},
		{"nil", T_NIL_CONSTANT},
		{"range", T_RANGE},
		{"template", T_TEMPLATE},
		{"with", T_WITH},
		{"true", T_BOOL},
		{"false", T_BOOL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strlen(words[i].word) == len && memcmp(words[i].word, s, len) == 0)
			return words[i].type;
	return T_IDENTIFIER;
}

/* The rest of a word that begins at start; ".": a field or the dot, "$": a variable. */
static struct token lex_word(struct lexer *l, enum token_type type)
{
	for (size_t n; (n = word_char(l, l->pos)) > 0;)
		l->pos += n;
	if (!at_terminator(l))
		return bad_character(l);
	if (type == T_FIELD && l->pos == l->start + 1)
		type = T_DOT;
	if (type == T_IDENTIFIER)
		type = keyword(l->input + l->start, l->pos - l->start);
	return emit(l, type);
}

static bool accept(struct lexer *l, const char *set)
{
	int c = byte_at(l, l->pos);

	if (c <= 0 || !strchr(set, c))
		return false;
	l->pos++;
	return true;
}

static bool scan_number(struct lexer *l)
{
	static const char decimal[] = "0123456789_", hex[] = "0123456789abcdefABCDEF_";
	const char *digits = decimal;

	accept(l, "+-");
	if (accept(l, "0"))
		digits = accept(l, "xX")   ? hex
			 : accept(l, "oO") ? "01234567_"
			 : accept(l, "bB") ? "01_"
					   : decimal;
	while (accept(l, digits))
		;
	if (accept(l, "."))
		while (accept(l, digits))
			;
	if ((digits == hex && accept(l, "pP")) || (digits == decimal && accept(l, "eE"))) {
		accept(l, "+-");
		while (accept(l, decimal))
			;
	}
	accept(l, "i");
	size_t n = word_char(l, l->pos);
	l->pos += n;
	return n == 0;
}

static struct token bad_number(struct lexer *l)
{
	_cleanup_free_ char *shown = char_quote(l->input + l->start, l->pos - l->start, '"');

	return fail(l, "bad number syntax: %s", shown);
}

static struct token lex_number(struct lexer *l)
{
	enum token_type type = T_NUMBER;
	int sign;

	if (!scan_number(l))
		return bad_number(l);
	sign = byte_at(l, l->pos);
	if (sign == '+' || sign == '-') {
		if (!scan_number(l) || l->input[l->pos - 1] != 'i')
			return bad_number(l);
		type = T_COMPLEX;
	}
	return emit(l, type);
}

/* After the opening quote. */
static struct token lex_quoted(struct lexer *l, char quote, enum token_type type, const char *what)
{
	for (;;) {
		int c = byte_at(l, l->pos++);
		if (c == '\\' && quote != '`')
			c = byte_at(l, l->pos) == '\n' ? '\n' : byte_at(l, l->pos++);
		else if (c == quote)
			return emit(l, type);
		if (c < 0 || (c == '\n' && quote != '`')) {
			l->pos = MIN(l->pos, l->len);
			return fail(l, "unterminated %s", what);
		}
	}
}

/* A run of blanks; the last one may belong to " -}}". */
static struct token lex_space(struct lexer *l)
{
	bool trim;

	while (is_space(byte_at(l, l->pos)))
		l->pos++;
	if (right_delim(l, l->pos - 1, &trim) && trim) {
		l->pos--;
		if (l->pos == l->start)
			return lex_right(l, true);
	}
	return emit(l, T_SPACE);
}

/* One that closes nothing is the parser's to refuse. */
static struct token lex_paren(struct lexer *l, int c)
{
	l->parens += c == '(' ? 1 : -1;
	return emit(l, c == '(' ? T_LEFT_PAREN : T_RIGHT_PAREN);
}

static struct token unrecognized(struct lexer *l)
{
	_cleanup_free_ char *shown = char_describe(l->input + l->start, l->len - l->start);

	return fail(l, "unrecognized character in action: %s", shown);
}

static struct token lex_one(struct lexer *l)
{
	int c = byte_at(l, l->pos), next = byte_at(l, l->pos + 1);

	if (is_space(c))
		return lex_space(l);
	if (c == '+' || c == '-' || (c >= '0' && c <= '9') ||
		(c == '.' && next >= '0' && next <= '9'))
		return lex_number(l);
	if (word_char(l, l->pos))
		return lex_word(l, T_IDENTIFIER);
	l->pos++;
	switch (c) {
	case '=':
		return emit(l, T_ASSIGN);
	case ':':
		if (next != '=')
			return fail(l, "expected :=");
		l->pos++;
		return emit(l, T_DECLARE);
	case '|':
		return emit(l, T_PIPE);
	case '"':
		return lex_quoted(l, '"', T_STRING, "quoted string");
	case '`':
		return lex_quoted(l, '`', T_RAW_STRING, "raw quoted string");
	case '\'':
		return lex_quoted(l, '\'', T_CHAR_CONSTANT, "character constant");
	case '$':
		return lex_word(l, T_VARIABLE);
	case '.':
		return lex_word(l, T_FIELD);
	case '(':
	case ')':
		return lex_paren(l, c);
	default:
		return c > ' ' && c < 0x7f ? emit(l, T_CHAR) : unrecognized(l);
	}
}

struct token lex_next(struct lexer *l)
{
	bool trim;

	if (l->failed)
		return (struct token){T_ERROR, l->pos, l->line, "", 0};
	if (!l->in_action)
		return lex_text(l);
	if (right_delim(l, l->pos, &trim))
		return l->parens ? fail(l, "unclosed left paren") : lex_right(l, trim);
	if (l->pos >= l->len)
		return fail(l, "unclosed action");
	return lex_one(l);
}
