#include "rootfs.h"

#include "fault.h"
#include "machine-driver.h"
#include "tree.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define UNPACK_MS 900000u
#define DIGEST_MAX 64u

static char *folder_of(const char *image_dir)
{
	return xasprintf("%s/.root", image_dir);
}

char *rootfs_tree(const char *image_dir)
{
	_cleanup_free_ char *folder = folder_of(image_dir);

	return xasprintf("%s/tree", folder);
}

int rootfs_hold(const char *tree, struct err *err)
{
	_cleanup_close_ int fd = open(tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || flock(fd, LOCK_SH | LOCK_NB) < 0)
		return err_errno(err, errno, "use the unpacked image %s", tree);
	return take_fd(fd);
}

int rootfs_check(const char *image_dir, struct err *err)
{
	_cleanup_free_ char *folder = folder_of(image_dir), *tree = rootfs_tree(image_dir);
	_cleanup_free_ char *path = xasprintf("%s/digest", folder), *text = NULL;
	_cleanup_free_ char *now_text = NULL;
	uint64_t now;
	size_t len;

	if (md_read_file(path, DIGEST_MAX, &text, &len, err) < 0 ||
		tree_digest(tree, &now, err) < 0)
		return err_wrap(err, "the unpacked image");
	now_text = xasprintf("%016" PRIx64 "\n", now);
	if (streq(text, now_text))
		return 0;
	return err_set(err, ERR_INTERNAL,
		"the unpacked image %s is not as it was unpacked: something has changed it. Stop "
		"the "
		"machines that run on it; the next start unpacks it again",
		folder);
}

static int unpack(
	const struct md_watch *w, const char *archive, const char *folder, struct err *err)
{
	_cleanup_free_ char *fresh = xasprintf("%s.new", folder);
	_cleanup_free_ char *tree = xasprintf("%s/tree", fresh);
	_cleanup_free_ char *path = xasprintf("%s/digest", fresh), *text = NULL;
	const char *const argv[] = {"tar", "-C", tree, "--numeric-owner", "--xattrs",
		"--xattrs-include=*", "-xpf", archive, NULL};
	uint64_t digest;

	if (tree_remove(fresh, err) < 0 || md_make_dirs(tree, 0755, err) < 0)
		return -1;
	nspawn_fault("rootfs.begin");
	if (md_run(w, argv, UNPACK_MS, NULL, err) < 0)
		return err_wrap(err, "unpack %s", archive);
	if (tree_digest(tree, &digest, err) < 0)
		return -1;
	text = xasprintf("%016" PRIx64 "\n", digest);
	if (md_write_file(path, text, strlen(text), 0600, err) < 0)
		return -1;
	nspawn_fault("rootfs.unpacked");
	if (rename(fresh, folder) < 0)
		return err_errno(err, errno, "rename %s", fresh);
	return 0;
}

/* 1: there is a good one. 0: there is none. A changed one that nobody uses is removed. */
static int look(const char *image_dir, const char *folder, struct err *err)
{
	_cleanup_free_ char *tree = rootfs_tree(image_dir);
	_cleanup_close_ int fd = -1;
	_cleanup_err_ struct err why = ERR_INIT;

	if (rootfs_check(image_dir, &why) == 0)
		return 1;
	fd = open(tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0)
		return err_move(err, &why);
	return tree_remove(folder, err);
}

int rootfs_prepare(const struct md_watch *w, const char *image_dir, const char *archive,
	const char *lock, struct err *err)
{
	_cleanup_free_ char *folder = folder_of(image_dir);
	_cleanup_lock_ int fd = -1;
	int there;

	if (md_lock(w, lock, false, UNPACK_MS, &fd, err) < 0)
		return -1;
	there = look(image_dir, folder, err); /* another process may have done it meanwhile */
	if (there != 0)
		return there < 0 ? -1 : 0;
	if (w->tell)
		w->tell(w->arg, 0, 0, "Unpacking the image...");
	return unpack(w, archive, folder, err);
}
