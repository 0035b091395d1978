#include "ssh.h"

#include "mem.h"

#include <string.h>

/* Bytes that no POSIX shell treats specially, wherever they stand in a word. Not '=': the first
 * word of a command would be an assignment. */
static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
			    "_-+./,:@%";

char *shell_quote(const char *word)
{
	struct buf b = BUF_INIT;

	if (*word && word[strspn(word, plain)] == '\0')
		return xstrdup(word);
	buf_addc(&b, '\'');
	for (const char *p = word; *p; p++) {
		if (*p == '\'')
			buf_adds(&b, "'\\''");
		else
			buf_addc(&b, *p);
	}
	buf_addc(&b, '\'');
	return buf_steal(&b);
}
