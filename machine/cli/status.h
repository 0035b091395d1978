/*
 * The status lines: on a terminal, below the output, what each machine is at, and for how long: one
 * line for a command about one machine; for several a line each, and one for all. Elsewhere nothing
 * of it shows.
 */
#pragma once

#include "co.h"

#include <stdbool.h>
#include <stdio.h>

struct status;

/* NULL unless out is a terminal that can rewrite a line (TERM is set and not "dumb"). */
struct status *status_new(struct loop *loop, FILE *out);
/* The command is about so many machines. From then on a machine is shown from its first step until
 * status_end. */
void status_begin(struct status *s, size_t machines);
/* What a machine comes to; strings are copied. */
void status_step(struct status *s, const char *machine, const char *step);
/* What it is at within its step; text NULL or empty: nothing any more. percent: how much of it is
 * done, if that is known; 0: it is not. */
void status_set(struct status *s, const char *machine, const char *text, int percent);
void status_end(struct status *s, const char *machine, bool failed);
/* Around lines that are printed meanwhile: takes the status line away, and brings it back. */
void status_hide(struct status *s);
void status_show(struct status *s);
/* Takes the line away for good; before the loop is freed. All of these take NULL. */
void status_free(struct status *s);

/* --- status_text.c, also for tests --- */

struct status_entry {
	char *machine;
	char *step;          /* NULL: none was told */
	char *text;          /* NULL: the step says it all */
	uint64_t step_since; /* loop time, ms */
	uint64_t since;      /* … of the text */
	int percent;         /* 0: not counted */
};

/* Of a command about several machines. */
struct status_counts {
	size_t all, done, failed;
};

/* One line of at most `width` columns for one machine; "" for none. malloc'ed. */
char *status_text(const struct status_entry *entry, uint64_t now, size_t width);
/* At most `height` lines (two at least) without the last one's end: all machines in numbers, those
 * that are at work in their order, and those that there is no room for in one. malloc'ed. */
char *status_lines(const struct status_entry *entries, size_t n, const struct status_counts *counts,
	uint64_t now, size_t width, size_t height);
