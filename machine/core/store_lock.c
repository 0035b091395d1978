/*
 * A lock is flock(2) on a small file: the kernel drops it with its process, however that ends.
 *
 * The file of a removed machine is deleted by the holder, while others may have it open and wait.
 * So whoever gets a lock looks whether the path still names the file it has locked, and if not,
 * starts again with the new one. Waiting is polling with random short pauses: nothing blocks the
 * loop, no thread is held, and among a hundred waiters none is systematically the last.
 *
 * The certificates' lock has a dot name, which no machine can have.
 */
#include "store_internal.h"

#include "fault.h"
#include "log.h"
#include "mem.h"
#include "quote.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define POLL_MIN_MS 4u
#define POLL_MAX_MS 40u
#define TELL_AFTER_MS 2000u
#define TRIES_MAX 1000u     /* lock files deleted under us, in a row */
#define PLAIN_NAME_MAX 240u /* longer names are cut, with a hash in place of the rest */
#define PLAIN_NAME_PREFIX 200u

static const char suffix[] = ".lock", certs_name[] = ".certs";

struct store_lock {
	int fd;
};

static char *lock_path(const struct store *s, const char *name)
{
	unsigned long long hash = 14695981039346656037ull; /* FNV-1a */

	if (!name)
		name = certs_name;
	if (strlen(name) <= PLAIN_NAME_MAX)
		return xasprintf("%s/%s%s", s->locks, name, suffix);
	for (const char *p = name; *p; p++)
		hash = (hash ^ (unsigned char)*p) * 1099511628211ull;
	return xasprintf("%s/%.*s~%016llx%s", s->locks, (int)PLAIN_NAME_PREFIX, name, hash, suffix);
}

static bool still_there(int fd, const char *path)
{
	struct stat mine, now;

	return fstat(fd, &mine) == 0 && stat(path, &now) == 0 && mine.st_dev == now.st_dev &&
	       mine.st_ino == now.st_ino;
}

static int open_lock(const char *path, bool create)
{
	int fd = open(
		path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | (create ? O_CREAT : 0), STORE_FILE_MODE);

	return fd < 0 ? -errno : fd;
}

/* A locked descriptor, or a negative errno: -EWOULDBLOCK when somebody else holds it. */
static int try_lock(const char *path, bool create)
{
	for (unsigned i = 0; i < TRIES_MAX; i++) {
		int fd = open_lock(path, create);
		if (fd < 0)
			return fd;
		if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
			int failed = errno;
			close(fd);
			if (failed == EINTR)
				continue;
			return -failed;
		}
		if (still_there(fd, path))
			return fd;
		close(fd);
	}
	return -EWOULDBLOCK;
}

/* The pid in the file; 0: none. */
static long holder_of(const char *path)
{
	char text[24] = "";
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = '\0';
	long pid = strtol(text, NULL, 10);
	return pid > 0 ? pid : 0;
}

/* For the texts of those who wait; a full disk does not matter here. */
static void write_holder(int fd)
{
	char text[24];
	int len = snprintf(text, sizeof(text), "%ld\n", (long)getpid());

	if (pwrite(fd, text, (size_t)len, 0) != len || ftruncate(fd, len) < 0)
		log_debug("cannot note the holder of a lock: %s", strerror(errno));
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static unsigned pause_ms(void)
{
	unsigned r = 0;

	if (getrandom(&r, sizeof(r), GRND_NONBLOCK) < 0)
		r = (unsigned)now_ms();
	return POLL_MIN_MS + r % (POLL_MAX_MS - POLL_MIN_MS + 1);
}

static char *describe(const char *name)
{
	if (!name)
		return xstrdup("the certificates");
	_cleanup_free_ char *quoted = go_quote(name);
	return xasprintf("machine %s", quoted);
}

static char *describe_holder(const char *path)
{
	long pid = holder_of(path);

	if (pid == getpid())
		return xstrdup("another part of this command");
	return pid ? xasprintf("process %ld", pid) : xstrdup("another process");
}

static int timed_out(const char *path, const char *name, uint64_t waited, struct err *err)
{
	_cleanup_free_ char *what = describe(name);
	_cleanup_free_ char *who = describe_holder(path);

	return err_set(err, ERR_TIMEOUT, "%s is locked by %s (waited %.1f s)", what, who,
		(double)waited / 1000);
}

static void tell(const char *path, const char *name)
{
	_cleanup_free_ char *what = describe(name);
	_cleanup_free_ char *who = describe_holder(path);

	log_info("Waiting for %s, in use by %s...", what, who);
}

static int wait_lock(struct co *co, const char *path, const char *name, uint64_t timeout_ms,
	int *ret_fd, struct err *err)
{
	uint64_t began = now_ms();
	bool told = false;

	for (;;) {
		int fd = try_lock(path, true);
		if (fd >= 0) {
			*ret_fd = fd;
			return 0;
		}
		if (fd != -EWOULDBLOCK)
			return err_errno(err, -fd, "lock %s", path);
		uint64_t waited = now_ms() - began;
		if (timeout_ms && waited >= timeout_ms)
			return timed_out(path, name, waited, err);
		if (!told && waited >= TELL_AFTER_MS) {
			tell(path, name);
			told = true;
		}
		int r = co_sleep(co, pause_ms());
		if (r == -ETIMEDOUT)
			return timed_out(path, name, waited, err);
		if (r < 0)
			return co_err(r, err);
	}
}

int store_lock(struct co *co, struct store *s, const char *name, uint64_t timeout_ms,
	struct store_lock **ret, struct err *err)
{
	int fd = -1;

	if (name && !machine_name_possible(name))
		return store_not_found(name, err);
	if (store_mkdir(s->locks, err) < 0)
		return -1;
	_cleanup_free_ char *path = lock_path(s, name);
	if (wait_lock(co, path, name, timeout_ms, &fd, err) < 0)
		return -1;
	write_holder(fd);
	*ret = xcalloc(1, sizeof(**ret));
	(*ret)->fd = fd;
	fault_point("store.lock.held");
	return 0;
}

void store_unlock(struct store_lock *l)
{
	if (!l)
		return;
	close(l->fd);
	free(l);
}

void store_lock_forget(const struct store *s, const char *name)
{
	_cleanup_free_ char *path = lock_path(s, name);

	if (unlink(path) < 0 && errno != ENOENT)
		log_debug("remove %s: %s", path, strerror(errno));
}

/* A lock file without its machine was left by a kill, or by a question about a machine that never
 * was. */
static void sweep_lock(struct store *s, const char *file)
{
	size_t len = strlen(file), tail = strlen(suffix);

	if (len <= tail || !streq(file + len - tail, suffix))
		return;
	_cleanup_free_ char *name = xstrndup(file, len - tail);
	if (!machine_name_possible(name) || strchr(name, '~') || store_exists(s, name))
		return;
	_cleanup_free_ char *path = lock_path(s, name);
	_cleanup_close_ int fd = try_lock(path, false);
	if (fd >= 0 && !store_exists(s, name))
		unlink(path);
}

void store_sweep_locks(struct store *s)
{
	DIR *d = opendir(s->locks);
	const struct dirent *e;

	if (!d)
		return;
	while ((e = readdir(d)))
		sweep_lock(s, e->d_name);
	closedir(d);
}
