/* Several machines made by one command: how each ended, in a table at its end. */
#pragma once

#include "cli.h"

struct create_many {
	struct cli *cli;
	const struct strv *names;
	unsigned parallel;
	bool remove_failed; /* --on-failure remove */
	/* Makes one, or goes on with it. */
	int (*make)(struct co *co, struct cli *cli, const char *name, struct err *err);
};

/* Makes all, whatever becomes of the others; prints the table on standard error. -1: one failed, or
 * was never begun. */
int create_many(struct co *co, const struct create_many *what, struct err *err);

/* After a failed create with --on-failure remove: removes what was made, if anything was, and says
 * so in the error. Not when the user wants to end. Returns -1. */
int create_undo(struct co *co, struct cli *cli, const char *name, struct err *err);
