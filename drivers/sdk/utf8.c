#include "sdk.h"

/* The length of the character at s, 0 if it is none. */
static size_t character(const unsigned char *s, size_t left)
{
	size_t n = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;

	if (s[0] > 0xf4 || n > left)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xf0 && s[1] < 0x90))
		return 0; /* longer than need be */
	if ((s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0; /* a surrogate; past the last character */
	return n;
}

/*
 * What programs and servers print need not be UTF-8, and a driver passes it on in messages. One
 * wrong byte would make the host end the driver (J2). In a JSON text such bytes are inside strings,
 * so replacing them leaves the text as it was otherwise.
 */
void sdk_repair_utf8(char *text, size_t len)
{
	for (size_t i = 0, n; i < len; i += n) {
		n = character((const unsigned char *)text + i, len - i);
		if (n == 0) {
			text[i] = '?';
			n = 1;
		}
	}
}
