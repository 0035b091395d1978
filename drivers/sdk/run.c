/*
 * Runs a program and reads its two streams until it ends. What it leaves running (a daemon) may
 * keep them open: its own end is what counts, seen by a pidfd.
 */
#include "sdk.h"

#include "spawn_program.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define RUN_DEFAULT_MS 60000u
#define RUN_LOOK_MS 100   /* between looks at the watcher */
#define RUN_TOLD_MAX 500u /* bytes of what a failed program said, in an error */
#define RUN_CHUNK 2048u

struct run {
	const char *what; /* for error texts */
	pid_t pid;
	int pidfd;
	int fds[2]; /* its standard output and standard error; -1: at their end */
	struct buf said[2];
};

char *md_find_program(const char *name)
{
	static const char more[] = "/usr/local/sbin:/usr/sbin:/sbin";
	const char *path = getenv("PATH");
	_cleanup_free_ char *all = xasprintf("%s:%s", path ? path : "/usr/bin:/bin", more);
	_cleanup_strv_ struct strv dirs = STRV_INIT;

	if (strchr(name, '/'))
		return access(name, X_OK) == 0 ? xstrdup(name) : NULL;
	strv_split(&dirs, all, ':');
	for (size_t i = 0; i < dirs.n; i++) {
		_cleanup_free_ char *file = xasprintf("%s/%s", dirs.items[i], name);

		if (*file == '/' && access(file, X_OK) == 0)
			return take(file);
	}
	return NULL;
}

/* "qemu-img create": the program, and what it was to do where that is a plain word. */
static char *describe(const char *const *argv)
{
	const char *slash = strrchr(argv[0], '/'), *name = slash ? slash + 1 : argv[0];
	bool word = argv[1] && islower((unsigned char)argv[1][0]);

	for (const char *p = argv[1]; word && *p; p++)
		word = islower((unsigned char)*p);
	return word ? xasprintf("%s %s", name, argv[1]) : xstrdup(name);
}

/* The environment with LC_ALL=C, so that answers can be read; the strings are borrowed. */
static char **c_locale(void)
{
	static char c[] = "LC_ALL=C";
	size_t n = 0, k = 0;

	while (environ[n])
		n++;
	char **env = xcalloc(n + 2, sizeof(*env));
	for (size_t i = 0; i < n; i++)
		if (strncmp(environ[i], "LC_ALL=", strlen("LC_ALL=")) != 0)
			env[k++] = environ[i];
	env[k] = c;
	return env;
}

static int start(struct run *r, const char *const *argv, struct err *err)
{
	_cleanup_free_ char *file = md_find_program(argv[0]);
	_cleanup_close_ int out = -1, err_out = -1;
	int pipes[2];

	if (!file)
		return err_set(err, ERR_NOT_FOUND, "the program %s is not there", argv[0]);
	if (pipe2(pipes, O_CLOEXEC) < 0)
		return err_errno(err, errno, "%s: pipe", r->what);
	r->fds[0] = pipes[0];
	out = pipes[1];
	if (pipe2(pipes, O_CLOEXEC) < 0)
		return err_errno(err, errno, "%s: pipe", r->what);
	r->fds[1] = pipes[0];
	err_out = pipes[1];
	char **env = c_locale();
	int e = spawn_program(file, (char *const *)(uintptr_t)argv, env, (int[3]){-1, out, err_out},
		SPAWN_WITH_US, &r->pid);
	free(env);
	if (e)
		return err_errno(err, e, "start %s", file);
	for (int i = 0; i < 2; i++)
		fcntl(r->fds[i], F_SETFL, O_NONBLOCK);
	r->pidfd = pidfd_open(r->pid, 0);
	return r->pidfd < 0 ? err_errno(err, errno, "%s: pidfd_open", r->what) : 0;
}

/* Takes what is there. */
static int drain(struct run *r, int i, struct err *err)
{
	char chunk[RUN_CHUNK];

	while (r->fds[i] >= 0) {
		ssize_t n = read(r->fds[i], chunk, sizeof(chunk));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n <= 0) {
			close_fdp(&r->fds[i]);
			r->fds[i] = -1;
			return 0;
		}
		buf_add(&r->said[i], chunk, (size_t)n);
		if (r->said[i].len > MD_RUN_OUTPUT_MAX)
			return err_set(err, ERR_INTERNAL, "%s says more than %u bytes", r->what,
				MD_RUN_OUTPUT_MAX);
	}
	return 0;
}

/* Until the program has ended; its streams are read meanwhile, and what is left in them then. */
static int follow(struct run *r, const struct md_watch *w, uint32_t timeout_ms, struct err *err)
{
	int64_t end = sdk_now_ms() + timeout_ms;

	for (;;) {
		struct pollfd p[] = {
			{r->pidfd, POLLIN, 0}, {r->fds[0], POLLIN, 0}, {r->fds[1], POLLIN, 0}};
		int n = poll(p, ARRAY_SIZE(p), RUN_LOOK_MS);

		if (n < 0 && errno != EINTR)
			return err_errno(err, errno, "%s: poll", r->what);
		if (drain(r, 0, err) < 0 || drain(r, 1, err) < 0)
			return -1;
		if (n > 0 && p[0].revents) {
			return drain(r, 0, err) < 0 || drain(r, 1, err) < 0 ? -1 : 0;
		}
		if (sdk_watch_cancelled(w))
			return err_set(err, ERR_CANCELED, "%s: cancelled", r->what);
		if (sdk_now_ms() > end)
			return err_set(err, ERR_TIMEOUT, "%s did not end within %u s", r->what,
				(timeout_ms + 999) / 1000);
	}
}

static void run_finish(struct run *r)
{
	if (r->pid > 0) {
		kill(r->pid, SIGKILL);
		while (waitpid(r->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	close_fdp(&r->pidfd);
	for (int i = 0; i < 2; i++) {
		close_fdp(&r->fds[i]);
		buf_finish(&r->said[i]);
	}
}

/* The end of what it said, on one line. */
static char *last_words(const struct run *r)
{
	const struct buf *said = r->said[1].len ? &r->said[1] : &r->said[0];
	const char *text = buf_str(said);
	size_t len = said->len, skip = len > RUN_TOLD_MAX ? len - RUN_TOLD_MAX : 0;
	char *words;

	while (len > skip && isspace((unsigned char)text[len - 1]))
		len--;
	words = xstrndup(text + skip, len - skip);
	log_neutralise(words);
	return words;
}

static int collect(struct run *r, int *ret_status, struct err *err)
{
	int status;

	while (waitpid(r->pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_errno(err, errno, "%s: wait", r->what);
	r->pid = 0;
	if (WIFSIGNALED(status))
		return err_set(err, ERR_INTERNAL, "%s: ended by signal %d (%s)", r->what,
			WTERMSIG(status), strsignal(WTERMSIG(status)));
	*ret_status = WEXITSTATUS(status);
	return 0;
}

static int run(const struct md_watch *w, const char *const *argv, uint32_t timeout_ms,
	int *ret_status, char **ret_out, struct err *err)
{
	_cleanup_free_ char *what = describe(argv);
	_cleanup_(run_finish) struct run r = {.what = what, .pidfd = -1, .fds = {-1, -1}};
	int status;

	if (start(&r, argv, err) < 0 ||
		follow(&r, w, timeout_ms ? timeout_ms : RUN_DEFAULT_MS, err) < 0 ||
		collect(&r, &status, err) < 0)
		return -1;
	if (status != 0 && !ret_status) {
		_cleanup_free_ char *words = last_words(&r);

		return err_set(err, ERR_INTERNAL, "%s: exit status %d%s%s", what, status,
			*words ? ": " : "", words);
	}
	if (ret_status)
		*ret_status = status;
	if (ret_out)
		*ret_out = buf_steal(&r.said[0]);
	return 0;
}

int md_run(const struct md_watch *w, const char *const *argv, uint32_t timeout_ms, char **ret_out,
	struct err *err)
{
	return run(w, argv, timeout_ms, NULL, ret_out, err);
}

int md_run_status(const struct md_watch *w, const char *const *argv, uint32_t timeout_ms,
	int *ret_status, char **ret_out, struct err *err)
{
	return run(w, argv, timeout_ms, ret_status, ret_out, err);
}
