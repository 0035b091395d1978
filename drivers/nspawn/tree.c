#include "tree.h"

#include "mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEPTH_MAX 512u
#define FNV_BASE 0xcbf29ce484222325u
#define FNV_PRIME 0x100000001b3u

/* What is done with an entry: fd is its folder. */
typedef int (*visit_fn)(int fd, const char *path, const char *name, const struct stat *st,
	void *arg, struct err *err);

static void closedirp(DIR **d)
{
	if (*d)
		closedir(*d);
}

/* The number of the mount, not of the device: subvolumes of btrfs, which Docker makes there, are of
 * several devices. */
static uint64_t mount_of(int fd)
{
	struct statx st;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &st) < 0 || !(st.stx_mask & STATX_MNT_ID))
		return 0;
	return st.stx_mnt_id;
}

static int left_alone(const char *path, struct err *err)
{
	return err_set(err, ERR_INTERNAL,
		"%s is another file system, or too deep: it is left alone", path);
}

/* All that is below, folders after what is in them. fd is taken. */
static int walk(int take_fd, const char *path, uint64_t mount, unsigned depth, visit_fn visit,
	void *arg, struct err *err)
{
	_cleanup_(closedirp) DIR *dir = fdopendir(take_fd);

	if (!dir) {
		close_fdp(&take_fd);
		return err_errno(err, errno, "read the folder %s", path);
	}
	for (struct dirent *e; (e = readdir(dir));) {
		_cleanup_free_ char *below = NULL;
		struct stat st;

		if (streq(e->d_name, ".") || streq(e->d_name, ".."))
			continue;
		below = xasprintf("%s/%s", path, e->d_name);
		if (fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return err_errno(err, errno, "%s", below);
		if (S_ISDIR(st.st_mode)) {
			int fd = openat(dirfd(dir), e->d_name,
				O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

			if (fd < 0)
				return err_errno(err, errno, "open %s", below);
			if (mount_of(fd) != mount || depth > DEPTH_MAX) {
				close_fdp(&fd);
				return left_alone(below, err);
			}
			if (walk(fd, below, mount, depth + 1, visit, arg, err) < 0)
				return -1;
		}
		if (visit(dirfd(dir), below, e->d_name, &st, arg, err) < 0)
			return -1;
	}
	return 0;
}

static int walk_all(const char *path, visit_fn visit, void *arg, struct err *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	uint64_t mount = fd < 0 ? 0 : mount_of(fd);

	if (fd < 0)
		return err_errno(err, errno, "open %s", path);
	if (!mount)
		return err_set(
			err, ERR_NOT_SUPPORTED, "%s: the kernel does not tell mounts apart", path);
	return walk(take_fd(fd), path, mount, 0, visit, arg, err);
}

/* The host's root may have said `chattr +i`, or +a, of a file or of its folder. */
static void let_change(int fd)
{
	int flags = 0; /* whatever the macro says, the kernel takes an int */

	if (fd < 0 || ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0)
		return;
	flags &= ~(FS_IMMUTABLE_FL | FS_APPEND_FL);
	(void)!ioctl(fd, FS_IOC_SETFLAGS, &flags);
}

static void let_go(int folder, const char *name, const struct stat *st)
{
	_cleanup_close_ int fd = -1;

	if (S_ISREG(st->st_mode) || S_ISDIR(st->st_mode))
		fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	let_change(folder);
	let_change(fd);
}

static int remove_entry(int fd, const char *path, const char *name, const struct stat *st,
	void *arg, struct err *err)
{
	int flags = S_ISDIR(st->st_mode) ? AT_REMOVEDIR : 0;

	(void)arg;
	if (unlinkat(fd, name, flags) == 0 || errno == ENOENT)
		return 0;
	if (errno == EPERM) {
		let_go(fd, name, st);
		if (unlinkat(fd, name, flags) == 0)
			return 0;
	}
	return err_errno(err, errno, "remove %s", path);
}

int tree_remove(const char *path, struct err *err)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : err_errno(err, errno, "%s", path);
	if (!S_ISDIR(st.st_mode))
		return unlink(path) < 0 ? err_errno(err, errno, "remove %s", path) : 0;
	if (walk_all(path, remove_entry, NULL, err) < 0)
		return -1;
	return rmdir(path) < 0 ? err_errno(err, errno, "remove %s", path) : 0;
}

static uint64_t mix(uint64_t hash, const void *data, size_t len)
{
	const unsigned char *p = data;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ p[i]) * FNV_PRIME;
	return hash;
}

struct digest {
	size_t skip; /* the length of the top's path */
	uint64_t sum;
};

static int add_entry(int fd, const char *path, const char *name, const struct stat *st, void *arg,
	struct err *err)
{
	struct digest *d = arg;
	bool sized = S_ISREG(st->st_mode) || S_ISLNK(st->st_mode);
	_cleanup_free_ char *facts =
		xasprintf("%o %u %u %llx %lld %lld.%ld", st->st_mode, st->st_uid, st->st_gid,
			(unsigned long long)st->st_rdev, sized ? (long long)st->st_size : 0,
			(long long)st->st_mtim.tv_sec, st->st_mtim.tv_nsec);
	uint64_t hash = mix(FNV_BASE, path + d->skip, strlen(path + d->skip));

	hash = mix(hash, facts, strlen(facts));
	if (S_ISLNK(st->st_mode)) {
		_cleanup_free_ char *target = xcalloc(1, PATH_MAX);
		ssize_t n = readlinkat(fd, name, target, PATH_MAX);

		if (n < 0)
			return err_errno(err, errno, "read the link %s", path);
		hash = mix(hash, target, (size_t)n);
	}
	d->sum += hash;
	return 0;
}

int tree_digest(const char *path, uint64_t *ret, struct err *err)
{
	struct digest d = {.skip = strlen(path)};

	if (walk_all(path, add_entry, &d, err) < 0)
		return -1;
	*ret = d.sum;
	return 0;
}
