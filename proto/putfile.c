#include "putfile.h"

#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* DIR, with its slash, in *ret_len bytes of path; 0: the current folder. */
static const char *base_of(const char *path, size_t *ret_len)
{
	const char *slash = strrchr(path, '/');

	*ret_len = slash ? (size_t)(slash - path) + 1 : 0;
	return path + *ret_len;
}

char *putfile_staged(const char *path)
{
	size_t n;
	const char *base = base_of(path, &n);

	return xasprintf("%.*s.%s.new", (int)n, path, base);
}

int write_all(int fd, const void *data, size_t len)
{
	for (const char *p = data; len;) {
		ssize_t n = write(fd, p, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? errno : ENOSPC;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int putfile_stage(const char *path, const void *data, size_t len, mode_t mode, struct err *err)
{
	_cleanup_free_ char *temp = putfile_staged(path);

	unlink(temp);
	int fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd < 0)
		return err_errno(err, errno, "write %s", path);
	int e = write_all(fd, data, len);
	if (!e && fsync(fd) < 0)
		e = errno;
	if (close(fd) < 0 && !e)
		e = errno;
	if (!e)
		return 0;
	unlink(temp);
	return err_errno(err, e, "write %s", path);
}

int putfile_commit(const char *path, struct err *err)
{
	_cleanup_free_ char *temp = putfile_staged(path);
	size_t n;

	base_of(path, &n);
	_cleanup_free_ char *dir = n ? xstrndup(path, n) : xstrdup(".");
	if (rename(temp, path) < 0)
		return err_errno(err, errno, "write %s", path);
	_cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || (fsync(fd) < 0 && errno != EINVAL))
		return err_errno(err, errno, "sync %s", dir);
	return 0;
}

void putfile_discard(const char *path)
{
	_cleanup_free_ char *temp = putfile_staged(path);

	unlink(temp);
}

int putfile(const char *path, const void *data, size_t len, mode_t mode, struct err *err)
{
	if (putfile_stage(path, data, len, mode, err) == 0 && putfile_commit(path, err) == 0)
		return 0;
	putfile_discard(path);
	return -1;
}
