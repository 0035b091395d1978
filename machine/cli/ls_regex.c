/*
 * Go's syntax is put into POSIX's extended one, which does the rest: classes such as \d, also
 * within brackets, where POSIX knows no backslash; \Q…\E; groups that do not capture; lazy
 * repetition, which makes no difference to whether something matches; (?i) at the start. What has
 * no counterpart is refused rather than matched wrongly.
 */
#include "ls_regex.h"

#include "buf.h"
#include "mem.h"

#include <ctype.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define MAX_REPEAT 1000 /* Go's */
#define MAX_DEPTH 250
#define MAX_ATOMS 10000 /* with all repetitions written out, as regcomp does */

struct translation {
	const char *at;
	struct buf out;
	unsigned depth;
	unsigned last;                 /* atoms of what a repetition now would repeat */
	unsigned atoms[MAX_DEPTH + 1]; /* so far in the group of each depth */
	int flags;
};

static int refuse(const char *what, const char *text, size_t len, struct err *err)
{
	return err_set(err, ERR_USER, "error parsing regexp: %s: `%.*s`", what, (int)len, text);
}

static int is_word(int c)
{
	return isalnum(c) || c == '_';
}

static int is_space(int c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\f' || c == '\r';
}

static int is_ascii(int c)
{
	return c < 0x80;
}

/* Sets of bytes are what \d and its like mean, and what stands in brackets. Adds the class of that
 * name, or, for `others`, what is not in it; false: there is none. */
static bool add_class(bool *set, const char *name, size_t len, bool others)
{
	static const struct {
		const char *name;
		int (*has)(int c);
	} classes[] = {{"d", isdigit}, {"s", is_space}, {"w", is_word}, {"alnum", isalnum},
		{"alpha", isalpha}, {"ascii", is_ascii}, {"blank", isblank}, {"cntrl", iscntrl},
		{"digit", isdigit}, {"graph", isgraph}, {"lower", islower}, {"print", isprint},
		{"punct", ispunct}, {"space", isspace}, {"upper", isupper}, {"word", is_word},
		{"xdigit", isxdigit}};
	size_t i = 0;

	while (i < ARRAY_SIZE(classes) &&
		(strlen(classes[i].name) != len || memcmp(classes[i].name, name, len) != 0))
		i++;
	for (int c = 1; i < ARRAY_SIZE(classes) && c <= UCHAR_MAX; c++)
		set[c] = set[c] || !classes[i].has(c) == others;
	return i < ARRAY_SIZE(classes);
}

/* \d, \D and their like. */
static bool add_escaped_class(bool *set, const char *at)
{
	char name = (char)tolower((unsigned char)at[1]);

	return at[0] == '\\' && add_class(set, &name, 1, isupper((unsigned char)at[1]));
}

/* POSIX takes "]" for a member at the beginning only, "-" at the end, "^" anywhere but first, and
 * "[" with what may follow it for more than that. With REG_ICASE, a range has only letters or
 * none. */
static void write_set(struct translation *t, const bool *set, bool negated)
{
	_cleanup_buf_ struct buf plain = BUF_INIT;

	for (int c = 1, end; c <= UCHAR_MAX; c = end) {
		for (end = c; end <= UCHAR_MAX && set[end] && !strchr("]^-[", end) &&
			      !isalpha(end) == !isalpha(c);)
			end++;
		if (end > c)
			buf_addf(&plain, "%c%s", c, end > c + 2 ? "-" : "");
		if (end > c + 1)
			buf_addc(&plain, (char)(end - 1));
		end += end == c;
	}
	if (!negated && set['^'] && !set[']'] && !set['['] && !plain.len)
		buf_adds(&t->out, set['-'] ? "[-^]" : "\\^"); /* [^…] would mean the opposite */
	else
		buf_addf(&t->out, "[%s%s%s%s%s%s]", negated ? "^" : "", set[']'] ? "]" : "",
			buf_str(&plain), set['['] ? "[" : "", set['^'] ? "^" : "",
			set['-'] ? "-" : "");
}

static void literal(struct translation *t, char c)
{
	/* with a backslash "<>`'" would be GNU's anchors */
	bool plain = !ispunct((unsigned char)c) || strchr("<>`'", c);

	buf_addf(&t->out, "%s%c", plain ? "" : "\\", c);
}

/* \Q…\E: each character stands for itself; what follows repeats the last one. */
static int quoted(struct translation *t)
{
	const char *begin = t->at + 2, *end = strstr(begin, "\\E");
	const char *stop = end ? end : begin + strlen(begin);

	for (const char *p = begin; p < stop; p++)
		literal(t, *p);
	if (stop > begin) {
		t->last = 1;
		t->atoms[t->depth] += (unsigned)(stop - begin);
	}
	t->at = stop + (end ? 2 : 0);
	return 0;
}

static int escape(struct translation *t, struct err *err)
{
	bool set[UCHAR_MAX + 1] = {false};
	char c = t->at[1];

	if (!c)
		return refuse("trailing backslash at end of expression", "", 0, err);
	if (add_escaped_class(set, t->at))
		write_set(t, set, false);
	else if (ispunct((unsigned char)c))
		literal(t, c);
	else if (c == 'b' || c == 'B')
		buf_addf(&t->out, "\\%c", c);
	else if (c == 'A' || c == 'z')
		buf_adds(&t->out, c == 'A' ? "\\`" : "\\'");
	else
		return refuse("invalid escape sequence", t->at, 2, err);
	t->at += 2;
	return 0;
}

static int member_byte(const char **at, unsigned char *ret, struct err *err)
{
	const char *p = *at;

	if (*p == '\\' && !ispunct((unsigned char)p[1]))
		return refuse("invalid escape sequence", p, 2, err);
	p += *p == '\\';
	*ret = (unsigned char)*p;
	*at = p + 1;
	return 0;
}

/* One byte, a range or a class. */
static int member(const char **at, bool *set, struct err *err)
{
	const char *begin = *at, *end = strncmp(begin, "[:", 2) == 0 ? strstr(begin, ":]") : NULL;
	unsigned char first, last;

	if (end) {
		const char *name = begin + 2 + (begin[2] == '^');
		*at = end + 2;
		if (end > name + 1 && add_class(set, name, (size_t)(end - name), begin[2] == '^'))
			return 0;
		return refuse("invalid character class range", begin, (size_t)(*at - begin), err);
	}
	if (add_escaped_class(set, begin)) {
		*at += 2;
		return 0;
	}
	if (member_byte(at, &first, err) < 0)
		return -1;
	last = first;
	if ((*at)[0] == '-' && (*at)[1] && (*at)[1] != ']') {
		++*at;
		if (member_byte(at, &last, err) < 0)
			return -1;
	}
	if (last < first)
		return refuse("invalid character class range", begin, (size_t)(*at - begin), err);
	for (int c = first; c <= last; c++)
		set[c] = true;
	return 0;
}

static int brackets(struct translation *t, struct err *err)
{
	bool set[UCHAR_MAX + 1] = {false};
	const char *begin = t->at, *p = begin + 1, *first;
	bool negated = *p == '^';

	p += negated;
	for (first = p; *p && (*p != ']' || p == first);)
		if (member(&p, set, err) < 0)
			return -1;
	if (!*p)
		return refuse("missing closing ]", begin, strlen(begin), err);
	for (int c = 'a'; t->flags & REG_ICASE && c <= 'z'; c++)
		set[c] = set[toupper(c)] = set[c] || set[toupper(c)];
	write_set(t, set, negated);
	t->at = p + 1;
	return 0;
}

static int group(struct translation *t, struct err *err)
{
	bool special = t->at[1] == '?';
	const char *name = special ? t->at + 2 + (t->at[2] == 'P') : "";
	const char *end = strchr(name, '>');

	if (!special)
		t->at += 1;
	else if (t->at[2] == ':')
		t->at += 3;
	else if (end && name[0] == '<' && isalpha((unsigned char)name[1]))
		t->at = end + 1;
	else
		return refuse("invalid or unsupported Perl syntax", t->at, strnlen(t->at, 3), err);
	if (t->depth == MAX_DEPTH)
		return refuse("expression nests too deeply", "(", 1, err);
	t->atoms[++t->depth] = 0;
	buf_addc(&t->out, '(');
	return 0;
}

static int end_group(struct translation *t, struct err *err)
{
	if (t->depth == 0) /* POSIX would take it as it is */
		return refuse("unexpected )", t->at, strlen(t->at), err);
	t->last = t->atoms[t->depth--] + 1;
	t->atoms[t->depth] += t->last;
	buf_addc(&t->out, *t->at++);
	return 0;
}

/* Length of the number at s; 0: none. To Go, one that begins with a zero is none, too. */
static size_t number(const char *s)
{
	size_t n = strspn(s, "0123456789");

	return n > 1 && *s == '0' ? 0 : n;
}

/* Length of the repetition at s, without a lazy "?"; 0: none. */
static size_t repetition(const char *s)
{
	size_t n = 1 + number(s + (*s != '\0'));

	if (*s && strchr("*+?", *s))
		return 1;
	if (*s != '{' || n == 1)
		return 0;
	if (s[n] == ',')
		n += 1 + number(s + n + 1);
	return s[n] == '}' ? n + 1 : 0;
}

/* How often, at most, the repetition of n bytes at s writes out what it repeats. */
static unsigned long times(const char *s, size_t n)
{
	const char *comma = memchr(s, ',', n);
	unsigned long low = *s == '{' ? strtoul(s + 1, NULL, 10) : 1;
	unsigned long high = comma ? strtoul(comma + 1, NULL, 10) : 0;

	low = MAX(low, high);
	return MAX(low, 1ul);
}

static int count(struct translation *t, size_t n, struct err *err)
{
	unsigned long factor = times(t->at, n);

	if (factor > MAX_REPEAT)
		return refuse("invalid repeat count", t->at, n, err);
	t->atoms[t->depth] += t->last * (unsigned)(factor - 1);
	t->last *= (unsigned)factor;
	return 0;
}

/* What POSIX takes one after the other is a mistake to Go. */
static int repeat(struct translation *t, size_t n, struct err *err)
{
	const char *begin = t->at, *end = begin + n;

	buf_add(&t->out, begin, n);
	end += *end == '?';
	if (repetition(end))
		return refuse("invalid nested repetition operator", begin,
			(size_t)(end - begin) + repetition(end), err);
	if (count(t, n, err) < 0)
		return -1;
	t->at = end;
	return 0;
}

/* Something that stands for one character, or a mark. */
static int atom(struct translation *t, struct err *err)
{
	t->last = 1;
	t->atoms[t->depth]++;
	if (*t->at == '\\')
		return escape(t, err);
	if (*t->at == '[')
		return brackets(t, err);
	if (*t->at == '{') /* no number follows */
		buf_addc(&t->out, '\\');
	buf_addc(&t->out, *t->at++);
	return 0;
}

static int translate(struct translation *t, struct err *err)
{
	while (*t->at) {
		size_t n = repetition(t->at);
		bool quote = t->at[0] == '\\' && t->at[1] == 'Q';
		int rc = n               ? repeat(t, n, err)
			 : quote         ? quoted(t)
			 : *t->at == '(' ? group(t, err)
			 : *t->at == ')' ? end_group(t, err)
					 : atom(t, err);

		if (rc < 0)
			return -1;
		if (t->atoms[t->depth] > MAX_ATOMS)
			return refuse("expression too large", "", 0, err);
	}
	return 0;
}

int regex_compile(const char *text, regex_t *ret, struct err *err)
{
	struct translation t = {.at = text, .flags = REG_EXTENDED | REG_NOSUB};
	int rc;

	if (strncmp(text, "(?i)", 4) == 0) {
		t.at += 4;
		t.flags |= REG_ICASE;
	}
	rc = translate(&t, err);
	if (rc == 0 && (rc = regcomp(ret, buf_str(&t.out), t.flags)) != 0) {
		char why[128];
		regerror(rc, ret, why, sizeof(why));
		rc = refuse(why, text, strlen(text), err);
	}
	buf_finish(&t.out);
	return rc;
}
