/* machine image build: runs build-image, which lies beside this program, and takes in what it made.
 */
#include "image_cli.h"

#include "image.h"
#include "log.h"
#include "spawn_program.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define SCRIPT "build-image"
#define LOOK_MS 100

static int find_script(char **ret, struct err *err)
{
	_cleanup_free_ char *exe = realpath("/proc/self/exe", NULL);

	if (!exe)
		return err_errno(err, errno, "find this program");
	*strrchr(exe, '/') = '\0';
	_cleanup_free_ char *script = xasprintf("%s/" SCRIPT, exe);
	if (access(script, X_OK) < 0)
		return err_errno(err, errno, "find %s", script);
	*ret = take(script);
	return 0;
}

/* Waits for the builder, and hands on to it the signals that this program gets; the Ctrl-C of a
 * terminal it hears itself. */
static int wait_for(pid_t pid, struct err *err)
{
	_cleanup_close_ int end = pidfd_open(pid, 0);
	struct pollfd p = {.fd = end, .events = POLLIN};
	int status, told = 0;

	if (end < 0)
		return err_errno(err, errno, "wait for " SCRIPT);
	/* looks now and then: a signal may come just before it waits */
	while (poll(&p, 1, LOOK_MS) <= 0)
		if (interrupted() && interrupted() != told &&
			(interrupted() != SIGINT || !isatty(STDIN_FILENO))) {
			told = interrupted();
			kill(pid, told);
		}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_errno(err, errno, "wait for " SCRIPT);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int run_script(const struct strv *argv, int *ret_status, struct err *err)
{
	pid_t pid;

	/* what it says is no result, which is the ID alone */
	int e = spawn_program(argv->items[0], argv->items, NULL,
		(int[3]){STDIN_FILENO, STDERR_FILENO, STDERR_FILENO}, SPAWN_WITH_US, &pid);
	if (e)
		return err_errno(err, e, "start %s", argv->items[0]);
	*ret_status = wait_for(pid, err);
	return *ret_status < 0 ? -1 : 0;
}

static int build(struct image_cli *c, const char *script, const char *folder, struct err *err)
{
	_cleanup_strv_ struct strv argv = STRV_INIT;
	struct image_take t = {.store_path = c->store_path,
		.ref = folder,
		.checksum = "",
		.renew = true,
		.move = true};
	_cleanup_free_ char *id = NULL, *ender = md_find_program("setpriv");

	if (!ender)
		return err_set(
			err, ERR_USER, "the program setpriv is not there: install util-linux");
	/* the builder does not go on for nobody when this program is killed */
	strv_add(&argv, ender);
	strv_add(&argv, "--pdeathsig=TERM");
	strv_add(&argv, script);
	strv_extend(&argv, &c->args.args);
	strv_add(&argv, folder);
	if (run_script(&argv, &c->status, err) < 0)
		return -1;
	if (interrupted())
		return err_set(err, ERR_CANCELED, SCRIPT ": interrupted");
	if (c->status)
		return 0; /* it has said why */
	if (image_take(c->w, &t, &id, err) < 0)
		return -1;
	puts(id);
	return 0;
}

static bool asks_for_help(const struct strv *args)
{
	return strv_contains(args, "--help") || strv_contains(args, "-h");
}

static int run(struct image_cli *c, struct err *err)
{
	_cleanup_free_ char *script = NULL, *folder = NULL, *origin = NULL;
	_cleanup_stage_ char *dir = NULL;
	_cleanup_lock_ int lock = -1;
	char key[IMAGE_HASH_DIGITS + 1];

	if (find_script(&script, err) < 0)
		return -1;
	if (asks_for_help(&c->args.args)) {
		execl(script, script, "--help", NULL);
		return err_errno(err, errno, "start %s", script);
	}
	origin = xasprintf("build %ld", (long)getpid());
	image_key(origin, key);
	dir = xasprintf("%s/cache/images/.build-%s", c->store_path, key);
	folder = xasprintf("%s/image", dir);
	image_sweep(c->store_path);
	if (image_lock(c->w, c->store_path, key, &lock, err) < 0 ||
		image_remove_tree(dir, err) < 0 || md_make_dirs(dir, 0700, err) < 0)
		return -1;
	return build(c, script, folder, err);
}

const struct subcommand cmd_build = {
	.name = "build",
	.args = "[options of " SCRIPT "]",
	.summary = "Make a small Debian with Docker",
	.raw = true,
	.max_args = 1000,
	.run = run,
};
