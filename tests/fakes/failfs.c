/*
 * A disk that fails to order. Preloaded, it counts the calls that change something below a folder
 * and makes one of them fail.
 *
 *   FAILFS_ROOT    the folder
 *   FAILFS_AT      which call fails: 1 is the first
 *   FAILFS_ERRNO   its errno, a number
 *   FAILFS_STICKY  if set, every later call fails as well (but for those that free space)
 *   FAILFS_LOG     a file outside of ROOT that gets a line for each failure
 *
 * A write that is to fail writes half of its bytes first, as a disk does that runs full.
 */
#undef _FILE_OFFSET_BITS /* open and open64 are two functions here */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
/* the real function of the same name and type */
#define NEXT(f) ((__typeof__(&(f)))dlsym(RTLD_NEXT, #f))

static unsigned long count;

static bool below_root(const char *path)
{
	const char *root = getenv("FAILFS_ROOT");
	size_t len = root ? strlen(root) : 0;

	return len && path && strncmp(path, root, len) == 0 &&
	       (path[len] == '/' || path[len] == '\0');
}

/* Where a descriptor leads. */
static void path_of(int fd, char path[PATH_MAX])
{
	char link[40];

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, path, PATH_MAX - 1);
	path[n > 0 ? n : 0] = '\0';
}

static void note(const char *call, const char *path)
{
	const char *log = getenv("FAILFS_LOG");
	int fd = log ? NEXT(open)(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;

	if (fd < 0)
		return;
	dprintf(fd, "%s %s\n", call, path);
	NEXT(close)(fd);
}

/* Is it this call's turn? frees: a full disk does not stop it. */
static bool fails(const char *call, const char *path, bool frees)
{
	const char *at = getenv("FAILFS_AT"), *number = getenv("FAILFS_ERRNO");

	if (!at || !number || !below_root(path))
		return false;
	bool sticky = getenv("FAILFS_STICKY") != NULL;
	if (sticky && frees)
		return false;
	unsigned long turn = strtoul(at, NULL, 10), now = ++count;
	if (now != turn && !(sticky && now > turn))
		return false;
	note(call, path);
	errno = (int)strtol(number, NULL, 10);
	return true;
}

static bool fails_at(const char *call, int dir, const char *path, bool frees)
{
	static __thread char full[PATH_MAX + NAME_MAX + 2];

	if (path[0] == '/' || dir == AT_FDCWD)
		return fails(call, path, frees);
	path_of(dir, full);
	size_t len = strlen(full);
	snprintf(full + len, sizeof(full) - len, "/%.255s", path);
	return fails(call, full, frees);
}

static bool fails_fd(const char *call, int fd)
{
	static __thread char path[PATH_MAX];

	path_of(fd, path);
	return fails(call, path, false);
}

#define OPEN(name)                                                                              \
	EXPORT int name(const char *path, int flags, ...)                                       \
	{                                                                                       \
		va_list ap;                                                                     \
		va_start(ap, flags);                                                            \
		mode_t mode = flags & O_CREAT ? va_arg(ap, mode_t) : 0;                         \
		va_end(ap);                                                                     \
		if ((flags & O_CREAT) && access(path, F_OK) != 0 && fails("open", path, false)) \
			return -1;                                                              \
		return NEXT(name)(path, flags, mode);                                           \
	}
OPEN(open)
OPEN(open64)

#define WRITE(name, size, ...)                                       \
	{                                                            \
		if (!fails_fd("write", fd))                          \
			return NEXT(name)(fd, data, __VA_ARGS__);    \
		int wanted = errno;                                  \
		if (size > 1 && NEXT(write)(fd, data, size / 2) < 0) \
			return -1;                                   \
		errno = wanted;                                      \
		return -1;                                           \
	}
EXPORT ssize_t write(int fd, const void *data, size_t size) WRITE(write, size, size) EXPORT ssize_t
	pwrite(int fd, const void *data, size_t size, off_t at)
		WRITE(pwrite, size, size, at) EXPORT ssize_t
	pwrite64(int fd, const void *data, size_t size, off64_t at) WRITE(pwrite64, size, size, at)

		EXPORT int fsync(int fd)
{
	return fails_fd("fsync", fd) ? -1 : NEXT(fsync)(fd);
}

EXPORT int fdatasync(int fd)
{
	return fails_fd("fdatasync", fd) ? -1 : NEXT(fdatasync)(fd);
}

EXPORT int rename(const char *from, const char *to)
{
	return fails("rename", to, false) ? -1 : NEXT(rename)(from, to);
}

EXPORT int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	return fails_at("renameat", to_dir, to, false) ? -1
						       : NEXT(renameat)(from_dir, from, to_dir, to);
}

EXPORT int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
	return fails_at("renameat2", to_dir, to, false)
		       ? -1
		       : NEXT(renameat2)(from_dir, from, to_dir, to, flags);
}

EXPORT int mkdir(const char *path, mode_t mode)
{
	return fails("mkdir", path, false) ? -1 : NEXT(mkdir)(path, mode);
}

EXPORT int link(const char *from, const char *to)
{
	return fails("link", to, false) ? -1 : NEXT(link)(from, to);
}

EXPORT int symlink(const char *target, const char *path)
{
	return fails("symlink", path, false) ? -1 : NEXT(symlink)(target, path);
}

EXPORT int unlink(const char *path)
{
	return fails("unlink", path, true) ? -1 : NEXT(unlink)(path);
}

EXPORT int unlinkat(int dir, const char *path, int flags)
{
	return fails_at("unlinkat", dir, path, true) ? -1 : NEXT(unlinkat)(dir, path, flags);
}

EXPORT int rmdir(const char *path)
{
	return fails("rmdir", path, true) ? -1 : NEXT(rmdir)(path);
}
