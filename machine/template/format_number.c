/* Integers and floats by Go's verbs. */
#include "format.h"

#include "chars.h"
#include "mem.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define DIGITS_MAX 17 /* what tells any two float64 apart */

static void add_repeated(struct buf *out, size_t n, char c)
{
	if (!n)
		return;
	memset(buf_reserve(out, n), c, n);
	out->len += n;
	out->data[out->len] = '\0';
}

static void add_padding(struct format *f, size_t n, char c)
{
	add_repeated(f->out, n, c);
}

void format_pad(struct format *f, const char *s, size_t n)
{
	size_t width = f->has_width ? (size_t)f->width : 0, shown = char_count(s, n);
	size_t padding = width > shown ? width - shown : 0;

	if (!f->minus)
		add_padding(f, padding, f->zero ? '0' : ' ');
	buf_add(f->out, s, n);
	if (f->minus)
		add_padding(f, padding, ' ');
}

/* As format_pad, but with blanks whatever the flags say. */
static void pad_blanks(struct format *f, const char *s, size_t n)
{
	bool zero = f->zero;

	f->zero = false;
	format_pad(f, s, n);
	f->zero = zero;
}

struct radix {
	uint32_t verb;
	unsigned base;
	const char *prefix; /* with #; %O always */
};

static void digits_of(uint64_t u, const struct radix *r, struct buf *reversed)
{
	const char *set = r->verb == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";

	do {
		buf_addc(reversed, set[u % r->base]);
		u /= r->base;
	} while (u);
}

static void add_integer(struct format *f, uint64_t u, bool negative, const struct radix *r)
{
	_cleanup_buf_ struct buf back = BUF_INIT, text = BUF_INIT;
	char sign = negative ? '-' : f->plus ? '+' : f->space ? ' ' : '\0';
	size_t precision = 0;

	if (f->has_precision && !f->precision && !u) {
		pad_blanks(f, "", 0);
		return;
	}
	if (f->has_precision)
		precision = (size_t)f->precision;
	else if (f->zero && f->has_width)
		precision = (size_t)f->width - (sign && f->width ? 1 : 0);
	digits_of(u, r, &back);
	size_t zeros = precision > back.len ? precision - back.len : 0;
	bool zero_first = zeros || back.data[back.len - 1] == '0';
	if (sign)
		buf_addc(&text, sign);
	if (r->verb == 'O' || f->sharp)
		buf_adds(&text, r->prefix);
	if (f->sharp && r->base == 8 && !zero_first)
		buf_addc(&text, '0');
	add_repeated(&text, zeros, '0');
	for (size_t i = back.len; i--;)
		buf_addc(&text, back.data[i]);
	pad_blanks(f, buf_str(&text), text.len);
}

static void add_unicode(struct format *f, uint64_t u)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	int precision = f->has_precision && f->precision > 4 ? f->precision : 4;

	buf_addf(&b, "U+%0*llX", precision, (unsigned long long)u);
	if (f->sharp && u <= RUNE_MAX && char_printable((uint32_t)u)) {
		buf_adds(&b, " '");
		char_encode((uint32_t)u, &b);
		buf_addc(&b, '\'');
	}
	pad_blanks(f, buf_str(&b), b.len);
}

static void add_rune(struct format *f, uint64_t u, bool quoted)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	uint32_t rune = u > RUNE_MAX ? RUNE_ERROR : (uint32_t)u;

	if (quoted)
		char_add_quoted_rune(rune, f->plus ? QUOTE_ASCII : QUOTE_UTF8, &b);
	else
		char_encode(rune, &b);
	format_pad(f, buf_str(&b), b.len);
}

bool format_integer(struct format *f, uint32_t verb, uint64_t u, bool is_signed)
{
	static const struct radix radixes[] = {
		{'d', 10, ""},
		{'v', 10, ""},
		{'b', 2, "0b"},
		{'o', 8, ""},
		{'O', 8, "0o"},
		{'x', 16, "0x"},
		{'X', 16, "0X"},
	};
	bool negative = is_signed && (int64_t)u < 0;

	if (verb == 'v' && f->sharp_v && !is_signed) {
		bool sharp = f->sharp;
		f->sharp = true;
		add_integer(f, u, false, &radixes[5]);
		f->sharp = sharp;
		return true;
	}
	for (size_t i = 0; i < ARRAY_SIZE(radixes); i++) {
		if (radixes[i].verb != verb)
			continue;
		add_integer(f, negative ? 0 - u : u, negative, &radixes[i]);
		return true;
	}
	if (verb == 'c' || verb == 'q')
		add_rune(f, u, verb == 'q');
	else if (verb == 'U')
		add_unicode(f, u);
	else
		return false;
	return true;
}

/* The fewest digits that are read back as the same number. */
static int shortest(double d)
{
	char text[64];

	for (int digits = 1; digits < DIGITS_MAX; digits++) {
		snprintf(text, sizeof(text), "%.*e", digits - 1, d);
		if (strtod(text, NULL) == d)
			return digits;
	}
	return DIGITS_MAX;
}

/* 'g', 'e' or 'f' with the fewest digits. */
static char *float_shortest(double d, char verb)
{
	int digits = shortest(d), exponent;
	_cleanup_free_ char *text = xasprintf("%.*e", digits - 1, d);
	const char *e = strchr(text, 'e');

	exponent = e ? (int)strtol(e + 1, NULL, 10) : 0;
	if (verb == 'g')
		verb = exponent >= -4 && exponent < 6 ? 'f' : 'e';
	if (verb == 'f')
		return xasprintf("%.*f", MAX(digits - 1 - exponent, 0), d);
	return take(text);
}

/* Hexadecimal: 1 before the point, also where rounding made 2 of it; the exponent has two digits at
 * least. */
static char *float_hex(double d, int precision)
{
	_cleanup_free_ char *text =
		precision < 0 ? xasprintf("%a", d) : xasprintf("%.*a", precision, d);
	char *p = strchr(text, 'p'), *two = p ? strstr(text, "0x2") : NULL;

	if (!p)
		return take(text);
	if (two)
		two[2] = '1';
	return xasprintf("%.*s%+03ld", (int)(p + 1 - text), text, strtol(p + 1, NULL, 10) + !!two);
}

static char *float_binary(double d)
{
	int exponent = -1074;
	double fraction = d == 0 ? 0 : frexp(d, &exponent);

	if (d == 0)
		return xasprintf("%s0p-1074", signbit(d) ? "-" : "");
	int shift = MAX(-1074, exponent - 53) - exponent;
	return xasprintf("%.0fp%+d", ldexp(fraction, -shift), exponent + shift);
}

static char *float_text(double d, char verb, int precision)
{
	char lower = (char)tolower((unsigned char)verb);
	char *text;

	if (isinf(d) || isnan(d))
		return xstrdup(isnan(d) ? "NaN" : d < 0 ? "-Inf" : "Inf");
	if (verb == 'b')
		return float_binary(d);
	if (lower == 'x')
		text = float_hex(d, precision);
	else if (precision < 0)
		text = float_shortest(d, lower);
	else if (lower == 'e')
		text = xasprintf("%.*e", precision, d);
	else if (lower == 'f')
		text = xasprintf("%.*f", precision, d);
	else
		text = xasprintf("%.*g", precision, d);
	for (char *p = text; verb != lower && *p; p++)
		*p = (char)toupper((unsigned char)*p);
	return text;
}

/* '#': always a point, and the zeros that %g drops. text is without its sign. */
static char *keep_point(const char *text, char verb, int precision)
{
	int digits = strchr("gGxX", verb) && verb != 'X' ? (precision < 0 ? 6 : precision) : 0;
	size_t n = strcspn(text, tolower((unsigned char)verb) == 'x' ? "pP" : "eE");
	bool point = false, significant = false;
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < n; i++) {
		if (text[i] == '.') {
			point = true;
			continue;
		}
		significant |= text[i] != '0';
		digits -= significant;
	}
	buf_add(&b, text, n);
	if (!point) {
		digits -= n == 1 && *text == '0';
		buf_addc(&b, '.');
	}
	for (; digits > 0; digits--)
		buf_addc(&b, '0');
	buf_adds(&b, text + n);
	return buf_steal(&b);
}

static void add_float(struct format *f, double d, char verb, int precision)
{
	if (f->has_precision)
		precision = f->precision;
	_cleanup_free_ char *text = float_text(d, verb, precision), *pointed = NULL;
	char sign = *text == '-' ? '-' : f->space && !f->plus ? ' ' : '+';
	const char *number = text + (*text == '-');
	bool special = *number == 'I' || *number == 'N';

	if (f->sharp && verb != 'b' && !special) {
		pointed = keep_point(number, verb, precision);
		number = pointed;
	}
	bool show = f->plus || sign != '+';
	if (special && *number == 'N' && !f->space && !f->plus)
		show = false;
	if (special && *number == 'I')
		show = true; /* Go shows +Inf so */
	_cleanup_free_ char *signed_text = xasprintf("%c%s", sign, number);
	size_t n = strlen(signed_text);
	if (special) {
		pad_blanks(f, signed_text + !show, n - !show);
	} else if (show && f->zero && f->has_width && (size_t)f->width > n) {
		buf_addc(f->out, sign);
		add_padding(f, (size_t)f->width - n, '0');
		buf_adds(f->out, number);
	} else {
		format_pad(f, signed_text + !show, n - !show);
	}
}

bool format_float(struct format *f, uint32_t verb, double d)
{
	if (verb == 'v')
		add_float(f, d, 'g', -1);
	else if (verb && verb < 0x80 && strchr("bgGxX", (int)verb))
		add_float(f, d, (char)verb, -1);
	else if (verb && verb < 0x80 && strchr("feEF", (int)verb))
		add_float(f, d, verb == 'F' ? 'f' : (char)verb, 6);
	else
		return false;
	return true;
}
