/*
 * Completion of a command line. One hidden command answers for every shell:
 *
 *     machine __complete -- WORD...
 *
 * WORD... is what was typed after the program's name, up to the cursor; the last one, which may be
 * empty, is what is to be completed. The answer's first line is ":" and what else may stand there:
 * ":files", ":dirs" or nothing. Each further line is a candidate, a tab, and what it means. Shells
 * choose those that begin with the last word; one that ends in "=" or ":" goes on.
 *
 * The docker client asks its plugin with "machine" in place of "--", and expects the answer of the
 * library that it is made with: candidates first, then ":" and a number.
 *
 * complete.c finds out where in the grammar the last word is, complete_offers.c what may stand
 * there, complete_image.c asks the program of `image`.
 */
#pragma once

#include "cli.h"

#include "buf.h"

#define COMPLETE_SUB_MAX 64u /* "driver describe" */

/* Where the last word stands. */
struct spot {
	const struct command *cmd;    /* NULL: it is the command, or a flag before it */
	char path[COMPLETE_SUB_MAX];  /* "image rm"; "" without a command */
	const struct cli_flag *flags; /* that may stand here */
	size_t n_flags;
	const struct cli_flag *value; /* it is this flag's value; else NULL */
	struct strv operands;         /* before it, without the subcommand */
	struct strv given;            /* names of flags that are there already */
	bool no_flags;                /* a word with a dash is an operand here */
	const char *word;             /* to be completed; of --flag=word, the value */
	bool joined;                  /* --flag=word */
};

/* What was asked, and the answer. */
struct completion {
	struct co *co;
	struct cli *cli;
	const struct spot *spot;
	struct strv words;
	struct store *store; /* as the words say; NULL: none can be told */
	bool files, dirs;
	struct buf out;
};

void offer(struct completion *c, const char *value, const char *text);

/* complete_offers.c */
enum offer_place { OFFER_FIRST, OFFER_REST };
/* What a command's operands, or a flag's value, may be; path as in struct spot, flag NULL:
 * operands. */
void offer_values(struct completion *c, const char *path, const char *flag, enum offer_place place);
/* Does the command have subcommands: is there a row "PATH SUB"? */
bool offer_has_subcommand(const char *path);
/* The rows of that table, for its test; false behind the last. */
bool offer_row_at(size_t i, const char **ret_path, const char **ret_flag);

/* complete_image.c: the subcommands' own flags, as their help has them. Freed by image_flags_free.
 */
struct cli_flag *image_flags(struct completion *c, const char *sub, size_t *ret_n);
void image_flags_free(struct cli_flag *flags, size_t n);
void image_offer_ids(struct completion *c);
