/* Several machines made by one command: how each ended, in a table at its end. */
#pragma once

#include "cli.h"

/* Makes one, or goes on with it. *ret_kept as of create_machine. */
typedef int (*create_fn)(
	struct co *co, struct cli *cli, const char *name, bool *ret_kept, struct err *err);

struct create_many {
	struct cli *cli;
	const struct strv *names;
	unsigned parallel;
	bool remove_failed; /* --on-failure remove */
	create_fn make;
};

/* Makes all, whatever becomes of the others; prints the table on standard error. -1: one failed, or
 * was never begun. */
int create_many(struct co *co, const struct create_many *what, struct err *err);

/* After a failed create that has kept something, with --on-failure remove: removes it. Not when the
 * user wants to end. True: it is gone; else the error tells why it could not be removed, too. */
bool create_undo(struct co *co, struct cli *cli, const char *name, struct err *err);
/* Adds to the error what became of a half-made machine, and what to do about it. */
void create_advise(const char *name, bool removed, struct err *err);
