#include "cli.h"

#include "buf.h"
#include "log.h"
#include "mem.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

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

/* One word that starts with y; anything else, and the end of input, is no. */
static bool confirmed(struct co *co)
{
	_cleanup_err_ struct err e = ERR_INIT;
	_cleanup_free_ char *answer = NULL;

	if (cli_ask(co, "Are you sure? (y/n): ", &answer, &e) < 0)
		return false;
	const char *s = answer + strspn(answer, " \t");
	size_t word = strcspn(s, " \t");
	return tolower((unsigned char)*s) == 'y' && s[word + strspn(s + word, " \t")] == '\0';
}

static void note(struct buf *failed, bool force, const char *msg)
{
	if (force)
		log_error("%s", msg);
	else
		buf_addf(failed, "%s%s", failed->len ? "\n" : "", msg);
}

struct removal {
	struct cli *cli;
	const struct strv *names;
	bool force;
	struct buf failed; /* what to say at the end */
};

static void remove_one(struct co *co, size_t i, void *arg)
{
	struct removal *r = arg;
	struct cli *cli = r->cli;
	const char *name = r->names->items[i];
	bool force = r->force;
	struct buf *failed = &r->failed;
	_cleanup_err_ struct err driver_err = ERR_INIT, err = ERR_INIT;

	co_tag(co, name);
	progress_start(cli->progress, name, cmd_rm.name);
	int rc = remove_machine(co, &cli->app, name, force, &driver_err, &err);
	/* by force, the store can fail after the driver did */
	const struct err *errs[] = {&driver_err, &err};
	for (size_t k = 0; k < ARRAY_SIZE(errs); k++) {
		if (errs[k]->code == ERR_NONE)
			continue;
		_cleanup_free_ char *msg =
			xasprintf("Error removing host \"%s\": %s", name, err_msg(errs[k]));
		note(failed, force, msg);
	}
	if (rc == 0) {
		log_info("Successfully removed %s", name);
	} else if (force) {
		_cleanup_free_ char *msg = xasprintf("Can't remove \"%s\"", name);
		note(failed, force, msg);
	}
	progress_end(cli->progress, name, rc < 0 ? &err : NULL);
}

static int remove_all(struct co *co, struct removal *r, unsigned parallel, struct err *err)
{
	progress_begin(r->cli->progress, r->names->n);
	co_each(co, r->names->n, parallel, remove_one, r);
	if (r->failed.len)
		return err_set(err, ERR_USER, "%s", buf_str(&r->failed));
	return co_cancelled(co) ? co_err(-ECANCELED, err) : 0;
}

static int run_rm(struct co *co, struct cli *cli, struct err *err)
{
	_cleanup_strv_ struct strv names = STRV_INIT;
	struct removal r = {cli, &names, parsed_bool(&cli->args, "force"), BUF_INIT};
	bool sure = r.force || parsed_bool(&cli->args, "y");
	unsigned parallel;

	/* one after the other, as ever, but for who wants it otherwise */
	if (cli_parallel(cli, 1, &parallel, err) < 0 || (!sure && cli_may_ask(cli, "-y", err) < 0))
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
	if (!go_on && !co_cancelled(co))
		return 0;
	store_sweep(cli->app.store);
	int rc = remove_all(co, &r, parallel, err);
	buf_finish(&r.failed);
	return rc;
}

const struct command cmd_rm = {
	.name = "rm",
	.args = "[arg...]",
	.summary = "Remove a machine",
	.description = "Argument(s) are one or more machine names.",
	.flags = flags,
	.n_flags = ARRAY_SIZE(flags),
	.talk = TALK_STDOUT,
	.run = run_rm,
};
