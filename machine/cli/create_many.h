/* Several machines made by one command: how each ended, in a table at its end. */
#pragma once

#include "cli.h"

/* Makes one, or goes on with it. */
typedef int (*create_fn)(
	struct co *co, struct cli *cli, const char *name, struct create_end *end, struct err *err);

struct create_many {
	struct cli *cli;
	const struct strv *names;
	bool remove_failed; /* --on-failure remove */
	create_fn make;
};

/* Makes all, as many at once as the flag or the driver says, whatever becomes of the others; prints
 * the table on standard error. -1: one failed, or was never begun. */
int create_many(struct co *co, const struct create_many *what, struct err *err);

/* Adds to the error what became of a half-made machine, and what to do about it. */
void create_advise(const char *name, enum create_left left, struct err *err);
