#include "tree.h"

#include "mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
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

/* All that is below, folders after what is in them. fd is taken. */
static int walk(int take_fd, const char *path, dev_t dev, unsigned depth, visit_fn visit, void *arg,
	struct err *err)
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
		if (st.st_dev != dev || depth > DEPTH_MAX)
			return err_set(err, ERR_INTERNAL,
				"%s is another file system, or too deep: it is left alone", below);
		if (S_ISDIR(st.st_mode)) {
			int fd = openat(dirfd(dir), e->d_name,
				O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

			if (fd < 0)
				return err_errno(err, errno, "open %s", below);
			if (walk(fd, below, dev, depth + 1, visit, arg, err) < 0)
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
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(err, errno, "open %s", path);
	return walk(take_fd(fd), path, st.st_dev, 0, visit, arg, err);
}

static int remove_entry(int fd, const char *path, const char *name, const struct stat *st,
	void *arg, struct err *err)
{
	int flags = S_ISDIR(st->st_mode) ? AT_REMOVEDIR : 0;

	(void)arg;
	if (unlinkat(fd, name, flags) < 0 && errno != ENOENT)
		return err_errno(err, errno, "remove %s", path);
	return 0;
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
