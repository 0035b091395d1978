/*
 * Locks: flock on a file of STORE/locks, so that the kernel releases what a killed process held.
 * Waiting polls without blocking the loop: flock has no other way, and a thread per waiter would
 * fill libuv's pool.
 */
#include "store.h"

#include "log.h"
#include "mem.h"
#include "store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define POLL_FIRST_MS 5u
#define POLL_MAX_MS 100u
#define TELL_AFTER_MS 2000u

struct store_lock {
	int fd;
};

/* A remover deletes the lock file while others may wait for it: only the file that is still at its
 * place counts. */
static bool still_there(int fd, const char *path)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 && stat(path, &b) == 0 && a.st_ino == b.st_ino &&
	       a.st_dev == b.st_dev;
}

static long holder(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[32] = "";

	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		return 0;
	return strtol(text, NULL, 10);
}

/* 1: locked; 0: somebody else has it */
static int try_lock(const char *path, int *ret_fd, struct err *err)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	char pid[32];

	if (fd < 0)
		return err_errno(err, errno, "open lock %s", path);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		int e = errno;
		close(fd);
		return e == EWOULDBLOCK ? 0 : err_errno(err, e, "lock %s", path);
	}
	if (!still_there(fd, path)) {
		close(fd);
		return 0;
	}
	int n = snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
	/* only a hint for people: a full disk must not stop a lock */
	if (ftruncate(fd, 0) < 0 || write(fd, pid, (size_t)n) < 0)
		log_debug("note the holder in %s: %s", path, strerror(errno));
	*ret_fd = fd;
	return 1;
}

static int wait_lock(struct co *co, const char *path, const char *what, uint64_t timeout_ms,
	int *ret_fd, struct err *err)
{
	uint64_t start = loop_now(co_loop(co)), pause = POLL_FIRST_MS;
	bool told = false;

	for (;;) {
		int r = try_lock(path, ret_fd, err);
		if (r != 0)
			return r < 0 ? -1 : 0;
		uint64_t waited = loop_now(co_loop(co)) - start;
		if (timeout_ms && waited >= timeout_ms)
			return err_set(err, ERR_TIMEOUT, "%s is locked by process %ld", what,
				holder(path));
		if (!told && waited >= TELL_AFTER_MS) {
			log_warn("Waiting for process %ld, which is working on %s...", holder(path),
				what);
			told = true;
		}
		if ((r = co_sleep(co, pause)) < 0)
			return co_err(r, err);
		pause = MIN(pause * 2, (uint64_t)POLL_MAX_MS);
	}
}

int store_lock(struct co *co, struct store *s, const char *name, uint64_t timeout_ms,
	struct store_lock **ret, struct err *err)
{
	_cleanup_free_ char *path = NULL, *what = NULL;
	int fd;

	if (name && !machine_name_possible(name))
		return store_not_found(name, err);
	if (mkdir(s->locks, 0700) < 0 && errno != EEXIST)
		return err_errno(err, errno, "make folder %s", s->locks);
	path = name ? xasprintf("%s/%s.lock", s->locks, name)
		    : xasprintf("%s/certs.lock", s->locks);
	what = name ? xasprintf("machine \"%s\"", name) : xstrdup("the certificates");
	if (wait_lock(co, path, what, timeout_ms, &fd, err) < 0)
		return -1;
	struct store_lock *l = xcalloc(1, sizeof(*l));
	l->fd = fd;
	*ret = l;
	return 0;
}

void store_unlock(struct store_lock *l)
{
	if (!l)
		return;
	close(l->fd);
	free(l);
}
