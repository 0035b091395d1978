/*
 * machine-image: what `machine image` starts. main.c has the table of subcommands, show.c shows how
 * far long work is, list.c is `ls`, build.c is `build`.
 */
#pragma once

#include "flags.h"
#include "md-watch.h"
#include "strv.h"

#include <stdbool.h>
#include <stddef.h>

struct image_cli {
	const char *store_path;
	const struct md_watch *w;
	const struct subcommand *cmd;
	struct parsed args;
	int status; /* exit status if all goes well */
};

struct subcommand {
	const char *name;
	const char *args;
	const char *summary;
	const char *description;
	const struct cli_flag *flags;
	size_t n_flags;
	bool raw; /* the words are somebody else's */
	size_t min_args, max_args;
	int (*run)(struct image_cli *c, struct err *err);
};

extern const struct subcommand cmd_ls, cmd_import, cmd_build, cmd_rm;

/* show.c */
struct md_watch show_watch(void);
void show_end(void); /* takes the line away */

/* signals */
int interrupted(void); /* the signal that asks to end, or 0 */
