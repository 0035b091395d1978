/* scp: files between machines, and between them and this computer, through scp or rsync. */
#include "cli.h"

#include "find_program.h"
#include "mem.h"
#include "place.h"
#include "putfile.h"
#include "run_program.h"
#include "ssh_copy.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const struct cli_flag scp_flags[] = {
	FLAG_B("recursive", "r", NULL, "Copy files recursively (required to copy directories)"),
	FLAG_B("delta", "d", NULL,
		"Reduce amount of data sent over network by sending only the differences (uses "
		"rsync)"),
	FLAG_B("quiet", "q", NULL,
		"Disables the progress meter as well as warning and diagnostic messages from ssh"),
};

static int check_program(bool delta, struct err *err)
{
	const char *name = delta ? "rsync" : "scp";

	if (find_program(name))
		return 0;
	return err_set(err, ERR_USER, "You must have a copy of the %s binary locally to use the %s",
		name, delta ? "--delta option" : "scp feature");
}

/* A file without a name, which is gone with this process whatever ends it; ssh opens it by way of
 * /proc. */
static int config_file(const struct buf *text, int *ret_fd, struct err *err)
{
	_cleanup_close_ int fd = memfd_create("ssh_config", MFD_CLOEXEC);

	if (fd < 0)
		return err_errno(err, errno, "make a configuration file for ssh");
	int failed = write_all(fd, text->data, text->len);
	if (failed)
		return err_errno(err, failed, "write a configuration file for ssh");
	*ret_fd = take_fd(fd);
	return 0;
}

static int run_copy(const struct copy *c, bool delta, struct err *err)
{
	_cleanup_strv_ struct strv argv = STRV_INIT;
	_cleanup_buf_ struct buf text = BUF_INIT;
	_cleanup_free_ char *config = NULL;
	_cleanup_close_ int fd = -1;

	if (delta) {
		rsync_args(c, &argv);
		return run_program(&argv, err);
	}
	if (copy_needs_config(c)) {
		if (copy_config(c, &text, err) < 0 || config_file(&text, &fd, err) < 0)
			return -1;
		config = xasprintf("/proc/%ld/fd/%d", (long)getpid(), fd);
	}
	scp_args(c, config, &argv);
	return run_program(&argv, err);
}

static int copy(struct co *co, struct cli *cli, struct place ends[2], bool delta, struct err *err)
{
	if (delta && ends[0].machine && ends[1].machine)
		return err_set(err, ERR_USER,
			"--delta copies between this computer and a machine, as rsync does; copy "
			"between two machines without it, or in two steps");
	if (place_open(co, cli, &ends[0], err) < 0 || place_open(co, cli, &ends[1], err) < 0)
		return -1;
	place_leave_drivers(co, cli, ends, 2);
	struct copy c = {
		.from = {ends[0].machine ? &ends[0].target : NULL, ends[0].path},
		.to = {ends[1].machine ? &ends[1].target : NULL, ends[1].path},
		.recursive = parsed_bool(&cli->args, "recursive"),
		.quiet = parsed_bool(&cli->args, "quiet"),
	};
	return run_copy(&c, delta, err);
}

/* `localhost:` is this computer: a way to write a path with a colon. */
static void parse_end(const char *word, struct place *ret)
{
	place_parse(word, ret);
	if (ret->machine && streq(ret->machine, "localhost"))
		free(take(ret->machine));
}

static int run_scp(struct co *co, struct cli *cli, struct err *err)
{
	const struct strv *args = &cli->args.args;
	bool delta = parsed_bool(&cli->args, "delta");
	struct place ends[2] = {0};

	if (args->n != ARRAY_SIZE(ends))
		return cli_usage(cli, err, "Improper number of arguments");
	if (check_program(delta, err) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
		parse_end(args->items[i], &ends[i]);
	int rc = copy(co, cli, ends, delta, err);
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
		place_finish(co, &ends[i]);
	return rc;
}

const struct command cmd_scp = {
	.name = "scp",
	.args = "[arg...]",
	.summary = "Copy files between machines",
	.description = "Arguments are [[user@]machine:][path] [[user@]machine:][path].",
	.flags = scp_flags,
	.n_flags = ARRAY_SIZE(scp_flags),
	.talk = TALK_STDERR,
	.only_asks = true,
	.run = run_scp,
};
