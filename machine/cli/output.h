/* The standard streams: what happens when one is closed, full, or nobody reads it any more. */
#pragma once

#include "err.h"

#include <stdbool.h>

/* First of all: descriptors 0, 1 and 2 are open from now on. */
void output_guard(void);
/* One line without tabs and without anything that a terminal obeys, of a text that a driver, a host
 * or a file gave; malloc'ed. */
char *output_clean(const char *text);
/* Writes out what is pending and remembers the first failure, whichever call it happened in. */
void output_flush(void);
/*
 * The program's end. Results that could not be written are an error; so is progress on a full disk,
 * but not progress that nobody reads: what was done stays done. A reader of results that left
 * (machine ls | head -1) ends the program as it ends any other, by SIGPIPE.
 */
int output_check(bool is_result, struct err *err);
