/* The end of what something said on its console or in a log, for messages. */
#include "buf.h"
#include "log.h"
#include "machine-driver.h"
#include "md-lock.h"
#include "mem.h"
#include "strv.h"

#include <string.h>

#define LOG_MAX (16u << 20)
#define TAIL_LINES 20
#define TAIL_BYTES 4096

/* Where the last TAIL_LINES lines of a text begin. */
static const char *last_lines(const char *text, size_t len)
{
	const char *p = text + len;

	for (int lines = 0; p > text && len - (size_t)(p - text) < TAIL_BYTES; p--)
		if (p[-1] == '\n' && ++lines == TAIL_LINES)
			break;
	return p;
}

/* A console tells terminals to do things, between its words. */
char *md_tail(char *text, size_t len)
{
	_cleanup_strv_ struct strv lines = STRV_INIT;
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < len; i++)
		if (!text[i] || (text[i] & 0x80))
			text[i] = '?'; /* it is to be UTF-8 */
	while (len && (text[len - 1] == '\n' || text[len - 1] == '\r'))
		text[--len] = '\0';
	strv_split(&lines, last_lines(text, len), '\n');
	strv_foreach (line, &lines) {
		_cleanup_free_ char *clean = xstrdup(line);

		log_neutralise(clean);
		buf_addf(&b, "%s%s", b.len ? "\n" : "", clean);
	}
	return buf_steal(&b);
}

char *md_log_tail(const char *path)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_err_ struct err ignored = ERR_INIT;
	size_t len;

	if (md_read_file(path, LOG_MAX, &text, &len, &ignored) < 0)
		return xstrdup("");
	return md_tail(text, len);
}
