/* Files: read with a limit, written whole or not at all. */
#include "store.h"

#include "fault.h"
#include "mem.h"
#include "store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int read_all(
	int fd, const char *path, size_t max, char **ret, size_t *ret_len, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_errno(err, errno, "read %s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_USER, "%s is not a regular file", path);
	size_t size = (size_t)st.st_size, have = 0;
	if (size > max)
		return err_set(err, ERR_USER, "%s has %zu bytes, more than the %zu that are read",
			path, size, max);
	char *data = xmalloc(size + 2);
	for (;;) {
		ssize_t n = read(fd, data + have, size + 1 - have);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			int e = errno;
			free(data);
			return err_errno(err, e, "read %s", path);
		}
		have += (size_t)n;
		if (n == 0 || have > size) /* grown meanwhile: what stat saw counts */
			break;
	}
	have = MIN(have, size);
	data[have] = '\0';
	*ret = data;
	*ret_len = have;
	return 0;
}

int store_read_file(const char *path, size_t max, char **ret, size_t *ret_len, struct err *err)
{
	/* O_NONBLOCK: a fifo in the place of a file must not hang */
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (fd < 0) {
		int e = errno;
		err_errno(err, e, "open %s", path);
		return -1;
	}
	return read_all(fd, path, max, ret, ret_len, err);
}

int store_sync_dir(const char *path, struct err *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || (fsync(fd) < 0 && errno != EINVAL && errno != EROFS))
		return err_errno(err, errno, "sync %s", path);
	return 0;
}

static int write_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Only the umask decides how far beyond the owner a certificate may be read. */
static mode_t masked(mode_t mode)
{
	mode_t mask = umask(0);

	umask(mask);
	return mode & ~mask;
}

static int fill(int fd, const void *data, size_t len, mode_t mode)
{
	int r = write_all(fd, data, len);

	if (r == 0 && (mode & 077) && fchmod(fd, masked(mode)) < 0)
		r = -errno;
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	return r;
}

int store_write_file(const char *path, const void *data, size_t len, mode_t mode, struct err *err)
{
	_cleanup_free_ char *temp = xasprintf("%s.tmpXXXXXX", path);
	_cleanup_free_ char *dir = xstrdup(path);
	char *slash = strrchr(dir, '/');
	int fd = mkostemp(temp, O_CLOEXEC); /* 0600 */

	if (fd < 0)
		return err_errno(err, errno, "write %s", path);
	int r = fill(fd, data, len, mode);
	if (close(fd) < 0 && r == 0)
		r = -errno;
	fault_point("store.write.before-rename");
	if (r == 0 && rename(temp, path) < 0)
		r = -errno;
	if (r < 0) {
		unlink(temp);
		return err_errno(err, -r, "write %s", path);
	}
	fault_point("store.write.after-rename");
	*slash = '\0';
	return store_sync_dir(slash == dir ? "/" : dir, err);
}
