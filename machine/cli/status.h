/*
 * The status line: on a terminal, one line below the output that tells what each machine is at, and
 * for how long. Elsewhere nothing of it shows.
 */
#pragma once

#include "co.h"

#include <stdbool.h>
#include <stdio.h>

struct status;

/* NULL unless out is a terminal that can rewrite a line (TERM is set and not "dumb"). */
struct status *status_new(struct loop *loop, FILE *out);
/* What a machine is at; text NULL or empty: nothing any more. Strings are copied. percent: how much
 * of it is done, if that is known; 0: it is not. */
void status_set(struct status *s, const char *machine, const char *text, int percent);
/* Around lines that are printed meanwhile: takes the status line away, and brings it back. */
void status_hide(struct status *s);
void status_show(struct status *s);
/* Takes the line away for good; before the loop is freed. All of these take NULL. */
void status_free(struct status *s);

/* One line of at most `width` columns for `n` machines. malloc'ed. For tests, too. */
struct status_entry {
	char *machine, *text;
	uint64_t since; /* loop time, ms */
	int percent;    /* 0: not counted */
};
char *status_text(const struct status_entry *entries, size_t n, uint64_t now, size_t width);
