/* context: machines as contexts of the docker client. */
#include "cli.h"

#include "buf.h"
#include "host_context.h"
#include "log.h"
#include "mem.h"

#include <string.h>
#include <unistd.h>

static const struct cli_flag flags[] = {
	FLAG_B("rm", NULL, NULL, "Remove the context; the machine stays"),
};

static void print_names(const struct strv *machines)
{
	for (size_t i = 0; i < machines->n; i++) {
		_cleanup_free_ char *name = docker_context_name(machines->items[i]);
		puts(name);
	}
}

/* Also of a machine that is gone: somebody may have deleted its folder. */
static int remove_one(const struct store *s, const char *machine, struct err *err)
{
	enum context_owner was;

	if (docker_context_look(s, machine, &was, err) < 0 ||
		docker_context_remove(s, machine, &was, err) < 0)
		return -1;
	if (was == CONTEXT_OURS)
		return 0;
	if (was == CONTEXT_FOREIGN)
		return docker_context_taken(machine, err);
	if (!store_exists(s, machine))
		return store_not_found(machine, err);
	return err_set(err, ERR_NOT_FOUND, "machine \"%s\" has no docker context", machine);
}

static int forget(struct co *co, struct cli *cli, const char *machine, struct err *err)
{
	struct store_lock *lock = NULL;
	bool store = access(store_path(cli->app.store), F_OK) == 0; /* else nobody is in the way */

	if (!machine_name_possible(machine))
		return store_not_found(machine, err);
	if (store && store_lock(co, cli->app.store, machine, 0, &lock, err) < 0)
		return -1;
	int rc = remove_one(cli->app.store, machine, err);
	store_unlock(lock);
	return rc;
}

/* Each once, and all that can be. */
static int remove_all(struct co *co, struct cli *cli, const struct strv *names, struct err *err)
{
	_cleanup_strv_ struct strv machines = STRV_INIT, gone = STRV_INIT;

	strv_foreach (name, names)
		if (!strv_contains(&machines, name))
			strv_add(&machines, name);
	struct err *errs = xcalloc(machines.n, sizeof(*errs));
	for (size_t i = 0; i < machines.n; i++)
		if (forget(co, cli, machines.items[i], &errs[i]) == 0)
			strv_add(&gone, machines.items[i]);
	print_names(&gone);
	int rc = cli_join_errors(errs, &machines, err);
	for (size_t i = 0; i < machines.n; i++)
		err_finish(&errs[i]);
	free(errs);
	return rc;
}

static int run_context(struct co *co, struct cli *cli, struct err *err)
{
	_cleanup_strv_ struct strv names = STRV_INIT;

	if (cli_names(cli, &names, err) < 0)
		return -1;
	if (parsed_bool(&cli->args, "rm"))
		return remove_all(co, cli, &names, err);
	if (cli_each(co, cli, &names, host_context_make, err) < 0)
		return -1;
	print_names(&names);
	_cleanup_free_ char *name = docker_context_name(names.items[0]);
	log_info("Use it with \"docker --context %s\", or for good with \"docker context "
		 "use %s\".",
		name, name);
	return 0;
}

const struct command cmd_context = {
	.name = "context",
	.args = "[arg...]",
	.summary = "Make machines contexts of the docker client",
	.description = "Argument(s) are one or more machine names. Prints the contexts' names.",
	.done = "made a context",
	.flags = flags,
	.n_flags = ARRAY_SIZE(flags),
	.talk = TALK_STDERR,
	.run = run_context,
};
