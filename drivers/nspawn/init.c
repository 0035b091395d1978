/* The first process of a host's PID namespace: mounts, systemd-nspawn, the host's reboots. */
#include "cgroup.h"
#include "fault.h"
#include "machine-driver.h"
#include "names.h"
#include "rootfs.h"
#include "running.h"
#include "supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STATUS_REBOOT 133 /* systemd-nspawn: the system inside wants to be started again */
#define REMIND_S 5        /* a system that has just started may not have heard that it is to end */
#define OFF_S 100         /* then the plug is pulled */
#define GROUP_MS 5000u
#define CHILDREN_MAX 4096u
#define OVERLAY_OPTIONS                                                                          \
	"lowerdir=" DIR_LOWER ",upperdir=" DIR_UPPER ",workdir=" DIR_WORK ",index=off,metacopy=" \
	"off"

struct init {
	const char *dir;
	const struct plan *plan;
	const struct strv *groups;
	pid_t nspawn;
	bool stopping;
	time_t stop_at; /* of a monotonic clock */
};

static time_t now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
}

/* The kernel ends us when the parent ends; perhaps it has before we asked for that. */
static int die_with_parent(int parent_gone, struct err *err)
{
	struct pollfd p = {.fd = parent_gone};

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return err_errno(err, errno, "prctl");
	if (poll(&p, 1, 0) > 0)
		return err_set(err, ERR_CANCELED, "the supervisor is gone");
	return 0;
}

/* Relative paths: they need no escaping in the overlay's options. The working directory is ours. */
static int mount_all(const struct plan *p, struct err *err)
{
	/* slaves, not private: what is unmounted on the computer shall not be held up here */
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return err_errno(err, errno, "make a mount namespace");
	if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		return err_errno(err, errno, "mount /proc");
	/* systemd-nspawn keeps locks and folders there that nobody would remove */
	if (mkdir("/run/systemd", 0755) < 0 && errno != EEXIST)
		return err_errno(err, errno, "make /run/systemd");
	if (mount("machine", "/run/systemd", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755") < 0)
		return err_errno(err, errno, "mount /run/systemd");
	if (rootfs_hold(p->tree, err) < 0) /* as long as this process lives */
		return -1;
	if (mount(p->tree, DIR_LOWER, NULL, MS_BIND, NULL) < 0)
		return err_errno(err, errno, "mount the image %s", p->tree);
	if (mount("machine", DIR_ROOT, "overlay", 0, OVERLAY_OPTIONS) < 0)
		return err_errno(err, errno, "mount the overlay of the image and the machine");
	nspawn_fault("init.mounted");
	return 0;
}

static int start_nspawn(struct init *in, struct err *err)
{
	_cleanup_strv_ struct strv argv = STRV_INIT;
	_cleanup_free_ char *program = md_find_program("systemd-nspawn");

	if (!program)
		return err_set(err, ERR_NOT_FOUND, "the program systemd-nspawn is not there");
	plan_command(in->plan, in->dir, &argv);
	if (cgroup_remove(in->groups, "boot", GROUP_MS, err) < 0 ||
		cgroup_make(in->groups, "boot", err) < 0)
		return -1;
	in->nspawn = fork();
	if (in->nspawn < 0)
		return err_errno(err, errno, "fork");
	if (in->nspawn == 0) {
		sigset_t none;

		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		signal(SIGPIPE, SIG_DFL);
		if (cgroup_enter(in->groups, "boot", err) == 0) {
			execv(program, argv.items);
			err_errno(err, errno, "start %s", program);
		}
		fprintf(stderr, "%s\n", err_msg(err));
		_exit(EXIT_FAILURE);
	}
	nspawn_fault("init.started");
	return 0;
}

/* systemd-nspawn's child is the host's first process. Asking it once more does no harm; a second
 * SIGTERM to systemd-nspawn would be a power cut. */
static void remind(const struct init *in)
{
	_cleanup_free_ char *path =
		xasprintf("/proc/%ld/task/%ld/children", (long)in->nspawn, (long)in->nspawn);
	_cleanup_free_ char *children = NULL;
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	children = xcalloc(1, CHILDREN_MAX);
	n = fd < 0 ? 0 : read(fd, children, CHILDREN_MAX - 1);
	if (n > 0 && strtol(children, NULL, 10) > 1)
		kill((pid_t)strtol(children, NULL, 10), SIGRTMIN + 3);
}

static void switch_off(struct init *in)
{
	if (in->stopping)
		return;
	in->stopping = true;
	in->stop_at = now_s() + OFF_S;
	kill(in->nspawn, SIGTERM);
}

/* Until systemd-nspawn has ended; its status as of waitpid. */
static int wait_for_nspawn(struct init *in)
{
	struct timespec interval = {.tv_sec = REMIND_S};
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGCHLD);
	for (;;) {
		int number = sigtimedwait(&signals, NULL, &interval), status;
		pid_t ended;

		if (number == SIGTERM) {
			switch_off(in);
		} else if (number < 0 && errno == EAGAIN && in->stopping) {
			remind(in);
			cgroup_thaw(in->groups);
		}
		while ((ended = waitpid(-1, &status, WNOHANG)) > 0)
			if (ended == in->nspawn)
				return status;
		if (in->stopping && now_s() > in->stop_at) {
			fprintf(stderr, "not off after %d s: the power is cut\n", OFF_S);
			_exit(0);
		}
	}
}

/* For `states`: why the host does not run although nobody switched it off. */
static void tell_end(const char *text)
{
	_cleanup_err_ struct err err = ERR_INIT;

	fprintf(stderr, "%s\n", text);
	if (md_write_file(FILE_FAILED, text, strlen(text), 0600, &err) < 0)
		fprintf(stderr, "%s\n", err_msg(&err));
}

static int prepare(struct init *in, int parent_gone, struct err *err)
{
	int mark = open(FILE_LOCK, O_RDWR | O_CLOEXEC | O_NOFOLLOW);

	if (mark < 0)
		return err_errno(err, errno, "open %s", FILE_LOCK);
	if (running_mark(mark, RUNNING_INIT, err) < 0 || die_with_parent(parent_gone, err) < 0 ||
		mount_all(in->plan, err) < 0)
		return -1;
	return start_nspawn(in, err);
}

_Noreturn void supervise_init(
	const char *dir, const struct plan *p, const struct strv *groups, int parent_gone)
{
	struct init in = {.dir = dir, .plan = p, .groups = groups};
	_cleanup_err_ struct err err = ERR_INIT;
	int status;

	if (prepare(&in, parent_gone, &err) < 0) {
		supervise_failed(&err);
		_exit(EXIT_FAILURE);
	}
	if (write(SUPERVISE_STATUS_FD, "ok", 2) < 0)
		fprintf(stderr, "nobody waits for this start any more\n");
	close(SUPERVISE_STATUS_FD);
	for (;;) {
		status = wait_for_nspawn(&in);
		if (!WIFEXITED(status) || WEXITSTATUS(status) != STATUS_REBOOT || in.stopping)
			break;
		if (start_nspawn(&in, &err) < 0) {
			err_wrap(&err, "start again after a reboot");
			tell_end(err_msg(&err));
			_exit(EXIT_FAILURE);
		}
	}
	if (!in.stopping && status != 0) {
		_cleanup_free_ char *text = xasprintf("systemd-nspawn ended with %s %d",
			WIFSIGNALED(status) ? "signal" : "status",
			WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));

		tell_end(text);
	}
	_exit(0);
}
