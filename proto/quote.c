#include "quote.h"

#include "buf.h"
#include "utf8.h"

#include <string.h>

/* Length of the printable character at s; 0 if it is none. C1 controls count as none. */
static size_t printable(const char *s)
{
	size_t n = utf8_sequence(s, strlen(s));

	if (n == 1)
		return *s >= ' ' && *s < 0x7f;
	return n == 2 && (unsigned char)s[0] == 0xc2 && (unsigned char)s[1] < 0xa0 ? 0 : n;
}

char *go_quote(const char *s)
{
	static const char plain[] = "\a\b\f\n\r\t\v\\\"", letter[] = "abfnrtv\\\"";
	struct buf b = BUF_INIT;

	buf_addc(&b, '"');
	while (*s) {
		const char *special = strchr(plain, *s);
		size_t n = printable(s);
		if (special)
			buf_addf(&b, "\\%c", letter[special - plain]);
		else if (n)
			buf_add(&b, s, n);
		else
			buf_addf(&b, "\\x%02x", (unsigned char)*s);
		s += special || !n ? 1 : n;
	}
	buf_addc(&b, '"');
	return buf_steal(&b);
}
