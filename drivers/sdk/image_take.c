/* Takes in what lies on this computer: a folder that build-image made, the file of a disk. */
#include "image.h"

#include "sdk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DISK_NAME "disk.qcow2"
#define INCOMING ".disk"
#define NOTES_MAX 32u                      /* files beside those of the image: packages.txt, … */
#define NOTE_BYTES_MAX ((int64_t)16 << 20) /* of one */

int image_check_name(const struct image_take *t, struct err *err)
{
	if (t->name && !image_name_valid(t->name))
		return err_set(err, ERR_USER,
			"\"%s\" is not a name for an image: letters, digits, '.', '_' and '-', at "
			"most %u, and not like that of a disk's file or an image's ID",
			t->name, IMAGE_NAME_MAX);
	return 0;
}

/* A file of the folder, to be deleted with it: linked, else copied. */
static int place_file(const struct md_watch *w, const struct image_take *t, const char *name,
	const char *dir, struct image_copy *c, struct err *err)
{
	_cleanup_free_ char *from = xasprintf("%s/%s", t->ref, name);
	_cleanup_free_ char *to = xasprintf("%s/%s", dir, name);
	struct stat st;
	char hex[SHA_HEX_MAX + 1];

	if (!t->move || lstat(from, &st) < 0 || !S_ISREG(st.st_mode) || st.st_nlink != 1 ||
		link(from, to) < 0)
		return image_copy_file(w, from, to, c, err);
	if (image_hash_file(w, to, SHA_256, hex, err) < 0)
		return -1;
	c->size = st.st_size;
	image_set_sha256(c->sha256, hex);
	return 0;
}

static int take_role(const struct md_watch *w, const struct image_take *t, const char *dir,
	struct image_meta *m, enum image_role role, struct err *err)
{
	struct image_file *f = &m->files[role];
	struct image_copy c = {.also = SHA_NONE};
	struct image_disk_info info = {0};
	_cleanup_free_ char *path = xasprintf("%s/%s", dir, f->name);

	if (place_file(w, t, f->name, dir, &c, err) < 0)
		return -1;
	if (c.size != f->size || !streq(c.sha256, f->sha256))
		return err_set(err, ERR_USER,
			"%s/%s is not the file that image.json there tells of (its SHA-256 is %s)",
			t->ref, f->name, c.sha256);
	if (role != IMAGE_ROOT && role != IMAGE_DISK)
		return 0;
	_cleanup_free_ char *shown = xasprintf("%s/%s", t->ref, f->name);
	if (image_disk_inspect(w, path, shown, &info, err) < 0)
		return -1;
	if (!info.qcow2)
		return err_set(err, ERR_USER, "%s is not a qcow2 disk", shown);
	f->virtual_size = info.virtual_size;
	return 0;
}

static bool is_role(const struct image_meta *m, const char *name)
{
	for (size_t i = 0; i < IMAGE_ROLES; i++)
		if (m->files[i].name && streq(m->files[i].name, name))
			return true;
	return false;
}

/* What the builder noted beside: packages.txt, inputs.json. */
static int take_notes(const struct md_watch *w, const struct image_take *t, const char *dir,
	const struct image_meta *m, struct err *err)
{
	DIR *d = opendir(t->ref);
	const struct dirent *e;
	unsigned n = 0;
	int r = 0;

	if (!d)
		return err_errno(err, errno, "read %s", t->ref);
	while (r == 0 && n < NOTES_MAX && (e = readdir(d))) {
		_cleanup_free_ char *path = xasprintf("%s/%s", t->ref, e->d_name);
		struct image_copy c = {.also = SHA_NONE};
		struct stat st;

		if (*e->d_name == '.' || streq(e->d_name, "image.json") ||
			streq(e->d_name, "SHA256SUMS") || is_role(m, e->d_name) ||
			lstat(path, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > NOTE_BYTES_MAX)
			continue;
		r = place_file(w, t, e->d_name, dir, &c, err);
		n++;
	}
	closedir(d);
	return r;
}

static int read_meta(const struct image_take *t, struct image_meta *m, struct err *err)
{
	_cleanup_free_ char *path = xasprintf("%s/image.json", t->ref);
	_cleanup_free_ char *text = NULL;
	size_t len;

	if (md_read_file(path, IMAGE_JSON_MAX, &text, &len, err) < 0)
		return err->code == ERR_NOT_FOUND
			       ? err_set(err, ERR_USER,
					 "%s is no image: there is no image.json in it", t->ref)
			       : -1;
	if (image_meta_parse(text, len, m, err) < 0)
		return err_wrap(err, "read %s", path);
	if (t->name) {
		free(m->name);
		m->name = xstrdup(t->name);
		image_meta_set_id(m);
	}
	return 0;
}

static bool is_there(const struct md_watch *w, const struct image_take *t, const char *id)
{
	_cleanup_meta_ struct image_meta m = {0};
	_cleanup_err_ struct err err = ERR_INIT;
	_cleanup_free_ char *dir = image_path(t->store_path, id);

	return image_load(t->store_path, id, &m, &err) == 0 &&
	       (!t->renew || image_verify(w, dir, &m, ~0u, &err) == 0);
}

int image_take_folder(
	const struct md_watch *w, const struct image_take *t, char **ret_id, struct err *err)
{
	_cleanup_meta_ struct image_meta m = {0};
	_cleanup_lock_ int lock = -1;
	_cleanup_stage_ char *dir = NULL;
	char key[IMAGE_HASH_DIGITS + 1];

	if (*t->checksum && !streq(t->checksum, "none"))
		return err_set(err, ERR_USER,
			"%s is a folder, which has its checksums in it: give none", t->ref);
	if (image_check_name(t, err) < 0 || read_meta(t, &m, err) < 0)
		return -1;
	image_key(t->ref, key);
	if (!is_there(w, t, m.id)) {
		if (image_lock(w, t->store_path, key, &lock, err) < 0 ||
			image_stage_open(t->store_path, key, &dir, err) < 0)
			return -1;
		for (size_t i = 0; i < IMAGE_ROLES; i++)
			if (m.files[i].name && take_role(w, t, dir, &m, i, err) < 0)
				return -1;
		if (take_notes(w, t, dir, &m, err) < 0 ||
			image_stage_commit(w, t->store_path, dir, &m, err) < 0)
			return -1;
	}
	*ret_id = xstrdup(m.id);
	return 0;
}

int image_take_disk(const struct md_watch *w, const char *path, const char *shown,
	const char *sha256, const char *dir, struct image_meta *m, struct err *err)
{
	struct image_file *f = &m->files[IMAGE_DISK];
	_cleanup_free_ char *to = xasprintf("%s/" DISK_NAME, dir);
	struct image_disk_info info = {0};
	char hex[SHA_HEX_MAX + 1];
	struct stat st;

	if (image_disk_inspect(w, path, shown, &info, err) < 0)
		return -1;
	if (info.qcow2 && link(path, to) < 0)
		return image_io_error(err, errno, "write", to);
	if (!info.qcow2 && image_disk_convert(w, path, to, err) < 0)
		return -1;
	if (!info.qcow2 && image_hash_file(w, to, SHA_256, hex, err) < 0)
		return -1;
	if (stat(to, &st) < 0)
		return err_errno(err, errno, "read %s", to);
	f->name = xstrdup(DISK_NAME);
	f->size = st.st_size;
	f->virtual_size = info.virtual_size;
	image_set_sha256(f->sha256, info.qcow2 ? sha256 : hex);
	return 0;
}

void image_meta_of_disk(const char *name, const struct image_known *known, struct image_meta *m)
{
	char now[IMAGE_TIME_MAX];

	image_now(now);
	m->name = xstrdup(name);
	m->created = xstrdup(now);
	m->architecture = xstrdup(known ? known->architecture : "");
	m->os = xstrdup(known ? known->os : "");
	m->engine = xstrdup("");
	m->cmdline = xstrdup("");
	m->seed = MD_SEED_CLOUD_INIT;
}

/* A checksum that is a sum must be the one that the image was taken in with. */
static bool sum_fits(const struct json *source, const char *checksum)
{
	_cleanup_err_ struct err err = ERR_INIT;
	struct checksum sum;

	if (checksum_parse(checksum, &sum, &err) < 0 || sum.kind == SHA_NONE)
		return true;
	return streq(json_str(json_get(source, sha_name(sum.kind)), ""), sum.hex);
}

static bool is_from(const struct json *source, const struct json *wanted)
{
	json_foreach (m, wanted) {
		const struct json *has = json_get(source, m->key);

		if (!has || !json_equal(has, m->value))
			return false;
	}
	return true;
}

bool image_find_source(const struct image_take *t, const struct json *wanted, char **ret_id)
{
	_cleanup_image_list_ struct image_list l = {0};
	_cleanup_err_ struct err err = ERR_INIT;
	const struct image_entry *best = NULL;

	if (t->renew || image_list(t->store_path, &l, &err) < 0)
		return false;
	for (size_t i = 0; i < l.n; i++) {
		const struct image_entry *e = &l.items[i];

		if (e->err.code || !is_from(e->meta.source, wanted) ||
			!sum_fits(e->meta.source, t->checksum) ||
			(t->name && !streq(t->name, e->meta.name)))
			continue;
		if (!best || strcmp(e->meta.created, best->meta.created) > 0)
			best = e;
	}
	if (best)
		*ret_id = xstrdup(best->id);
	return best != NULL;
}

/* A file that was changed has another time of change, whatever its owner makes of the others. */
static int source_of_file(const char *path, struct json **ret, struct err *err)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return err_errno(err, errno, "open %s", path);
	struct json *source = json_object();
	json_set_str(source, "path", path);
	json_set(source, "size", json_int(st.st_size));
	json_set(source, "inode", json_int((int64_t)st.st_ino));
	json_set(source, "changed",
		json_int((int64_t)st.st_ctim.tv_sec * 1000000000 + st.st_ctim.tv_nsec));
	*ret = source;
	return 0;
}

static int take_file(const struct md_watch *w, const struct image_take *t, const char *dir,
	struct image_meta *m, struct err *err)
{
	_cleanup_free_ char *incoming = xasprintf("%s/" INCOMING, dir);
	struct checksum sum;
	struct image_copy c = {0};

	if (image_checksum(w, t->checksum, t->ref, &sum, err) < 0)
		return -1;
	c.also = sum.kind == SHA_512 ? SHA_512 : SHA_NONE;
	if (image_copy_file(w, t->ref, incoming, &c, err) < 0 ||
		image_checksum_compare(&sum, c.sha256, c.also_hex, t->ref, err) < 0 ||
		image_take_disk(w, incoming, t->ref, c.sha256, dir, m, err) < 0)
		return -1;
	json_set_str(m->source, "sha256", c.sha256);
	if (c.also != SHA_NONE)
		json_set_str(m->source, "sha512", c.also_hex);
	if (unlink(incoming) < 0)
		return err_errno(err, errno, "delete %s", incoming);
	return image_stage_commit(w, t->store_path, dir, m, err);
}

int image_take_file(
	const struct md_watch *w, const struct image_take *t, char **ret_id, struct err *err)
{
	_cleanup_meta_ struct image_meta m = {0};
	_cleanup_free_ char *name = t->name ? xstrdup(t->name) : image_name_from(t->ref);
	_cleanup_lock_ int lock = -1;
	_cleanup_stage_ char *dir = NULL;
	char key[IMAGE_HASH_DIGITS + 1];

	if (image_check_name(t, err) < 0 || source_of_file(t->ref, &m.source, err) < 0)
		return -1;
	if (image_find_source(t, m.source, ret_id))
		return 0;
	image_key(t->ref, key);
	if (image_lock(w, t->store_path, key, &lock, err) < 0)
		return -1;
	if (image_find_source(t, m.source, ret_id)) /* somebody else was at it */
		return 0;
	image_meta_of_disk(name, NULL, &m);
	if (image_stage_open(t->store_path, key, &dir, err) < 0 ||
		take_file(w, t, dir, &m, err) < 0)
		return -1;
	*ret_id = xstrdup(m.id);
	return 0;
}
