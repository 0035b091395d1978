#include "chars.h"

#include "mem.h"
#include "utf8.h"

#include <ctype.h>
#include <string.h>

uint32_t char_decode(const char *s, size_t n, size_t *ret_len)
{
	static const unsigned char masks[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
	size_t len = utf8_sequence(s, n);

	*ret_len = MAX(len, (size_t)1);
	if (!len)
		return RUNE_ERROR;
	uint32_t rune = (unsigned char)s[0] & masks[len];
	for (size_t i = 1; i < len; i++)
		rune = rune << 6 | ((unsigned char)s[i] & 0x3f);
	return rune;
}

void char_encode(uint32_t rune, struct buf *out)
{
	if (rune > RUNE_MAX || (rune >= 0xd800 && rune < 0xe000))
		rune = RUNE_ERROR;
	if (rune < 0x80) {
		buf_addc(out, (char)rune);
	} else if (rune < 0x800) {
		buf_addc(out, (char)(0xc0 | rune >> 6));
		buf_addc(out, (char)(0x80 | (rune & 0x3f)));
	} else if (rune < 0x10000) {
		buf_addc(out, (char)(0xe0 | rune >> 12));
		buf_addc(out, (char)(0x80 | (rune >> 6 & 0x3f)));
		buf_addc(out, (char)(0x80 | (rune & 0x3f)));
	} else {
		buf_addc(out, (char)(0xf0 | rune >> 18));
		buf_addc(out, (char)(0x80 | (rune >> 12 & 0x3f)));
		buf_addc(out, (char)(0x80 | (rune >> 6 & 0x3f)));
		buf_addc(out, (char)(0x80 | (rune & 0x3f)));
	}
}

size_t char_prefix(const char *s, size_t n, size_t runes)
{
	size_t at = 0, len;

	for (; runes && at < n; runes--, at += len)
		char_decode(s + at, n - at, &len);
	return at;
}

size_t char_count(const char *s, size_t n)
{
	size_t count = 0, len;

	for (size_t at = 0; at < n; at += len, count++)
		char_decode(s + at, n - at, &len);
	return count;
}

size_t char_is_word(const char *s, size_t n)
{
	if (n && (unsigned char)*s < 0x80)
		return isalnum((unsigned char)*s) || *s == '_';
	return utf8_sequence(s, n);
}

bool char_printable(uint32_t rune)
{
	/* controls, formats, blanks, private ones and those that are no characters */
	static const struct {
		uint32_t from, to;
	} not [] = {
		{0, 0x1f},
		{0x7f, 0xa0},
		{0xad, 0xad},
		{0x600, 0x605},
		{0x61c, 0x61c},
		{0x6dd, 0x6dd},
		{0x70f, 0x70f},
		{0x1680, 0x1680},
		{0x180e, 0x180e},
		{0x2000, 0x200f},
		{0x2028, 0x202f},
		{0x205f, 0x206f},
		{0x3000, 0x3000},
		{0xd800, 0xf8ff},
		{0xfeff, 0xfeff},
		{0xfff0, 0xfffb},
		{0xfffe, 0xffff},
		{0xe0000, UINT32_MAX},
	};

	for (size_t i = 0; i < ARRAY_SIZE(not ) && not [i].from <= rune; i++)
		if (rune <= not [i].to)
			return false;
	return true;
}

char *char_describe(const char *s, size_t n)
{
	size_t len;

	if (!n) /* as Go shows its mark for the end of the input */
		return xstrdup("U+FFFFFFFFFFFFFFFF");
	uint32_t rune = char_decode(s, n, &len);
	if (!char_printable(rune))
		return xasprintf("U+%04X", rune);
	struct buf b = BUF_INIT;
	buf_addf(&b, "U+%04X '", rune);
	char_encode(rune, &b);
	buf_addc(&b, '\'');
	return buf_steal(&b);
}

static void add_escaped(uint32_t rune, char quote, enum quote_style style, struct buf *out)
{
	static const char plain[] = "\a\b\f\n\r\t\v", letter[] = "abfnrtv";
	const char *special = rune && rune < 0x80 ? strchr(plain, (int)rune) : NULL;

	if (special)
		buf_addf(out, "\\%c", letter[special - plain]);
	else if (rune == '\\' || rune == (unsigned char)quote)
		buf_addf(out, "\\%c", (char)rune);
	else if (rune < 0x80 ? char_printable(rune) : style == QUOTE_UTF8 && char_printable(rune))
		char_encode(rune, out);
	else if (rune < ' ' || rune == 0x7f)
		buf_addf(out, "\\x%02x", rune);
	else
		buf_addf(out, rune < 0x10000 ? "\\u%04x" : "\\U%08x", rune);
}

void char_add_quoted(const char *s, size_t n, char quote, enum quote_style style, struct buf *out)
{
	size_t len;

	buf_addc(out, quote);
	for (size_t at = 0; at < n; at += len) {
		uint32_t rune = char_decode(s + at, n - at, &len);
		if (rune == RUNE_ERROR && len == 1)
			buf_addf(out, "\\x%02x", (unsigned char)s[at]);
		else
			add_escaped(rune, quote, style, out);
	}
	buf_addc(out, quote);
}

void char_add_quoted_rune(uint32_t rune, enum quote_style style, struct buf *out)
{
	if (rune > RUNE_MAX || (rune >= 0xd800 && rune < 0xe000))
		rune = RUNE_ERROR;
	buf_addc(out, '\'');
	add_escaped(rune, '\'', style, out);
	buf_addc(out, '\'');
}

char *char_quote(const char *s, size_t n, char quote)
{
	struct buf b = BUF_INIT;

	char_add_quoted(s, n, quote, QUOTE_UTF8, &b);
	return buf_steal(&b);
}
