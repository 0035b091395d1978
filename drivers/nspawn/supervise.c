#include "supervise.h"

#include "cgroup.h"
#include "fault.h"
#include "machine-driver.h"
#include "names.h"
#include "running.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define TIDY_MS 10000u

void supervise_failed(const struct err *err)
{
	const char *text = err_msg(err);

	fprintf(stderr, "%s\n", text);
	if (write(SUPERVISE_STATUS_FD, text, strlen(text)) < 0)
		return; /* nobody waits for it any more */
}

static int open_own(const char *name, int flags, struct err *err)
{
	int fd = open(name, flags | O_CLOEXEC | O_NOFOLLOW);

	return fd < 0 ? err_errno(err, errno, "open %s", name) : fd;
}

/* The two descriptors came through an exec; no other program shall have them. */
static int take_descriptors(struct err *err)
{
	for (int fd = SUPERVISE_STATUS_FD; fd <= SUPERVISE_LOCK_FD; fd++)
		if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
			return err_errno(err, errno, "descriptor %d of a supervisor", fd);
	return 0;
}

static int enter_groups(const struct plan *p, const char *group, struct strv *ret, struct err *err)
{
	if (cgroup_of_self(group, ret, err) < 0 || cgroup_make(ret, "driver", err) < 0)
		return -1;
	nspawn_fault("supervise.groups");
	if (cgroup_limit(ret, p->cpus, p->memory, err) < 0)
		return -1;
	if (cgroup_enter(ret, "driver", err) < 0)
		return -1;
	cgroup_delegate(ret);
	return 0;
}

/* SIGTERM goes on to the child; otherwise waits for its end. */
static void wait_for_child(pid_t child, const sigset_t *signals)
{
	siginfo_t info;

	for (;;) {
		int number = sigwaitinfo(signals, &info);
		pid_t ended;

		if (number == SIGTERM)
			kill(child, SIGTERM);
		while ((ended = waitpid(-1, NULL, WNOHANG)) > 0)
			if (ended == child)
				return;
		if (ended < 0 && errno == ECHILD)
			return;
	}
}

/* What a computer's own systemd makes for a scope, it also removes. */
static void leave_groups(const struct strv *groups)
{
	_cleanup_err_ struct err err = ERR_INIT;

	if (cgroup_enter(groups, NULL, &err) < 0 || cgroup_remove(groups, NULL, TIDY_MS, &err) < 0)
		fprintf(stderr, "%s\n", err_msg(&err));
}

static int run(const char *dir, struct err *err)
{
	_cleanup_strv_ struct strv groups = STRV_INIT;
	_cleanup_plan_ struct plan p = {0};
	_cleanup_free_ char *group = NULL;
	sigset_t signals;
	int mark, gone[2];

	if (take_descriptors(err) < 0)
		return -1;
	if (chdir(dir) < 0)
		return err_errno(err, errno, "%s", dir);
	mark = open_own(FILE_LOCK, O_RDWR, err); /* stays open: the lock is this process's */
	if (mark < 0 || running_mark(mark, RUNNING_SUPERVISOR, err) < 0)
		return -1;
	nspawn_fault("supervise.begin");
	if (plan_load(&p, FILE_PLAN, err) < 0)
		return -1;
	group = xasprintf(NSPAWN_GROUP, p.number);
	if (enter_groups(&p, group, &groups, err) < 0)
		goto failed;
	nspawn_fault("supervise.entered");
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGCHLD);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	if (pipe2(gone, O_CLOEXEC) < 0 || unshare(CLONE_NEWPID) < 0) {
		err_errno(err, errno, "make a PID namespace");
		goto failed;
	}
	pid_t child = fork();
	if (child < 0) {
		err_errno(err, errno, "fork");
		goto failed;
	}
	if (child == 0) {
		close(gone[1]);
		supervise_init(dir, &p, &groups, gone[0]);
	}
	nspawn_fault("supervise.forked");
	close(SUPERVISE_STATUS_FD);
	wait_for_child(child, &signals);
	leave_groups(&groups);
	return 0;
failed:
	leave_groups(&groups);
	return -1;
}

int supervise(const char *dir)
{
	_cleanup_err_ struct err err = ERR_INIT;

	signal(SIGPIPE, SIG_IGN);
	if (run(dir, &err) < 0) {
		supervise_failed(&err);
		return 1;
	}
	return 0;
}
