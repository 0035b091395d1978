#include "run_program.h"

#include "log.h"
#include "mem.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* The loop's handler goes; what was ignored (nohup) stays so. */
static void obey(int signum)
{
	struct sigaction now;

	if (sigaction(signum, NULL, &now) == 0 && now.sa_handler != SIG_IGN)
		signal(signum, SIG_DFL);
}

static void tell(const struct strv *argv)
{
	_cleanup_free_ char *line = strv_join(argv, " ");

	log_debug("running %s", line);
}

int run_program(const struct strv *argv, struct err *err)
{
	const char *name = argv->items[0];
	int status;

	tell(argv);
	fflush(NULL);
	pid_t pid = fork();
	if (pid < 0)
		return err_errno(err, errno, "run %s", name);
	if (pid == 0) {
		signal(SIGPIPE, SIG_DFL);
		prctl(PR_SET_PDEATHSIG, SIGHUP);
		execvp(name, argv->items);
		_exit(127);
	}
	signal(SIGINT, SIG_IGN);
	signal(SIGQUIT, SIG_IGN);
	obey(SIGTERM);
	obey(SIGHUP);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_errno(err, errno, "wait for %s", name);
	if (WIFSIGNALED(status))
		return err_set(err, ERR_CANCELED, "signal: %s", strsignal(WTERMSIG(status)));
	if (WEXITSTATUS(status) != 0)
		return err_set(err, ERR_USER, "exit status %d", WEXITSTATUS(status));
	return 0;
}
