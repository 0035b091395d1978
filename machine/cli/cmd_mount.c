/* mount: a folder of a machine as a folder here, through sshfs. */
#include "cli.h"

#include "find_program.h"
#include "mem.h"
#include "place.h"
#include "run_program.h"
#include "ssh_copy.h"

static const struct cli_flag mount_flags[] = {
	FLAG_B("unmount", "u", NULL, "Unmount instead of mount"),
};

/* FUSE 3 has its own name; Debian has both. */
static const char *const unmounters[] = {"fusermount", "fusermount3"};

static const char *find_unmounter(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(unmounters); i++)
		if (find_program(unmounters[i]))
			return unmounters[i];
	return NULL;
}

/* The machine may be down: it is not asked, only known. */
static int unmount(struct cli *cli, const struct place *p, const char *where, struct err *err)
{
	_cleanup_strv_ struct strv argv = STRV_INIT;
	_cleanup_record_ struct record *rec = NULL;
	const char *program = find_unmounter();

	if (!program)
		return err_set(err, ERR_USER,
			"You must have a copy of the fusermount binary locally to use the unmount "
			"option");
	if (place_load(cli, p, &rec, err) < 0)
		return -1;
	strv_add(&argv, program);
	strv_add(&argv, "-u");
	strv_add_take(&argv, local_argument(where));
	return run_program(&argv, err);
}

/* sshfs keeps what ssh says to itself; a connection of our own tells what is wrong with theirs. */
static int explain(struct co *co, const struct ssh_target *t, struct err *err)
{
	_cleanup_err_ struct err why = ERR_INIT;
	_cleanup_free_ char *text = xstrdup(err_msg(err));
	struct ssh *s;

	if (ssh_open(co, t, &s, &why) < 0)
		return err_set(err, why.code, "%s: %s", text, err_msg(&why));
	ssh_close(co, s);
	return -1;
}

static int mount_it(
	struct co *co, struct cli *cli, struct place *p, const char *where, struct err *err)
{
	_cleanup_strv_ struct strv argv = STRV_INIT;

	if (!find_program("sshfs"))
		return err_set(err, ERR_USER,
			"You must have a copy of the sshfs binary locally to use the mount "
			"feature");
	if (place_open(co, cli, p, err) < 0)
		return -1;
	place_leave_drivers(co, cli, p, 1);
	sshfs_args(&p->target, p->path, where, &argv);
	int rc = run_program(&argv, err);
	return rc < 0 && err->code == ERR_USER ? explain(co, &p->target, err) : rc;
}

static int run_mount(struct co *co, struct cli *cli, struct err *err)
{
	const struct strv *args = &cli->args.args;
	struct place p;

	if (args->n < 1 || args->n > 2)
		return cli_usage(cli, err, "Improper number of arguments");
	place_parse(args->items[0], &p);
	if (!p.machine) /* without a name, the path is the default machine's */
		p.machine = xstrdup("default");
	const char *where = args->n > 1 ? args->items[1] : p.path;
	int rc = parsed_bool(&cli->args, "unmount") ? unmount(cli, &p, where, err)
						    : mount_it(co, cli, &p, where, err);
	place_finish(co, &p);
	return rc;
}

const struct command cmd_mount = {
	.name = "mount",
	.args = "[arg...]",
	.summary = "Mount or unmount a directory from a machine with SSHFS.",
	.description = "Arguments are [machine:][path] [mountpoint]",
	.flags = mount_flags,
	.n_flags = ARRAY_SIZE(mount_flags),
	.talk = TALK_STDERR,
	.only_asks = true,
	.run = run_mount,
};
