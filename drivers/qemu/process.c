/* Processes that outlive the driver, and the signals for them. */
#include "qemu.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CMDLINE_MAX (256u << 10)
#define TERM_MS 5000u
#define KILL_MS 10000u

/* What the child tells before it becomes the program. */
struct report {
	pid_t pid;
	int errnum; /* of exec */
};

/* Becomes the program; returns errno. */
static int become(const char *file, const char *const *argv, int log, int keep)
{
	sigset_t none;
	int null = open("/dev/null", O_RDONLY);

	sigemptyset(&none);
	for (int s = 1; s < NSIG; s++)
		signal(s, SIG_DFL);
	sigprocmask(SIG_SETMASK, &none, NULL);
	umask(077);
	if (chdir("/") < 0 || null < 0 || dup2(null, STDIN_FILENO) < 0 ||
		dup2(log, STDOUT_FILENO) < 0 || dup2(log, STDERR_FILENO) < 0)
		return errno;
	if (keep != STDERR_FILENO + 1) {
		if (dup3(keep, STDERR_FILENO + 1, O_CLOEXEC) < 0)
			return errno;
	}
	close_range(STDERR_FILENO + 2, ~0u, 0);
	execv(file, (char *const *)argv);
	return errno;
}

static void say(int fd, struct report r)
{
	ssize_t n = write(fd, &r, sizeof(r));

	(void)n; /* who should read it is gone */
}

/* The child leaves at once, so that the program is nobody's child here. */
static pid_t fork_twice(const char *file, const char *const *argv, int log, int keep)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	if (setsid() < 0)
		_exit(1);
	pid = fork();
	if (pid != 0)
		_exit(pid < 0);
	say(keep, (struct report){getpid(), 0});
	int e = become(file, argv, log, keep);
	/* become may have closed `keep` in favour of the descriptor after standard error */
	say(fcntl(keep, F_GETFD) < 0 ? STDERR_FILENO + 1 : keep, (struct report){0, e});
	_exit(1);
}

/* The pipe ends with exec. */
static int read_reports(int fd, const char *file, pid_t *ret, struct err *err)
{
	struct report r = {0};
	int errnum = 0;
	ssize_t n;

	*ret = 0;
	while ((n = read(fd, &r, sizeof(r))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n != sizeof(r))
			break;
		if (r.pid)
			*ret = r.pid;
		errnum = r.errnum;
	}
	if (errnum)
		return err_errno(err, errnum, "start %s", file);
	if (!*ret)
		return err_set(err, ERR_INTERNAL, "start %s: no process could be made", file);
	return 0;
}

int daemon_start(const char *const *argv, const char *log, pid_t *ret, struct err *err)
{
	_cleanup_free_ char *file = md_find_program(argv[0]);
	_cleanup_close_ int out = -1, from = -1, to = -1;
	int pipes[2];

	if (!file)
		return err_set(err, ERR_NOT_FOUND, "the program %s is not there", argv[0]);
	out = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (out < 0)
		return err_errno(err, errno, "open %s", log);
	if (pipe2(pipes, O_CLOEXEC) < 0)
		return err_errno(err, errno, "pipe");
	from = pipes[0];
	to = pipes[1];
	pid_t child = fork_twice(file, argv, out, to);
	if (child < 0)
		return err_errno(err, errno, "start %s", file);
	close(take_fd(to));
	while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
		;
	return read_reports(from, file, ret, err);
}

static bool is_value(const char *text, struct mark mark)
{
	size_t len = mark.folder ? strlen(mark.folder) : 0;

	if (!mark.folder)
		return streq(text, mark.value);
	return strncmp(text, mark.folder, len) == 0 && text[len] == '/' &&
	       streq(text + len + 1, mark.value);
}

static bool has_mark(const char *text, size_t len, struct mark mark)
{
	const char *end = text + len;

	for (const char *p = text; p < end; p += strlen(p) + 1) {
		const char *next = p + strlen(p) + 1;

		if (streq(p, mark.flag) && (!mark.value || (next < end && is_value(next, mark))))
			return true;
	}
	return false;
}

/* Of a process; it has none when it has ended, and for a moment while it becomes another program.
 */
static char *arguments_of(pid_t pid, size_t *ret_len)
{
	_cleanup_free_ char *path = xasprintf("/proc/%ld/cmdline", (long)pid);
	_cleanup_err_ struct err ignored = ERR_INIT;
	char *text = NULL;

	if (pid <= 0 || md_read_file(path, CMDLINE_MAX, &text, ret_len, &ignored) < 0)
		return NULL;
	return text;
}

bool process_is(pid_t pid, struct mark mark)
{
	size_t len;
	_cleanup_free_ char *text = arguments_of(pid, &len);

	return text && has_mark(text, len, mark);
}

pid_t process_find(struct mark mark, pid_t hint)
{
	struct dirent *e;
	pid_t found = 0;
	DIR *d;

	if (process_is(hint, mark))
		return hint;
	d = opendir("/proc");
	while (d && !found && (e = readdir(d))) {
		char *end;
		long pid = strtol(e->d_name, &end, 10);

		if (!*end && pid > 0 && process_is((pid_t)pid, mark))
			found = (pid_t)pid;
	}
	if (d)
		closedir(d);
	return found;
}

/* A pidfd of a process that carries the mark: the number may be another's by now. -1: it ended. */
static int open_process(pid_t pid, struct mark mark)
{
	_cleanup_close_ int fd = pidfd_open(pid, 0);

	if (fd < 0 || !process_is(pid, mark))
		return -1;
	return take_fd(fd);
}

static bool fd_ended(int fd, uint32_t timeout_ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, (int)timeout_ms) > 0;
}

/* Is the number that of a process with other arguments? */
static bool is_another(pid_t pid, struct mark mark)
{
	size_t len;
	_cleanup_free_ char *text = arguments_of(pid, &len);

	return !text || (len && !has_mark(text, len, mark));
}

bool process_ended(pid_t pid, struct mark mark, uint32_t timeout_ms)
{
	_cleanup_close_ int fd = pidfd_open(pid, 0);

	return fd < 0 || fd_ended(fd, 0) || is_another(pid, mark) || fd_ended(fd, timeout_ms);
}

int64_t boot_time_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int process_kill(pid_t pid, struct mark mark, struct err *err)
{
	_cleanup_close_ int fd = open_process(pid, mark);
	static const struct {
		int signal;
		uint32_t ms;
	} ways[] = {{SIGTERM, TERM_MS}, {SIGKILL, KILL_MS}};

	if (fd < 0)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		if (pidfd_send_signal(fd, ways[i].signal, NULL, 0) < 0 && errno != ESRCH)
			return err_errno(err, errno, "end the process %ld", (long)pid);
		if (fd_ended(fd, ways[i].ms))
			return 0;
	}
	return err_set(err, ERR_UNAVAILABLE, "the process %ld does not end, not even by SIGKILL",
		(long)pid);
}
