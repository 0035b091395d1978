#include "proc_stderr.h"

#include "log.h"
#include "mem.h"
#include "proc.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void report_dropped(struct proc_stderr *s)
{
	if (s->dropped > 0)
		log_debug("driver \"%s\"[%d]: (%" PRIu64 " lines dropped)", s->name, s->pid,
			s->dropped);
	s->dropped = 0;
}

/* Line as it can be shown: no control characters, no blanks at its end. */
static char *clean(const char *line, size_t len)
{
	char *s;

	while (len > 0 && ((unsigned char)line[len - 1] <= ' '))
		len--;
	s = xstrndup(line, len);
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c < ' ' || c == 0x7f)
			s[i] = c == '\t' ? ' ' : '?';
	}
	return s;
}

/* Cuts without leaving half a UTF-8 sequence. */
static void cut_to(char *s, size_t max)
{
	if (strlen(s) <= max)
		return;
	while (max > 0 && ((unsigned char)s[max] & 0xc0) == 0x80)
		max--;
	s[max] = '\0';
}

static void end_line(struct proc_stderr *s, uint64_t second)
{
	char *text;

	if (second != s->window) {
		report_dropped(s);
		s->window = second;
		s->lines = 0;
	}
	if (s->line.len > 0) {
		text = clean(s->line.data, s->line.len);
		if (++s->lines > PROC_STDERR_LINES_PER_SECOND)
			s->dropped++;
		else if (s->machine)
			log_debug("(%s) DBG | %s", s->machine, text);
		else
			log_debug("driver \"%s\"[%d]: %s", s->name, s->pid, text);
		cut_to(text, PROC_LAST_WORDS_MAX);
		if (*text) {
			free(s->last);
			s->last = text;
		} else {
			free(text);
		}
	}
	buf_clear(&s->line);
	s->cut = false;
}

void proc_stderr_feed(struct proc_stderr *s, uint64_t now_ms, const char *data, size_t len)
{
	const char *end = data + len;

	while (data < end) {
		const char *newline = memchr(data, '\n', (size_t)(end - data));
		size_t n = (size_t)((newline ? newline : end) - data);
		size_t room = PROC_STDERR_LINE_MAX - s->line.len;

		if (n > room) {
			n = room;
			s->cut = true;
		}
		if (n > 0)
			buf_add(&s->line, data, n);
		if (!newline)
			return;
		end_line(s, now_ms / 1000);
		data = newline + 1;
	}
}

void proc_stderr_end(struct proc_stderr *s)
{
	if (s->line.len > 0)
		end_line(s, s->window);
	report_dropped(s);
}

void proc_stderr_finish(struct proc_stderr *s)
{
	buf_finish(&s->line);
	free(take(s->last));
	free(take(s->machine));
}
