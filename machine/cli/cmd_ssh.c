#include "cli.h"

#include "log.h"
#include "mem.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static bool have_ssh(void)
{
	_cleanup_strv_ struct strv dirs = STRV_INIT;
	const char *path = getenv("PATH");

	strv_split(&dirs, path ? path : "/usr/bin:/bin", ':');
	for (size_t i = 0; i < dirs.n; i++) {
		_cleanup_free_ char *file = xasprintf("%s/ssh", dirs.items[i]);
		if (access(file, X_OK) == 0)
			return true;
	}
	return false;
}

/* The loop's handler goes; what was ignored (nohup) stays so. */
static void obey(int signum)
{
	struct sigaction now;

	if (sigaction(signum, NULL, &now) == 0 && now.sa_handler != SIG_IGN)
		signal(signum, SIG_DFL);
}

/* The terminal belongs to ssh while it runs: Ctrl-C is its business. What ends us otherwise ends it
 * too. */
static int run_client(const struct ssh_target *t, const struct strv *words, struct err *err)
{
	_cleanup_strv_ struct strv argv = STRV_INIT;
	int status;

	if (ssh_client_check(t, err) < 0)
		return -1;
	ssh_client_args(t, &argv);
	strv_extend(&argv, words);
	fflush(NULL);
	pid_t pid = fork();
	if (pid < 0)
		return err_errno(err, errno, "run ssh");
	if (pid == 0) {
		signal(SIGPIPE, SIG_DFL);
		prctl(PR_SET_PDEATHSIG, SIGHUP);
		execvp(argv.items[0], argv.items);
		_exit(127);
	}
	signal(SIGINT, SIG_IGN);
	signal(SIGQUIT, SIG_IGN);
	obey(SIGTERM);
	obey(SIGHUP);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_errno(err, errno, "wait for ssh");
	if (WIFSIGNALED(status))
		return err_set(err, ERR_USER, "signal: %s", strsignal(WTERMSIG(status)));
	if (WEXITSTATUS(status) != 0)
		return err_set(err, ERR_USER, "exit status %d", WEXITSTATUS(status));
	return 0;
}

static int run_ssh(struct co *co, struct cli *cli, struct err *err)
{
	_cleanup_strv_ struct strv words = STRV_INIT;
	const struct strv *args = &cli->args.args;
	const char *name = args->n ? args->items[0] : "default";
	struct ssh_place place = {0};
	struct host *h;

	if (!args->n && !store_exists(cli->app.store, name))
		return err_set(err, ERR_USER,
			"Error: No machine name(s) specified and no \"default\" machine exists");
	for (size_t i = 1; i < args->n; i++)
		strv_add(&words, args->items[i]);
	if (cli_open_host(co, cli, name, &h, err) < 0)
		return -1;
	int rc = host_ssh_place(co, h, &place, err);
	if (rc == 0 && place.report.state != STATE_RUNNING)
		rc = err_set(err, ERR_NOT_RUNNING,
			"Error: Cannot run SSH command: Host \"%s\" is not running", name);
	if (rc == 0 && (cli->app.native_ssh || !have_ssh())) {
		int status = 0;
		rc = ssh_interactive_native(co, &place.target, &words, &status, err);
		if (rc == 0 && status != 0)
			rc = err_set(err, ERR_USER, "Process exited with status %d", status);
	} else if (rc == 0 && (rc = ssh_first_contact(co, &place.target, err)) == 0) {
		driver_set_close(co, cli->app.drivers); /* no driver waits while a person types */
		cli->app.drivers = NULL;
		h->driver = NULL;
		rc = run_client(&place.target, &words, err);
	}
	ssh_place_finish(&place);
	host_close(co, h);
	return rc;
}

const struct command cmd_ssh = {
	.name = "ssh",
	.args = "[arg...]",
	.summary = "Log into or run a command on a machine with SSH.",
	.description = "Arguments are [machine-name] [command]",
	.talk = TALK_STDERR,
	.raw = true,
	.only_asks = true,
	.run = run_ssh,
};
