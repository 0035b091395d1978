/* What a command that changes machines tells while it works: lines, a display on a terminal, or a
 * stream of JSON objects (JSON.md), as the flag --progress says. */
#pragma once

#include "app.h"
#include "log.h"

#include <stdbool.h>
#include <stddef.h>

enum progress_mode { PROGRESS_AUTO, PROGRESS_PLAIN, PROGRESS_JSON, PROGRESS_NONE };

struct progress;

/* talk_stdout: what it tells goes to standard output; else all goes to standard error, and there is
 * no display. */
struct progress *progress_new(struct app *app, bool talk_stdout);
void progress_free(struct progress *p);

/* "auto", "plain", "json", "none"; ERR_USER for anything else. */
int progress_set_mode(struct progress *p, const char *name, struct err *err);
/* There is a place for questions, and for what they are about. */
bool progress_may_ask(const struct progress *p);

/* Lines that a machine's coroutine logs get "(MACHINE) " before them. */
void progress_name_lines(struct progress *p);
/* The command is about so many machines; each is told with its first step and its end. */
void progress_begin(struct progress *p, size_t machines);
void progress_start(struct progress *p, const char *machine, const char *step);
/* err NULL or not set: done. */
void progress_end(struct progress *p, const char *machine, const struct err *err);

/* A log line, without its newline; machine: whom it is about, or NULL. */
void progress_line(struct progress *p, enum log_level level, const char *machine, const char *line);
