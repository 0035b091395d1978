#include "cli.h"

#include "log.h"
#include "mem.h"
#include "names.h"
#include "outcomes.h"

#include <errno.h>

static const struct cli_flag flags[] = {
	FLAG_B("force", "f", NULL,
		"Remove local configuration even if machine cannot be removed, also implies an "
		"automatic yes (`-y`)"),
	FLAG_B("y", NULL, NULL,
		"Assumes automatic yes to proceed with remove, without prompting further user "
		"confirmation"),
	FLAG_FILTER,
	FLAG_PARALLEL,
	FLAG_PROGRESS,
};

/* What is no answer is no. */
static bool confirmed(struct co *co)
{
	_cleanup_err_ struct err e = ERR_INIT;
	bool yes;

	return cli_confirm(co, "Are you sure? (y/n): ", &yes, &e) == 0 && yes;
}

struct removal {
	struct cli *cli;
	const struct strv *names;
	bool force;
	struct ending *all;
};

/* By force, the store can fail after the driver did: both are told at once, and the rest is as if
 * it had gone well. */
static void tell_at_once(const char *name, const struct err *err)
{
	log_error("Error removing host \"%s\": %s", name, err_msg(err));
	log_error("Can't remove \"%s\"", name);
}

static void remove_one(struct co *co, size_t i, void *arg)
{
	struct removal *r = arg;
	struct cli *cli = r->cli;
	const char *name = r->names->items[i];
	struct ending *one = &r->all[i];
	uint64_t began = loop_now(cli->app.loop);
	_cleanup_err_ struct err driver_err = ERR_INIT, err = ERR_INIT;

	co_tag(co, name);
	one->begun = true;
	progress_start(cli->progress, name, cmd_rm.name);
	int rc = remove_machine(co, &cli->app, name, r->force, &driver_err, &err);
	if (driver_err.code)
		log_error("Error removing host \"%s\": %s", name, err_msg(&driver_err));
	if (rc == 0) {
		log_info("Successfully removed %s", name);
	} else if (r->force) {
		tell_at_once(name, &err);
		one->done = "not removed";
	} else {
		err_set(&one->err, err.code, "Error removing host \"%s\": %s", name, err_msg(&err));
	}
	one->ms = loop_now(cli->app.loop) - began;
	progress_end(cli->progress, name, &err);
}

static int remove_all(struct co *co, struct removal *r, unsigned parallel, struct err *err)
{
	size_t n = r->names->n;

	store_sweep(r->cli->app.store);
	r->all = xcalloc(n, sizeof(struct ending));
	cli_begin(r->cli, n);
	co_each(co, n, parallel, remove_one, r);
	if (outcomes_tell(r->cli, r->names, r->all, cmd_rm.done, err) < 0)
		return -1;
	return co_cancelled(co) ? co_err(-ECANCELED, err) : 0;
}

/* By the old name one after the other, as ever, but for who means many. */
static unsigned usual_parallel(const struct cli *cli)
{
	bool many = parsed_given(&cli->args, "filter") || !cli_old_name(cli);

	strv_foreach (word, &cli->args.args)
		many = many || names_is_range(word);
	return many ? CLI_AT_ONCE : 1;
}

static int run_rm(struct co *co, struct cli *cli, struct err *err)
{
	_cleanup_strv_ struct strv names = STRV_INIT;
	struct removal r = {cli, &names, parsed_bool(&cli->args, "force"), NULL};
	bool sure = r.force || parsed_bool(&cli->args, "y");
	unsigned parallel;

	if (cli_parallel(cli, usual_parallel(cli), &parallel, err) < 0 ||
		(!sure && cli_may_ask(cli, "-y", err) < 0))
		return -1;
	if (cli_choose(co, cli, false, &names, err) < 0)
		return -1;
	if (!names.n)
		return cli_usage(
			cli, err, "Error: Expected to get one or more machine names as arguments");
	_cleanup_free_ char *all = strv_join(&names, ", ");
	log_info("About to remove %s", all);
	log_info("WARNING: This action will delete both local reference and remote instance.");
	bool go_on = sure || confirmed(co);
	if (!go_on)
		return co_cancelled(co) ? co_err(-ECANCELED, err) : 0;
	return remove_all(co, &r, parallel, err);
}

const struct command cmd_rm = {
	.name = "rm",
	.args = "[arg...]",
	.summary = "Remove a machine",
	.done = "removed",
	.description = "Argument(s) are one or more machine names.",
	.flags = flags,
	.n_flags = ARRAY_SIZE(flags),
	.talk = TALK_STDOUT,
	.run = run_rm,
};
