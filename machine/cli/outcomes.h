/* How each of several machines came out: a table on standard error, at a command's end. */
#pragma once

#include "cli.h"

struct outcome {
	const char *text;      /* "created", "failed", … */
	uint64_t ms;           /* how long it took */
	const struct err *err; /* NULL, or not set: none */
};

/* all: one for each name; after: lines that follow the table. */
void outcomes_print(const struct strv *names, const struct outcome *all, const char *after);

/* What a command over several machines knows of one. */
struct ending {
	bool begun;
	const char *done; /* instead of what is said of all */
	uint64_t ms;
	struct err err;
};
/* Takes them all. done: "stopped". -1 if one failed or was not begun: by the program's old name,
 * and about one machine, with the text of each; else with how many, after the table. */
int outcomes_tell(const struct cli *cli, const struct strv *names, struct ending *take_all,
	const char *done, struct err *err);
