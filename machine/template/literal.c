/* Go's constants: strings, characters, numbers. */
#include "tree.h"

#include "chars.h"
#include "mem.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

static int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 99;
}

/* n digits of a base; -1 if they are none */
static int64_t digits(const char *s, size_t len, size_t n, int base)
{
	int64_t v = 0;

	if (n > len)
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (digit_value(s[i]) >= base)
			return -1;
		v = v * base + digit_value(s[i]);
	}
	return v;
}

/* An escape, after its backslash. Sets *rune or, for a byte, *byte; returns what it takes, 0 if it
 * is none. */
static size_t unescape(const char *s, size_t len, char quote, int64_t *rune, int64_t *byte)
{
	static const char letters[] = "abfnrtv\\", plain[] = "\a\b\f\n\r\t\v\\";
	static const struct {
		char letter;
		size_t n;
	} hex[] = {{'x', 2}, {'u', 4}, {'U', 8}};
	const char *found = len && *s ? strchr(letters, *s) : NULL;

	*rune = *byte = -1;
	if (found || (len && *s == quote)) {
		*rune = found ? plain[found - letters] : *s;
		return 1;
	}
	for (size_t i = 0; i < ARRAY_SIZE(hex); i++) {
		if (!len || *s != hex[i].letter)
			continue;
		int64_t v = digits(s + 1, len - 1, hex[i].n, 16);
		*(i ? rune : byte) = v;
		bool bad = v < 0 || (i && (v > RUNE_MAX || (v >= 0xd800 && v < 0xe000)));
		return bad ? 0 : hex[i].n + 1;
	}
	*byte = digits(s, len, 3, 8);
	return *byte < 0 || *byte > 255 ? 0 : 3;
}

int literal_unquote(
	const char *s, size_t len, struct arena *arena, const char **ret, size_t *ret_len)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	int64_t rune, byte;
	char quote = s[0];

	for (size_t i = 1; i + 1 < len;) {
		if (quote == '`' || s[i] != '\\') {
			if (quote != '`' || s[i] != '\r')
				buf_addc(&b, s[i]);
			i++;
			continue;
		}
		size_t n = unescape(s + i + 1, len - i - 2, quote, &rune, &byte);
		if (!n)
			return -1;
		if (byte >= 0)
			buf_addc(&b, (char)byte);
		else
			char_encode((uint32_t)rune, &b);
		i += n + 1;
	}
	*ret_len = b.len;
	*ret = arena_dup(arena, buf_str(&b), b.len);
	return 0;
}

static const char *char_constant(const char *s, size_t len, struct arena *arena, struct number *ret)
{
	int64_t rune, byte;
	size_t n;

	if (len < 3)
		return "invalid syntax";
	if (s[1] == '\\') {
		n = unescape(s + 2, len - 3, '\'', &rune, &byte);
		if (!n)
			return "invalid syntax";
		n++;
		rune = byte >= 0 ? byte : rune;
	} else {
		rune = char_decode(s + 1, len - 2, &n);
	}
	if (n + 2 != len)
		return arena_printf(arena, "malformed character constant: %.*s", (int)len, s);
	*ret = (struct number){true, true, true, rune, (uint64_t)rune, (double)rune};
	return NULL;
}

/* Underscores may stand between digits, and after a base's prefix. */
static bool underscores_fit(const char *s)
{
	char before = '^';
	size_t i = *s == '-' || *s == '+' ? 1 : 0;
	bool hex = false;

	if (s[i] == '0' && s[i + 1] && strchr("bBoOxX", s[i + 1])) {
		hex = tolower((unsigned char)s[i + 1]) == 'x';
		before = '0';
		i += 2;
	}
	for (; s[i]; i++) {
		bool digit = isdigit((unsigned char)s[i]) || (hex && digit_value(s[i]) < 16);
		if (digit)
			before = '0';
		else if (s[i] == '_' && before == '0')
			before = '_';
		else if (s[i] == '_' || before == '_')
			return false;
		else
			before = '!';
	}
	return before != '_';
}

/* Digits without underscores and sign, "0x" and so on in front; false: none, or too large */
static bool parse_uint(const char *s, uint64_t *ret)
{
	int base = 10;
	uint64_t v = 0;

	if (*s == '0' && s[1]) {
		int letter = tolower((unsigned char)s[1]);
		base = letter == 'x' ? 16 : letter == 'b' ? 2 : 8;
		s += letter == 'x' || letter == 'b' || letter == 'o' ? 2 : 1;
	}
	if (!*s)
		return false;
	for (; *s; s++) {
		int d = digit_value(*s);
		if (d >= base || __builtin_mul_overflow(v, (uint64_t)base, &v) ||
			__builtin_add_overflow(v, (uint64_t)d, &v))
			return false;
	}
	*ret = v;
	return true;
}

static void parse_ints(const char *s, struct number *ret)
{
	bool negative = *s == '-', sign = negative || *s == '+';
	uint64_t u;

	if (!parse_uint(s + sign, &u))
		return;
	ret->is_uint = !sign || u == 0;
	ret->u = u;
	ret->is_int = u <= (uint64_t)INT64_MAX + negative;
	ret->i = negative ? (int64_t)(0 - u) : (int64_t)u;
	if (!ret->is_int)
		ret->i = 0;
}

static bool parse_float(const char *s, double *ret)
{
	char *end;
	bool hex = strpbrk(s, "xX") != NULL;

	if (!strpbrk(s, "0123456789") || strpbrk(s, "iInN") || (hex && !strpbrk(s, "pP")))
		return false;
	errno = 0;
	*ret = strtod(s, &end);
	return !*end && !(errno == ERANGE && (*ret > 1 || *ret < -1));
}

static bool fits(double f, double from, double below)
{
	return f >= from && f < below;
}

const char *literal_number(
	const char *s, size_t len, bool is_char, struct arena *arena, struct number *ret)
{
	char *text = arena_dup(arena, s, len);
	size_t n = 0;

	*ret = (struct number){0};
	if (is_char)
		return char_constant(s, len, arena, ret);
	bool good = underscores_fit(text);
	for (size_t i = 0; i < len; i++)
		if (text[i] != '_')
			text[n++] = text[i];
	text[n] = '\0';
	if (good)
		parse_ints(text, ret);
	if (ret->is_int || ret->is_uint) {
		ret->is_float = true;
		ret->f = ret->is_int ? (double)ret->i : (double)ret->u;
	} else if (good && parse_float(text, &ret->f)) {
		if (!strpbrk(text, ".eEpP"))
			return arena_printf(arena, "integer overflow: \"%.*s\"", (int)len, s);
		ret->is_float = true;
		ret->is_int = fits(ret->f, -0x1p63, 0x1p63) && (double)(int64_t)ret->f == ret->f;
		ret->i = ret->is_int ? (int64_t)ret->f : 0;
		ret->is_uint = fits(ret->f, 0, 0x1p64) && (double)(uint64_t)ret->f == ret->f;
		ret->u = ret->is_uint ? (uint64_t)ret->f : 0;
	} else {
		return arena_printf(arena, "illegal number syntax: \"%.*s\"", (int)len, s);
	}
	return NULL;
}
