#include "run_program.h"

#include "log.h"
#include "mem.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* What a signal does to us while the program runs. What was ignored before (nohup) stays so. */
static const struct {
	int signum;
	void (*handler)(int signum);
} meanwhile[] = {
	{SIGINT, SIG_IGN},
	{SIGQUIT, SIG_IGN},
	{SIGTERM, SIG_DFL},
	{SIGHUP, SIG_DFL},
};

struct signals {
	sigset_t mask;
	struct sigaction before[ARRAY_SIZE(meanwhile)];
};

/* Blocked until both sides have what they want: a signal in between is not lost. */
static void signals_take(struct signals *s)
{
	sigset_t all;

	sigemptyset(&all);
	for (size_t i = 0; i < ARRAY_SIZE(meanwhile); i++)
		sigaddset(&all, meanwhile[i].signum);
	sigprocmask(SIG_BLOCK, &all, &s->mask);
	for (size_t i = 0; i < ARRAY_SIZE(meanwhile); i++)
		sigaction(meanwhile[i].signum, NULL, &s->before[i]);
}

static void signals_set(const struct signals *s, bool child)
{
	for (size_t i = 0; i < ARRAY_SIZE(meanwhile); i++) {
		struct sigaction act = {.sa_handler = child ? SIG_DFL : meanwhile[i].handler};

		sigemptyset(&act.sa_mask);
		if (s->before[i].sa_handler != SIG_IGN)
			sigaction(meanwhile[i].signum, &act, NULL);
	}
	sigprocmask(SIG_SETMASK, &s->mask, NULL);
}

static void signals_return(const struct signals *s)
{
	for (size_t i = 0; i < ARRAY_SIZE(meanwhile); i++)
		sigaction(meanwhile[i].signum, &s->before[i], NULL);
}

static void tell(const struct strv *argv)
{
	_cleanup_free_ char *line = strv_join(argv, " ");

	log_debug("running %s", line);
}

/* Ends with us, however we end. */
static void become(const struct strv *argv, const struct signals *s, pid_t parent)
{
	signal(SIGPIPE, SIG_DFL);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	signals_set(s, true);
	if (getppid() == parent)
		execvp(argv->items[0], argv->items);
	_exit(127);
}

/* A program that stops itself, as ssh does for ~^Z, stops us, too: else the shell would wait for
 * us, and the user for the shell. Keys that stop both of us have done so before we are here, and
 * when the user goes on the program has been told as we have. */
static void stop_with(pid_t pid)
{
	siginfo_t gone_on = {0};

	if (waitid(P_PID, (id_t)pid, &gone_on, WCONTINUED | WNOHANG | WNOWAIT) == 0 &&
		gone_on.si_pid == pid)
		return;
	raise(SIGTSTP);
	kill(pid, SIGCONT);
}

static int wait_for(pid_t pid, const char *name, struct err *err)
{
	int status;

	for (;;) {
		if (waitpid(pid, &status, WUNTRACED) >= 0) {
			if (!WIFSTOPPED(status))
				break;
			if (WSTOPSIG(status) == SIGTSTP)
				stop_with(pid);
		} else if (errno != EINTR) {
			return err_errno(err, errno, "wait for %s", name);
		}
	}
	if (WIFSIGNALED(status))
		return err_set(err, ERR_CANCELED, "signal: %s", strsignal(WTERMSIG(status)));
	if (WEXITSTATUS(status) != 0)
		return err_set(err, ERR_USER, "exit status %d", WEXITSTATUS(status));
	return 0;
}

int run_program(const struct strv *argv, struct err *err)
{
	const char *name = argv->items[0];
	pid_t self = getpid();
	struct signals s;

	tell(argv);
	fflush(NULL);
	signals_take(&s);
	pid_t pid = fork();
	if (pid == 0)
		become(argv, &s, self);
	int error = errno;
	signals_set(&s, false);
	int rc = pid < 0 ? err_errno(err, error, "run %s", name) : wait_for(pid, name, err);
	signals_return(&s);
	return rc;
}
