#include "launch.h"

#include "buf.h"
#include "cgroup.h"
#include "names.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define START_MS 60000
#define LOOK_MS 100
#define SAID_MAX 4096u
#define HIGH_FD 10 /* out of the way of those that a supervisor is started with */

bool launch_by_systemd(void)
{
	struct stat st;

	return lstat("/run/systemd/system", &st) == 0 && S_ISDIR(st.st_mode);
}

static void scope_words(const struct plan *p, struct strv *ret)
{
	static const char *const fixed[] = {
		"systemd-run", "--scope", "--quiet", "--collect", "--property=Delegate=yes"};

	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++)
		strv_add(ret, fixed[i]);
	strv_add(ret, "--slice=" CGROUP_SLICE);
	strv_addf(ret, "--unit=" NSPAWN_GROUP ".scope", p->number);
	strv_addf(ret, "--description=Docker host %s", p->hostname);
	if (p->cpus)
		strv_addf(ret, "--property=CPUQuota=%u%%", p->cpus * 100);
	if (p->memory)
		strv_addf(ret, "--property=MemoryMax=%llu", (unsigned long long)p->memory);
	strv_add(ret, "--");
}

/* In the child: only what is safe after a fork. Its own child is nobody's of the driver's. */
static _Noreturn void become_supervisor(
	const char *program, char **argv, int log, int status, int lock)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid();
	pid_t pid = fork();
	if (pid != 0)
		_exit(pid < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
	int null = open("/dev/null", O_RDONLY);
	if (null >= 0 && dup2(null, STDIN_FILENO) >= 0 && dup2(log, STDOUT_FILENO) >= 0 &&
		dup2(log, STDERR_FILENO) >= 0 && dup2(status, SUPERVISE_STATUS_FD) >= 0 &&
		dup2(lock, SUPERVISE_LOCK_FD) >= 0) {
		closefrom(SUPERVISE_LOCK_FD + 1);
		execv(program, argv);
	}
	_exit(EXIT_FAILURE);
}

/* What the supervisor says until it closes its end. */
static int listen_to(struct md_request *rq, int fd, struct buf *said, struct err *err)
{
	char chunk[SAID_MAX / 2];

	for (int waited = 0; waited < START_MS; waited += LOOK_MS) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		int r = poll(&p, 1, LOOK_MS);
		ssize_t n;

		if (md_cancelled(rq))
			return err_set(err, ERR_CANCELED, "cancelled");
		if (r <= 0)
			continue;
		n = read(fd, chunk, sizeof(chunk));
		if (n == 0)
			return 0;
		if (n > 0 && said->len < SAID_MAX)
			buf_add(said, chunk, (size_t)n);
	}
	return err_set(err, ERR_TIMEOUT, "the supervisor says nothing for %d s", START_MS / 1000);
}

static int spawn(const char *dir, const struct strv *argv, int status, int lock, struct err *err)
{
	_cleanup_free_ char *log_path = xasprintf("%s/" FILE_LOG, dir);
	_cleanup_free_ char *program = md_find_program(argv->items[0]);
	_cleanup_close_ int log =
		open(log_path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
	_cleanup_close_ int high_log = -1, high_status = -1, high_lock = -1;

	if (log < 0)
		return err_errno(err, errno, "open %s", log_path);
	if (!program)
		return err_set(err, ERR_NOT_FOUND, "the program %s is not there", argv->items[0]);
	high_log = fcntl(log, F_DUPFD_CLOEXEC, HIGH_FD);
	high_status = fcntl(status, F_DUPFD_CLOEXEC, HIGH_FD);
	high_lock = fcntl(lock, F_DUPFD_CLOEXEC, HIGH_FD);
	if (high_log < 0 || high_status < 0 || high_lock < 0)
		return err_errno(err, errno, "duplicate a descriptor");
	pid_t pid = fork();
	if (pid < 0)
		return err_errno(err, errno, "fork");
	if (pid == 0)
		become_supervisor(program, argv->items, high_log, high_status, high_lock);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return 0;
}

int launch(struct md_request *rq, const char *dir, const struct plan *p, int lock, struct err *err)
{
	_cleanup_free_ char *self = xcalloc(1, PATH_MAX);
	_cleanup_strv_ struct strv argv = STRV_INIT;
	_cleanup_buf_ struct buf said = BUF_INIT;
	_cleanup_close_ int from = -1;
	int pipes[2];

	if (readlink("/proc/self/exe", self, PATH_MAX - 1) < 0)
		return err_errno(err, errno, "find the driver's own program");
	if (launch_by_systemd())
		scope_words(p, &argv);
	strv_add(&argv, self);
	strv_add(&argv, SUPERVISE_FLAG);
	strv_add(&argv, dir);
	if (pipe2(pipes, O_CLOEXEC) < 0)
		return err_errno(err, errno, "pipe");
	from = pipes[0];
	int rc = spawn(dir, &argv, pipes[1], lock, err);
	close(pipes[1]);
	if (rc < 0 || listen_to(rq, from, &said, err) < 0)
		return err_wrap(err, "start the host");
	if (streq(buf_str(&said), "ok"))
		return 0;
	_cleanup_free_ char *log = xasprintf("%s/" FILE_LOG, dir), *tail = md_log_tail(log);
	return err_set(err, ERR_INTERNAL, "start the host: %s (%s: %s)",
		said.len ? buf_str(&said) : "the supervisor ended without a word", log,
		*tail ? tail : "empty");
}
