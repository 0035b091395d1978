/*
 * Deleting a folder: relative to open folders, so that nothing outside can be reached by a link or
 * a rename in between; links are removed, not followed; a mount point is an error.
 */
#include "store_internal.h"

#include "buf.h"
#include "mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define TREE_MAX_DEPTH 64u
#define PASSES_MAX 100u /* over one folder, while somebody keeps adding to it */

struct tree {
	dev_t dev;
	unsigned depth;
	struct buf path; /* of the entry at hand, for error texts */
};

static int remove_entries(struct tree *t, int take_fd, const char *keep, struct err *err);

static bool is_mount_point(int fd)
{
#ifdef STATX_ATTR_MOUNT_ROOT
	struct statx sx;

	return statx(fd, "", AT_EMPTY_PATH, STATX_TYPE, &sx) == 0 &&
	       (sx.stx_attributes & sx.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT);
#else
	return false;
#endif
}

static int remove_folder(struct tree *t, int parent, const char *name, struct err *err)
{
	struct stat st;
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT ? 0 : err_errno(err, errno, "remove %s", t->path.data);
	int refuse = fstat(fd, &st) < 0                          ? errno
		     : st.st_dev != t->dev || is_mount_point(fd) ? EBUSY
		     : t->depth >= TREE_MAX_DEPTH                ? ELOOP
								 : 0;
	if (refuse) {
		close(fd);
		return err_errno(err, refuse, "remove %s", t->path.data);
	}
	t->depth++;
	int rc = remove_entries(t, fd, NULL, err);
	t->depth--;
	if (rc == 0 && unlinkat(parent, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return err_errno(err, errno, "remove %s", t->path.data);
	return rc;
}

static int remove_entry(struct tree *t, int parent, const char *name, struct err *err)
{
	if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
		return 0;
	int failed = errno;
	struct stat st;
	if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode))
		return remove_folder(t, parent, name, err);
	return err_errno(err, failed, "remove %s", t->path.data);
}

static bool passed_over(const char *name, const char *keep)
{
	return streq(name, ".") || streq(name, "..") || (keep && streq(name, keep));
}

/* One pass over an open folder; ret_seen: how many entries it met. */
static int remove_pass(struct tree *t, DIR *d, const char *keep, size_t *ret_seen, struct err *err)
{
	const struct dirent *e;
	size_t len = t->path.len;

	*ret_seen = 0;
	while ((errno = 0, e = readdir(d))) {
		if (passed_over(e->d_name, keep))
			continue;
		buf_addf(&t->path, "/%s", e->d_name);
		if (remove_entry(t, dirfd(d), e->d_name, err) < 0)
			return -1;
		t->path.len = len;
		t->path.data[len] = '\0';
		++*ret_seen;
	}
	return errno ? err_errno(err, errno, "read %s", t->path.data) : 0;
}

static int remove_entries(struct tree *t, int take_fd, const char *keep, struct err *err)
{
	DIR *d = fdopendir(take_fd);
	size_t seen;
	int rc;

	if (!d) {
		close(take_fd);
		return err_errno(err, errno, "open %s", t->path.data);
	}
	/* again until nothing is met: some file systems leave out entries while others go */
	for (unsigned i = 0; (rc = remove_pass(t, d, keep, &seen, err)) == 0 && seen; i++) {
		if (i == PASSES_MAX)
			break; /* rmdir will tell */
		rewinddir(d);
	}
	closedir(d);
	return rc;
}

int store_empty_tree(const char *path, const char *keep, struct err *err)
{
	struct tree t = {0};
	struct stat st;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return err_errno(err, errno, "open %s", path);
	if (fstat(fd, &st) < 0) {
		close(fd);
		return err_errno(err, errno, "stat %s", path);
	}
	t.dev = st.st_dev;
	buf_adds(&t.path, path);
	int rc = remove_entries(&t, fd, keep, err);
	buf_finish(&t.path);
	return rc;
}

int store_delete_tree(const char *path, struct err *err)
{
	if (store_empty_tree(path, NULL, err) < 0)
		return -1;
	if (rmdir(path) < 0 && errno != ENOENT)
		return err_errno(err, errno, "remove %s", path);
	return 0;
}
