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

static void remove_one(
	struct co *co, struct cli *cli, const char *name, bool force, struct buf *failed)
{
	_cleanup_err_ struct err driver_err = ERR_INIT, err = ERR_INIT;

	int rc = remove_machine(co, &cli->app, name, force, &driver_err, &err);
	/* by force, the store can fail after the driver did */
	const struct err *errs[] = {&driver_err, &err};
	for (size_t i = 0; i < ARRAY_SIZE(errs); i++) {
		if (errs[i]->code == ERR_NONE)
			continue;
		_cleanup_free_ char *msg =
			xasprintf("Error removing host \"%s\": %s", name, err_msg(errs[i]));
		note(failed, force, msg);
	}
	if (rc == 0) {
		log_info("Successfully removed %s", name);
	} else if (force) {
		_cleanup_free_ char *msg = xasprintf("Can't remove \"%s\"", name);
		note(failed, force, msg);
	}
}

static int run_rm(struct co *co, struct cli *cli, struct err *err)
{
	const struct strv *names = &cli->args.args;
	bool force = parsed_bool(&cli->args, "force");
	_cleanup_buf_ struct buf failed = BUF_INIT;

	if (!names->n)
		return cli_usage(
			cli, err, "Error: Expected to get one or more machine names as arguments");
	_cleanup_free_ char *all = strv_join(names, ", ");
	log_info("About to remove %s", all);
	log_info("WARNING: This action will delete both local reference and remote instance.");
	bool go_on = force || parsed_bool(&cli->args, "y") || confirmed(co);
	if (!go_on && !co_cancelled(co))
		return 0;
	for (size_t i = 0; i < names->n && !co_cancelled(co); i++)
		remove_one(co, cli, names->items[i], force, &failed);
	if (failed.len)
		return err_set(err, ERR_USER, "%s", buf_str(&failed));
	return co_cancelled(co) ? co_err(-ECANCELED, err) : 0;
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
