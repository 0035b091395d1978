/* Locks between processes, files that are replaced whole, files that are read whole. */
#include "putfile.h"
#include "sdk.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOCK_LOOK_MS 20      /* between tries */
#define LOCK_TRIES_MAX 1000u /* lock files deleted under us, in a row */
#define DIR_MODE 0700

char *md_store_lock(const char *store_path, const char *name)
{
	return xasprintf("%s/locks/%s", store_path, name);
}

int md_make_dirs(const char *path, unsigned mode, struct err *err)
{
	_cleanup_free_ char *part = xstrdup(path);

	for (char *p = part + 1;; p++) {
		char c = *p;

		if (c && c != '/')
			continue;
		*p = '\0';
		if (mkdir(part, mode) < 0 && errno != EEXIST)
			return err_errno(err, errno, "make the folder %s", part);
		if (!c)
			return 0;
		*p = c;
	}
}

static int open_lock(const char *path, struct err *err)
{
	const char *slash = strrchr(path, '/');
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0 && errno == ENOENT && slash && slash > path) {
		_cleanup_free_ char *dir = xstrndup(path, (size_t)(slash - path));

		if (md_make_dirs(dir, DIR_MODE, err) < 0)
			return -1;
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	}
	return fd < 0 ? err_errno(err, errno, "open the lock %s", path) : fd;
}

/* The program deletes lock files that belong to no machine, when nobody holds them. */
static bool still_there(int fd, const char *path)
{
	struct stat mine, now;

	return fstat(fd, &mine) == 0 && stat(path, &now) == 0 && mine.st_dev == now.st_dev &&
	       mine.st_ino == now.st_ino;
}

/* 1: locked. 0: somebody else holds it. */
static int try_lock(const char *path, bool shared, int *ret, struct err *err)
{
	for (unsigned i = 0; i < LOCK_TRIES_MAX; i++) {
		_cleanup_close_ int fd = open_lock(path, err);

		if (fd < 0)
			return -1;
		if (flock(fd, (shared ? LOCK_SH : LOCK_EX) | LOCK_NB) < 0) {
			if (errno == EINTR)
				continue;
			return errno == EWOULDBLOCK ? 0 : err_errno(err, errno, "lock %s", path);
		}
		if (still_there(fd, path)) {
			*ret = take_fd(fd);
			return 1;
		}
	}
	return 0;
}

int md_lock(const struct md_watch *w, const char *path, bool shared, uint32_t timeout_ms, int *ret,
	struct err *err)
{
	static const struct timespec pause = {.tv_nsec = LOCK_LOOK_MS * 1000000L};
	int64_t end = sdk_now_ms() + timeout_ms;
	int r;

	while ((r = try_lock(path, shared, ret, err)) == 0) {
		if (sdk_watch_cancelled(w))
			return err_set(err, ERR_CANCELED, "lock %s: cancelled", path);
		if (sdk_now_ms() >= end)
			return err_set(err, ERR_UNAVAILABLE,
				"lock %s: another process has held it for %u s", path,
				(timeout_ms + 999) / 1000);
		nanosleep(&pause, NULL);
	}
	return r < 0 ? -1 : 0;
}

void md_unlock(int *fd)
{
	close_fdp(fd);
	*fd = -1;
}

int md_write_file(const char *path, const void *data, size_t len, unsigned mode, struct err *err)
{
	return putfile(path, data, len, mode, err);
}

int md_read_file(const char *path, size_t max, char **ret, size_t *ret_len, struct err *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(err, errno, "read %s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_USER, "%s is not a regular file", path);
	do { /* files of /proc have no size: what is read decides */
		char *room = buf_reserve(&b, 4096);

		n = read(fd, room, 4096);
		if (n < 0 && errno != EINTR)
			return err_errno(err, errno, "read %s", path);
		b.len += (size_t)MAX(n, (ssize_t)0);
		if (b.len > max)
			return err_set(err, ERR_USER, "%s has more than %zu bytes", path, max);
	} while (n != 0);
	if (ret_len)
		*ret_len = b.len;
	*ret = buf_steal(&b);
	return 0;
}
