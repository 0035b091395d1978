/*
 * Go's syntax is put into POSIX's extended one, which does the rest: classes such as \d, also
 * within brackets, where POSIX knows no backslash; groups that do not capture; lazy repetition,
 * which makes no difference to whether something matches; (?i) at the start. What has no
 * counterpart is refused rather than matched wrongly.
 */
#include "ls_regex.h"

#include "buf.h"
#include "mem.h"

#include <ctype.h>
#include <string.h>

struct translation {
	const char *at;
	struct buf out;
	unsigned depth;
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

static int escape(struct translation *t, struct err *err)
{
	char c = t->at[1];
	const char *members = class_members((char)tolower((unsigned char)c));

	if (!c)
		return refuse("trailing backslash at end of expression", "", 0, err);
	if (members)
		buf_addf(&t->out, "[%s%s]", isupper((unsigned char)c) ? "^" : "", members);
	else if (strchr("<>`'", c)) /* with the backslash they would be GNU's anchors */
		buf_addc(&t->out, c);
	else if (ispunct((unsigned char)c) || c == 'b' || c == 'B')
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
	t->depth++;
	buf_addc(&t->out, '(');
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

/* What POSIX takes one after the other is a mistake to Go. */
static int repeat(struct translation *t, size_t n, struct err *err)
{
	const char *begin = t->at, *end = begin + n;

	buf_add(&t->out, begin, n);
	end += *end == '?';
	if (repetition(end))
		return refuse("invalid nested repetition operator", begin,
			(size_t)(end - begin) + repetition(end), err);
	t->at = end;
	return 0;
}

static int translate(struct translation *t, struct err *err)
{
	while (*t->at) {
		size_t n = repetition(t->at);
		int rc = 0;

		if (n)
			rc = repeat(t, n, err);
		else if (*t->at == '\\')
			rc = escape(t, err);
		else if (*t->at == '[')
			rc = brackets(t, err);
		else if (*t->at == '(')
			rc = group(t, err);
		else if (*t->at == ')' && t->depth-- == 0) /* POSIX would take it as it is */
			rc = refuse("unexpected )", t->at, strlen(t->at), err);
		else if (*t->at == '{') { /* a character, where no number follows */
			buf_adds(&t->out, "\\{");
			t->at++;
		} else
			buf_addc(&t->out, *t->at++);
		if (rc < 0)
			return -1;
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
