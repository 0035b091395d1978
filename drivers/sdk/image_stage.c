/* A folder that becomes an image: made under a name of its own, put in place by one rename. */
#include "image.h"

#include "buf.h"
#include "sdk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TREE_FDS 16
#define DIR_MODE 0700
#define FILE_MODE 0444
#define PART_DAYS_MAX 30
#define META_NAME "image.json"

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)ftw;
	return (type == FTW_DP ? rmdir(path) : unlink(path)) < 0 ? errno : 0;
}

int image_remove_tree(const char *path, struct err *err)
{
	int e = nftw(path, remove_one, TREE_FDS, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);

	if (e < 0)
		e = errno;
	return e && e != ENOENT ? err_errno(err, e, "delete %s", path) : 0;
}

int image_stage_open(const char *store_path, const char *key, char **ret_dir, struct err *err)
{
	_cleanup_free_ char *cache = image_cache_dir(store_path);
	_cleanup_free_ char *dir = xasprintf("%s/.new-%s", cache, key);

	image_sweep(store_path);
	if (md_make_dirs(cache, DIR_MODE, err) < 0 || image_remove_tree(dir, err) < 0)
		return -1;
	if (mkdir(dir, DIR_MODE) < 0)
		return image_io_error(err, errno, "make the folder", dir);
	*ret_dir = take(dir);
	return 0;
}

void image_stage_drop(char **dir)
{
	_cleanup_err_ struct err err = ERR_INIT;

	if (*dir && image_remove_tree(*dir, &err) < 0)
		log_debug("%s", err_msg(&err));
	free(*dir);
}

static const struct image_file *role_file(const struct image_meta *m, const char *name)
{
	for (size_t i = 0; i < IMAGE_ROLES; i++)
		if (m->files[i].name && streq(m->files[i].name, name))
			return &m->files[i];
	return NULL;
}

static int file_names(const char *dir, struct strv *ret, struct err *err)
{
	DIR *d = opendir(dir);
	const struct dirent *e;

	if (!d)
		return err_errno(err, errno, "read %s", dir);
	while ((e = readdir(d)))
		if (!streq(e->d_name, ".") && !streq(e->d_name, ".."))
			strv_add(ret, e->d_name);
	closedir(d);
	strv_sort(ret);
	return 0;
}

/* As sha256sum writes it. */
static int write_sums(
	const struct md_watch *w, const char *dir, const struct image_meta *m, struct err *err)
{
	_cleanup_free_ char *path = xasprintf("%s/SHA256SUMS", dir);
	_cleanup_strv_ struct strv names = STRV_INIT;
	_cleanup_buf_ struct buf b = BUF_INIT;

	if (file_names(dir, &names, err) < 0)
		return -1;
	for (size_t i = 0; i < names.n; i++) {
		_cleanup_free_ char *file = xasprintf("%s/%s", dir, names.items[i]);
		const struct image_file *role = role_file(m, names.items[i]);
		char hex[SHA_HEX_MAX + 1];

		if (!role && image_hash_file(w, file, SHA_256, hex, err) < 0)
			return -1;
		buf_addf(&b, "%s  %s\n", role ? role->sha256 : hex, names.items[i]);
	}
	return md_write_file(path, b.data, b.len, FILE_MODE, err);
}

static int seal(const char *dir, struct err *err)
{
	_cleanup_strv_ struct strv names = STRV_INIT;

	if (file_names(dir, &names, err) < 0)
		return -1;
	for (size_t i = 0; i < names.n; i++) {
		_cleanup_free_ char *file = xasprintf("%s/%s", dir, names.items[i]);

		if (chmod(file, FILE_MODE) < 0)
			return err_errno(err, errno, "set the mode of %s", file);
		if (image_sync(file, err) < 0)
			return -1;
	}
	return image_sync(dir, err);
}

/* Is the image there already, and whole? */
static bool is_good(const struct md_watch *w, const char *store_path, const char *id)
{
	_cleanup_free_ char *path = image_path(store_path, id);
	_cleanup_meta_ struct image_meta m = {0};
	_cleanup_err_ struct err err = ERR_INIT;

	return image_load(store_path, id, &m, &err) == 0 &&
	       image_verify(w, path, &m, ~0u, &err) == 0;
}

static int move_file(const char *from, const char *to, const char *name, struct err *err)
{
	_cleanup_free_ char *old = xasprintf("%s/%s", from, name);
	_cleanup_free_ char *fresh = xasprintf("%s/%s", to, name);

	return rename(old, fresh) < 0 ? err_errno(err, errno, "replace %s", fresh) : 0;
}

/* The files of an image that is not what it was; image.json goes first and comes last. What drivers
 * have made of the image (in it, with dot names) stays: machines that run use it. */
static int replace_files(const char *dir, const char *path, struct err *err)
{
	_cleanup_strv_ struct strv fresh = STRV_INIT, stale = STRV_INIT;
	_cleanup_free_ char *meta = xasprintf("%s/" META_NAME, path);

	if (file_names(dir, &fresh, err) < 0 || file_names(path, &stale, err) < 0 ||
		image_remove_tree(meta, err) < 0)
		return -1;
	for (size_t i = 0; i < stale.n; i++) {
		_cleanup_free_ char *file = xasprintf("%s/%s", path, stale.items[i]);

		if (*stale.items[i] != '.' && image_remove_tree(file, err) < 0)
			return -1;
	}
	for (size_t i = 0; i < fresh.n; i++)
		if (!streq(fresh.items[i], META_NAME) &&
			move_file(dir, path, fresh.items[i], err) < 0)
			return -1;
	if (move_file(dir, path, META_NAME, err) < 0 || image_sync(path, err) < 0)
		return -1;
	return image_remove_tree(dir, err);
}

/* Under the image's own lock. */
static int put_in_place(const struct md_watch *w, const char *store_path, const char *dir,
	const struct image_meta *m, struct err *err)
{
	_cleanup_free_ char *path = image_path(store_path, m->id);
	_cleanup_free_ char *cache = image_cache_dir(store_path);

	if (access(path, F_OK) == 0) {
		if (is_good(w, store_path, m->id))
			return image_remove_tree(dir, err);
		if (sdk_watch_cancelled(w))
			return err_set(err, ERR_CANCELED, "take in %s: cancelled", m->id);
		return replace_files(dir, path, err);
	}
	if (rename(dir, path) < 0)
		return image_io_error(err, errno, "put in place the image", path);
	return image_sync(cache, err);
}

int image_stage_commit(const struct md_watch *w, const char *store_path, const char *dir,
	struct image_meta *m, struct err *err)
{
	_cleanup_free_ char *path = xasprintf("%s/" META_NAME, dir);
	_cleanup_free_ char *text = NULL;
	_cleanup_lock_ int lock = -1;

	image_meta_set_id(m);
	text = image_meta_write(m);
	if (md_write_file(path, text, strlen(text), FILE_MODE, err) < 0 ||
		write_sums(w, dir, m, err) < 0 || seal(dir, err) < 0)
		return -1;
	if (image_lock(w, store_path, m->id + strlen(m->id) - IMAGE_HASH_DIGITS, &lock, err) < 0)
		return -1;
	return put_in_place(w, store_path, dir, m, err);
}

/* What a sweep may delete, under the lock of the name's KEY. */
static bool is_left_over(const char *cache, const char *name, const char **ret_key)
{
	static const struct {
		const char *prefix;
		int days;
	} kinds[] = {{".new-", 0}, {".old-", 0}, {".build-", 0}, {".part-", PART_DAYS_MAX}};
	struct stat st;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		size_t len = strlen(kinds[i].prefix);
		_cleanup_free_ char *path = xasprintf("%s/%s", cache, name);

		if (strncmp(name, kinds[i].prefix, len) != 0 || strlen(name + len) > IMAGE_ID_MAX)
			continue;
		*ret_key = name + len;
		return lstat(path, &st) == 0 &&
		       (!kinds[i].days || st.st_mtime + kinds[i].days * 86400L < time(NULL));
	}
	return false;
}

void image_sweep(const char *store_path)
{
	_cleanup_free_ char *cache = image_cache_dir(store_path);
	_cleanup_strv_ struct strv names = STRV_INIT;
	_cleanup_err_ struct err err = ERR_INIT;

	if (file_names(cache, &names, &err) < 0)
		return;
	for (size_t i = 0; i < names.n; i++) {
		_cleanup_free_ char *path = xasprintf("%s/%s", cache, names.items[i]);
		_cleanup_lock_ int lock = -1;
		const char *key;

		if (!is_left_over(cache, names.items[i], &key))
			continue;
		_cleanup_free_ char *file = xasprintf("image-%s.lock", key);
		_cleanup_free_ char *lock_path = md_store_lock(store_path, file);
		if (md_lock(NULL, lock_path, false, 0, &lock, &err) == 0)
			image_remove_tree(path, &err);
	}
}
