/*
 * Files are replaced, never changed: a temporary file beside the target, 0600 from the start, is
 * written and synced, then renamed over it, then the folder is synced. Whatever fails before the
 * rename leaves the old file as it was. What can be made again is not synced.
 */
#include "store_internal.h"

#include "fault.h"
#include "mem.h"
#include "putfile.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* As Go prints it: "open PATH: no such file or directory". */
static int read_error(struct err *err, const char *what, const char *path, int errnum)
{
	_cleanup_free_ char *why = xstrdup(strerror(errnum));
	_cleanup_err_ struct err e = ERR_INIT;

	why[0] = (char)tolower((unsigned char)why[0]);
	err_errno(&e, errnum, "%s", path); /* for the code that goes with the number */
	err_set(err, e.code, "%s %s: %s", what, path, why);
	err->errnum = errnum;
	return -1;
}

static int read_all(
	int fd, const char *path, size_t max, char **ret, size_t *ret_len, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return read_error(err, "stat", path, errno);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_USER, "%s: not a regular file", path);
	if ((uintmax_t)st.st_size > max)
		return err_set(err, ERR_USER, "%s: larger than %zu bytes", path, max);

	size_t size = (size_t)st.st_size, len = 0;
	_cleanup_secret_ char *text = xcalloc(1, size + 1);
	while (len < size) {
		ssize_t n = read(fd, text + len, size - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return read_error(err, "read", path, errno);
		if (n == 0)
			break;
		len += (size_t)n;
	}
	text[len] = '\0';
	*ret = take(text);
	*ret_len = len;
	return 0;
}

int store_read_file(const char *path, size_t max, char **ret, size_t *ret_len, struct err *err)
{
	/* O_NONBLOCK: a fifo in the place of a file must not hang */
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return read_error(err, "open", path, errno);
	return read_all(fd, path, max, ret, ret_len, err);
}

int store_sync_dir(const char *path, struct err *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_errno(err, errno, "open %s", path);
	/* some file systems cannot sync a folder, and need not */
	if (fsync(fd) < 0 && errno != EINVAL && errno != ENOTSUP)
		return err_errno(err, errno, "sync %s", path);
	return 0;
}

/* The folder that holds path. */
static char *parent_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return xstrdup(".");
	return xstrndup(path, slash == path ? 1 : (size_t)(slash - path));
}

int store_mkdir(const char *path, struct err *err)
{
	struct stat st;

	if (mkdir(path, STORE_DIR_MODE) == 0) {
		_cleanup_free_ char *parent = parent_of(path);
		fault_point("store.mkdir");
		return store_sync_dir(parent, err);
	}
	int failed = errno;
	if (stat(path, &st) < 0)
		return err_errno(err, failed, "create %s", path);
	return S_ISDIR(st.st_mode) ? 0 : err_errno(err, ENOTDIR, "create %s", path);
}

/* 0 or an errno. */
static int write_to(int fd, const char *data, size_t len, bool durable)
{
	int failed = write_all(fd, data, len);

	if (failed || !durable)
		return failed;
	fault_point("store.write.before-sync");
	return fsync(fd) < 0 ? errno : 0;
}

static int write_new(const char *path, const char *named, const void *data, size_t len, mode_t mode,
	bool durable, struct err *err)
{
	/* the umask has its say about a mode for others: it is not our place to widen it */
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);

	if (fd < 0)
		return err_errno(err, errno, "write %s", named);
	fault_point("store.write.created");
	int r = write_to(fd, data, len, durable);
	if (close(fd) < 0 && r == 0 && errno != EINTR)
		r = errno;
	if (r == 0)
		return 0;
	unlink(path);
	return err_errno(err, r, "write %s", named);
}

int store_write_new(const char *path, const char *named, const void *data, size_t len, mode_t mode,
	struct err *err)
{
	return write_new(path, named, data, len, mode, true, err);
}

static int replace(
	const char *path, const void *data, size_t len, mode_t mode, bool durable, struct err *err)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *dir = parent_of(path);
	_cleanup_free_ char *temp = store_temp_name(slash ? slash + 1 : path, "tmp");
	_cleanup_free_ char *temp_path = xasprintf("%s/%s", dir, temp);

	if (write_new(temp_path, path, data, len, mode, durable, err) < 0)
		return -1;
	fault_point("store.write.before-rename");
	if (rename(temp_path, path) < 0) {
		int failed = errno;
		unlink(temp_path);
		return err_errno(err, failed, "write %s", path);
	}
	fault_point("store.write.renamed");
	return durable ? store_sync_dir(dir, err) : 0;
}

int store_write_file(const char *path, const void *data, size_t len, mode_t mode, struct err *err)
{
	return replace(path, data, len, mode, true, err);
}

int store_write_spare(const char *path, const void *data, size_t len, struct err *err)
{
	return replace(path, data, len, STORE_FILE_MODE, false, err);
}
