/*
 * Log lines. The default sink writes every level to standard error. The program sets a sink of its
 * own that knows which stream a command's talk belongs to; a driver's SDK leaves the default.
 */
#pragma once

#include <stdbool.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };

typedef void (*log_sink_fn)(void *userdata, enum log_level level, const char *line);

void log_set_sink(log_sink_fn fn, void *userdata); /* NULL: the default sink */
void log_set_debug(bool on);
bool log_debug_enabled(void);

/* One line, without newline at its end. Control characters other than tab are replaced. */
void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* What a terminal would obey rather than show is replaced, in place: C0 but for tab and newline,
 * DEL, and C1 in UTF-8. */
void log_clean(char *text);
/* The same; line ends become blanks. */
void log_neutralise(char *s);

#define log_debug(...)                                          \
	do {                                                    \
		if (log_debug_enabled())                        \
			log_line(LOG_LEVEL_DEBUG, __VA_ARGS__); \
	} while (0)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warn(...) log_line(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)

/* "debug", "info", "warn", "error"; unknown names give INFO. */
const char *log_level_name(enum log_level level);
enum log_level log_level_parse(const char *name);
