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

static const char *class_members(char c)
{
	switch (c) {
	case 'd':
		return "0-9";
	case 'w':
		return "0-9A-Za-z_";
	case 's':
		return "\t\n\f\r ";
	default:
		return NULL;
	}
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
	char c = t->at[1];
	const char *members = class_members((char)tolower((unsigned char)c));

	if (!c)
		return refuse("trailing backslash at end of expression", "", 0, err);
	if (members)
		buf_addf(&t->out, "[%s%s]", isupper((unsigned char)c) ? "^" : "", members);
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

/* POSIX takes "]" for a member at the beginning only, "-" at the end, "^" anywhere but first. */
static int brackets(struct translation *t, struct err *err)
{
	_cleanup_buf_ struct buf members = BUF_INIT;
	const char *begin = t->at, *p = begin + 1, *first;
	bool negated = *p == '^', bracket = false, dash = false, caret = false;

	p += negated;
	for (first = p; *p && (*p != ']' || p == first); p++) {
		const char *class = *p == '\\' ? class_members(p[1]) : NULL;
		const char *posix = p[0] == '[' && p[1] == ':' ? strstr(p + 2, ":]") : NULL;
		bool escaped = *p == '\\' && !class;
		if (escaped && !ispunct((unsigned char)p[1]))
			return refuse("invalid escape sequence", p, 2, err);
		p += class || escaped;
		if (class)
			buf_adds(&members, class);
		else if (posix)
			buf_add(&members, p, (size_t)(posix + 2 - p));
		else if (*p == ']')
			bracket = true;
		else if (*p == '^')
			caret = true;
		else if (*p == '-' && (escaped || p == first || p[1] == ']'))
			dash = true;
		else
			buf_addc(&members, *p);
		p = posix ? posix + 1 : p;
	}
	if (!*p)
		return refuse("missing closing ]", begin, strlen(begin), err);
	if (caret && !bracket && !members.len && !negated) /* [^…] would mean the opposite */
		buf_addf(&t->out, dash ? "[-^]" : "\\^");
	else
		buf_addf(&t->out, "[%s%s%s%s%s]", negated ? "^" : "", bracket ? "]" : "",
			buf_str(&members), caret ? "^" : "", dash ? "-" : "");
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

/* Length of the repetition at s, without a lazy "?"; 0: none. */
static size_t repetition(const char *s)
{
	static const char digits[] = "0123456789";
	size_t n = 1 + strspn(s + (*s != '\0'), digits);

	if (*s && strchr("*+?", *s))
		return 1;
	if (*s != '{' || n == 1)
		return 0;
	if (s[n] == ',')
		n += 1 + strspn(s + n + 1, digits);
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
