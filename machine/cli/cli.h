/*
 * The command line: a table of commands; each parses its flags, runs on a coroutine of the one
 * loop, and reports failure as an error that main prints once.
 */
#pragma once

#include "actions.h"
#include "app.h"
#include "create.h"
#include "flags.h"
#include "progress.h"

#include <stdio.h>

struct cli {
	struct strv argv;
	char *called;     /* in texts: argv[0], or what the docker client's user typed */
	const char *arg0; /* that */
	const char *prog; /* its base name */
	bool plugin;      /* the docker client calls */
	struct parsed globals;
	struct app app;
	const struct command *cmd;
	struct parsed args;             /* of the command */
	struct {                        /* create's own, which its args borrow */
		struct cli_flag *flags; /* shared and driver's */
		char *driver; /* what --driver is where nobody says; NULL: not asked for */
		char *why;    /* that one */
		bool chosen;  /* somebody says */
	} create;
	int status;                /* exit status if run succeeds */
	int interrupted;           /* the signal that cancelled it, or 0 */
	struct progress *progress; /* of the command; NULL: it does not run */
};

/* How a command treats the streams: see cli.c, command_sink. */
enum talk { TALK_STDOUT, TALK_STDERR };

struct command {
	const char *name;
	const char *alias;
	const char *args; /* usage: "[arg...]" */
	const char *summary;
	const char *done; /* of those that act on several machines: what becomes of one */
	const char *description;
	const struct cli_flag *flags;
	size_t n_flags;
	enum talk talk;
	bool raw;       /* no flag parsing: ssh */
	bool only_asks; /* changes no machine: a driver that hangs may be killed at once */
	/* Parses by itself (create, driver); cli->args is then empty and rest holds the words.
	 * NULL: the shared way. */
	int (*prepare)(struct co *co, struct cli *cli, const struct strv *rest, struct err *err);
	int (*run)(struct co *co, struct cli *cli, struct err *err);
	bool hidden;
};

extern const struct command *const cli_commands[]; /* ends with NULL, in the order of help */
const struct command *cli_find_command(const char *name);

/* --storage-path, its variable, or the default below HOME; "" without any. malloc'ed. */
char *cli_store_path(const struct cli *cli);

int cli_main(int argc, char **argv);

/* help.c */
void help_app(const struct cli *cli, FILE *out);
void help_command(const struct command *cmd, const struct cli_flag *flags, size_t n, FILE *out);
extern const struct cli_flag cli_globals[];
extern const size_t cli_n_globals;

/* Names to work on: the arguments, else "default" if it exists, else the error that says so. */
int cli_names(struct cli *cli, struct strv *ret, struct err *err);
/* The one machine of a query command. */
int cli_one_name(struct cli *cli, const char **ret, struct err *err);
/* Loads a record and opens its host, for commands about one machine. */
int cli_open_host(
	struct co *co, struct cli *cli, const char *name, struct host **ret, struct err *err);
/* The same, for commands with FLAG_FILTER: the arguments, or all that match the filters. usual:
 * what is meant without either is "default", as above; else it is no name at all. */
int cli_choose(struct co *co, struct cli *cli, bool usual, struct strv *ret, struct err *err);
#define CLI_AT_ONCE 64u
/* How many machines at once: FLAG_PARALLEL, or `usual` without it. */
int cli_parallel(const struct cli *cli, unsigned usual, unsigned *ret, struct err *err);
/* Before the work on so many. */
void cli_begin(struct cli *cli, size_t machines);
/* Runs an action on many machines at once, each under its lock, on a record read under it, which is
 * saved afterwards. If one cannot be loaded, nothing is done. -1 with every failure's message. */
int cli_each(
	struct co *co, struct cli *cli, const struct strv *names, action_fn fn, struct err *err);
/* The same with one machine, which is not told as the command's. */
int cli_act(struct co *co, struct cli *cli, const char *name, action_fn fn, struct err *err);
/* Its parts, for commands that change nothing. errs: one for each name. */
int cli_check_all(struct cli *cli, const struct strv *names, struct err *err);
int cli_join_errors(const struct err *errs, const struct strv *names, struct err *err);
/* The program is called docker-machine: what it prints is as ever, for who reads it. */
bool cli_old_name(const struct cli *cli);
/* A stream of JSON objects has no place for a question, and where nothing is told nobody knows what
 * it is about: the error says which flag answers it. */
int cli_may_ask(const struct cli *cli, const char *flag, struct err *err);
/* Prints a question, reads the answer: yes is one word that starts with y, no any other. No word,
 * several, and the end of input are errors, in the original's words. */
int cli_confirm(struct co *co, const char *question, bool *ret, struct err *err);
/* The usage error of a command: prints help on stdout first. */
int cli_usage(struct cli *cli, struct err *err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

extern const struct command cmd_active, cmd_complete, cmd_completion, cmd_config, cmd_context,
	cmd_create, cmd_driver, cmd_env, cmd_image, cmd_inspect, cmd_ip, cmd_kill, cmd_ls,
	cmd_mount, cmd_provision, cmd_regenerate_certs, cmd_restart, cmd_rm, cmd_scp, cmd_ssh,
	cmd_start, cmd_status, cmd_stop, cmd_update_labels, cmd_upgrade, cmd_url, cmd_version,
	cmd_help;

/* The flags of a create with these words in its command line: also the driver's, if one is named or
 * usual, and answers. malloc'ed; the texts live as long as cli->app.drivers. Never fails. */
struct cli_flag *create_flags(
	struct co *co, struct cli *cli, const struct strv *words, size_t *ret_n);

/* Flags of commands that work on several machines. */
#define FLAG_FILTER \
	FLAG_L("filter", NULL, NULL, "Take the machines that match, instead of names: as for ls")
#define FLAG_PARALLEL \
	FLAG_I("parallel", NULL, 0, NULL, "How many machines at once; 0 leaves it to the command")
#define FLAG_PROGRESS \
	FLAG_S("progress", NULL, "auto", NULL, "How to show progress: auto, plain, json or none")
/* Shorthands for flag tables. */
#define FLAG_S(n, a, d, e, u)                                                                 \
	{                                                                                     \
		.spec = {.name = n, .type = FLAG_STRING, .def_str = d, .env = e, .usage = u}, \
		.alias = a                                                                    \
	}
#define FLAG_I(n, a, d, e, u)                                                              \
	{                                                                                  \
		.spec = {.name = n, .type = FLAG_INT, .def_int = d, .env = e, .usage = u}, \
		.alias = a                                                                 \
	}
#define FLAG_B(n, a, e, u)                                                               \
	{                                                                                \
		.spec = {.name = n, .type = FLAG_BOOL, .env = e, .usage = u}, .alias = a \
	}
#define FLAG_L(n, a, e, u)                                                               \
	{                                                                                \
		.spec = {.name = n, .type = FLAG_LIST, .env = e, .usage = u}, .alias = a \
	}
