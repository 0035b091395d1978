#include "log.h"

#include "buf.h"
#include "mem.h"
#include "putfile.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static const char *const level_names[] = {
	[LOG_LEVEL_DEBUG] = "debug",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_WARN] = "warn",
	[LOG_LEVEL_ERROR] = "error",
};

static log_sink_fn sink;
static void *sink_userdata;
static bool debug_on;

/* One write per line, so that lines of several processes do not mix. */
static void write_stderr(const char *line)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	buf_adds(&b, line);
	buf_addc(&b, '\n');
	(void)write_all(STDERR_FILENO, b.data, b.len); /* who could be told? */
}

void log_clean(char *text)
{
	for (unsigned char *p = (unsigned char *)text; *p; p++) {
		if ((*p < 0x20 && *p != '\t' && *p != '\n') || *p == 0x7f)
			*p = '?';
		else if (*p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0)
			p[0] = p[1] = '?';
	}
}

void log_neutralise(char *s)
{
	size_t len = strlen(s);

	while (len > 0 && (s[len - 1] == '\n' || s[len - 1] == '\r'))
		s[--len] = '\0';
	for (char *p = s; *p; p++)
		if (*p == '\n' || *p == '\r')
			*p = ' ';
	log_clean(s);
}

void log_set_sink(log_sink_fn fn, void *userdata)
{
	sink = fn;
	sink_userdata = userdata;
}

void log_set_debug(bool on)
{
	debug_on = on;
}

bool log_debug_enabled(void)
{
	return debug_on;
}

void log_line(enum log_level level, const char *fmt, ...)
{
	_cleanup_free_ char *line = NULL;
	int saved = errno;
	va_list ap;

	if (level == LOG_LEVEL_DEBUG && !debug_on)
		return;
	va_start(ap, fmt);
	line = xvasprintf(fmt, ap);
	va_end(ap);
	log_neutralise(line);
	if (sink)
		sink(sink_userdata, level, line);
	else
		write_stderr(line);
	errno = saved;
}

const char *log_level_name(enum log_level level)
{
	return (unsigned)level < ARRAY_SIZE(level_names) ? level_names[level] : "info";
}

enum log_level log_level_parse(const char *name)
{
	for (unsigned i = 0; name && i < ARRAY_SIZE(level_names); i++)
		if (streq(name, level_names[i]))
			return (enum log_level)i;
	return LOG_LEVEL_INFO;
}
