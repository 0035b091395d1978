/*
 * Machines come and go by one rename. A claim fills a dot folder and renames it to the machine's
 * name; a removal renames the machine to a dot name and deletes that. A kill in between leaves a
 * dot folder, which a later claim or removal sweeps away.
 */
#include "store_internal.h"

#include "fault.h"
#include "log.h"
#include "mem.h"
#include "quote.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char claim_kind[] = "claim", remove_kind[] = "remove", file_kind[] = "tmp";

static char *dot_folder(const struct store *s, const char *name, const char *kind)
{
	_cleanup_free_ char *entry = store_temp_name(name, kind);

	return xasprintf("%s/%s", s->machines, entry);
}

/* rename(2) that replaces nothing. 0 or a negative errno. */
static int rename_new(const char *from, const char *to)
{
	struct stat st;

	if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS && errno != ENOTSUP)
		return -errno;
	/* A file system without that flag. A folder replaces nothing but an empty folder, and a
	 * machine's is never empty. */
	if (lstat(to, &st) == 0)
		return -EEXIST;
	if (rename(from, to) == 0)
		return 0;
	return errno == ENOTEMPTY || errno == ENOTDIR ? -EEXIST : -errno;
}

static int fill(const char *dir, const char *target, const struct store_file *files, size_t n,
	struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		_cleanup_free_ char *path = xasprintf("%s/%s", dir, files[i].name);
		_cleanup_free_ char *named = xasprintf("%s/%s", target, files[i].name);
		if (store_write_new(
			    path, named, files[i].data, files[i].len, STORE_FILE_MODE, err) < 0)
			return -1;
		fault_point("store.claim.file");
	}
	return store_sync_dir(dir, err);
}

static int publish(const struct store *s, const char *dir, const char *target, const char *name,
	struct err *err)
{
	fault_point("store.claim.before-rename");
	int r = rename_new(dir, target);
	if (r == -EEXIST || r == -ENOTEMPTY) {
		_cleanup_free_ char *quoted = go_quote(name);
		return err_set(err, ERR_EXISTS, "Docker machine %s already exists", quoted);
	}
	if (r < 0)
		return err_errno(err, -r, "create %s", target);
	fault_point("store.claim.renamed");
	if (store_sync_dir(s->machines, err) == 0)
		return 0;
	if (rename(target, dir) < 0)
		log_warn("%s stays: %s", target, strerror(errno));
	return -1;
}

int store_claim(struct store *s, const char *name, const struct store_file *files, size_t n,
	struct err *err)
{
	if (!machine_name_possible(name)) {
		_cleanup_free_ char *quoted = go_quote(name ? name : "");
		return err_set(err, ERR_USER, "%s cannot be a machine's name", quoted);
	}
	if (store_ensure(s, err) < 0)
		return -1;
	store_sweep_folders(s);

	_cleanup_free_ char *target = store_machine_dir(s, name);
	_cleanup_free_ char *dir = dot_folder(s, name, claim_kind);
	if (mkdir(dir, STORE_DIR_MODE) < 0)
		return err_errno(err, errno, "create %s", target);
	fault_point("store.claim.folder");
	if (fill(dir, target, files, n, err) == 0 && publish(s, dir, target, name, err) == 0)
		return 0;
	_cleanup_err_ struct err ignored = ERR_INIT;
	store_delete_tree(dir, &ignored);
	return -1;
}

/* The record goes last: until then a removal that fails gives the machine back, to be tried again.
 */
static int delete_machine(
	const struct store *s, const char *dir, const char *target, struct err *err)
{
	fault_point("store.remove.renamed");
	if (store_sync_dir(s->machines, err) < 0 || store_empty_tree(dir, "config.json", err) < 0 ||
		store_empty_tree(dir, NULL, err) < 0) {
		rename_new(dir, target);
		return -1;
	}
	fault_point("store.remove.emptied");
	if (rmdir(dir) < 0)
		log_warn("%s stays: %s", dir, strerror(errno));
	fault_point("store.remove.deleted");
	return store_sync_dir(s->machines, err);
}

static int remove_entry(const struct store *s, const char *name, struct err *err)
{
	_cleanup_free_ char *target = store_machine_dir(s, name);
	_cleanup_free_ char *dir = dot_folder(s, name, remove_kind);
	struct stat st;

	if (lstat(target, &st) < 0)
		return errno == ENOENT ? err_set(err, ERR_NOT_FOUND, "Can't remove \"%s\"", name)
				       : err_errno(err, errno, "remove %s", target);
	if (!S_ISDIR(st.st_mode)) {
		if (unlink(target) < 0)
			return err_errno(err, errno, "remove %s", target);
		return store_sync_dir(s->machines, err);
	}
	fault_point("store.remove.before-rename");
	if (rename(target, dir) < 0)
		return err_errno(err, errno, "remove %s", target);
	return delete_machine(s, dir, target, err);
}

int store_remove(struct store *s, const char *name, struct err *err)
{
	if (!machine_name_possible(name))
		return err_set(err, ERR_NOT_FOUND, "Can't remove \"%s\"", name ? name : "");
	store_sweep_folders(s);
	if (remove_entry(s, name, err) < 0)
		return -1;
	store_lock_forget(s, name);
	return 0;
}

/* Calls fn for every entry of a folder. */
static void each_entry(
	const char *path, void (*fn)(void *arg, int dir, const char *name), void *arg)
{
	DIR *d = opendir(path);
	const struct dirent *e;

	if (!d)
		return;
	while ((e = readdir(d)))
		fn(arg, dirfd(d), e->d_name);
	closedir(d);
}

static void sweep_file(void *arg, int dir, const char *name)
{
	struct stat st;

	if (*name == '.' && fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		S_ISREG(st.st_mode) && store_temp_abandoned(name, file_kind, &st))
		unlinkat(dir, name, 0);
}

void store_sweep_files(const char *dir)
{
	each_entry(dir, sweep_file, NULL);
}

static void sweep_folder(void *arg, int dir, const char *name)
{
	const struct store *s = arg;
	_cleanup_err_ struct err e = ERR_INIT;
	struct stat st;

	if (*name != '.' || fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		!S_ISDIR(st.st_mode))
		return;
	if (!store_temp_abandoned(name, claim_kind, &st) &&
		!store_temp_abandoned(name, remove_kind, &st))
		return;
	_cleanup_free_ char *path = xasprintf("%s/%s", s->machines, name);
	if (store_delete_tree(path, &e) < 0)
		log_debug("leftover of a killed process: %s", err_msg(&e));
}

void store_sweep_folders(struct store *s)
{
	each_entry(s->machines, sweep_folder, s);
}

static void sweep_machine(void *arg, int dir, const char *name)
{
	const struct store *s = arg;

	if (!machine_name_possible(name))
		return;
	_cleanup_free_ char *path = store_machine_dir(s, name);
	store_sweep_files(path);
}

void store_sweep(struct store *s)
{
	store_sweep_folders(s);
	store_sweep_files(s->certs);
	each_entry(s->machines, sweep_machine, s);
	store_sweep_locks(s);
}
