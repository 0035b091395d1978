/* How each of several machines came out: a table on standard error, at a command's end. */
#pragma once

#include "err.h"
#include "strv.h"

#include <stdint.h>

struct outcome {
	const char *text;      /* "created", "failed", … */
	uint64_t ms;           /* how long it took */
	const struct err *err; /* NULL, or not set: none */
};

/* all: one for each name; after: lines that follow the table. */
void outcomes_print(const struct strv *names, const struct outcome *all, const char *after);
