/* The cache's folder: what is in it, and who uses it. */
#include "image.h"

#include "sdk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINK_NAME "image" /* in a machine's folder */

char *image_cache_dir(const char *store_path)
{
	return xasprintf("%s/cache/images", store_path);
}

char *image_path(const char *store_path, const char *id)
{
	return xasprintf("%s/cache/images/%s", store_path, id);
}

void image_key(const char *origin, char ret[IMAGE_HASH_DIGITS + 1])
{
	char hex[SHA_HEX_MAX + 1];

	sha_text(SHA_256, origin, hex);
	snprintf(ret, IMAGE_HASH_DIGITS + 1, "%.*s", (int)IMAGE_HASH_DIGITS, hex);
}

int image_lock(const struct md_watch *w, const char *store_path, const char *key, int *ret,
	struct err *err)
{
	_cleanup_free_ char *name = xasprintf("image-%s.lock", key);
	_cleanup_free_ char *path = md_store_lock(store_path, name);
	_cleanup_err_ struct err first = ERR_INIT;

	if (md_lock(w, path, false, 0, ret, &first) == 0)
		return 0;
	if (first.code != ERR_UNAVAILABLE)
		return err_move(err, &first);
	sdk_watch_tell(w, "Waiting for another process that is at work on the same image");
	return md_lock(w, path, false, IMAGE_LOCK_MS, ret, err);
}

int image_load(const char *store_path, const char *id, struct image_meta *ret, struct err *err)
{
	_cleanup_free_ char *dir = image_path(store_path, id);
	_cleanup_free_ char *path = xasprintf("%s/image.json", dir);
	_cleanup_free_ char *text = NULL;
	_cleanup_meta_ struct image_meta m = {0};
	size_t len;

	if (md_read_file(path, IMAGE_JSON_MAX, &text, &len, err) < 0)
		return -1;
	if (image_meta_parse(text, len, &m, err) < 0)
		return err_wrap(err, "read %s", path);
	if (!streq(m.id, id))
		return err_set(err, ERR_USER,
			"read %s: it is that of another image, %s: it was changed", path, m.id);
	*ret = m;
	m = (struct image_meta){0};
	return 0;
}

static void entry_finish(struct image_entry *e)
{
	free(e->id);
	free(e->dir);
	image_meta_finish(&e->meta);
	err_finish(&e->err);
}

void image_list_finish(struct image_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		entry_finish(&l->items[i]);
	free(l->items);
	*l = (struct image_list){0};
}

static void add_entry(struct image_list *l, const char *store_path, const char *id)
{
	struct image_entry e = {.id = xstrdup(id), .dir = image_path(store_path, id)};
	struct stat st;

	if (stat(e.dir, &st) == 0)
		e.changed = st.st_mtim;
	image_load(store_path, id, &e.meta, &e.err);
	l->items = xrealloc(l->items, l->n + 1, sizeof(*l->items));
	l->items[l->n++] = e;
}

static size_t name_len(const char *id)
{
	return strlen(id) - IMAGE_HASH_DIGITS - 1;
}

static int by_name_and_age(const void *a, const void *b)
{
	const struct image_entry *x = a, *y = b;
	size_t nx = name_len(x->id), ny = name_len(y->id);
	int r = strncmp(x->id, y->id, MIN(nx, ny));

	if (r == 0 && nx != ny)
		return nx < ny ? -1 : 1;
	if (r)
		return r;
	r = strcmp(y->meta.created ? y->meta.created : "", x->meta.created ? x->meta.created : "");
	if (r)
		return r;
	if (x->changed.tv_sec != y->changed.tv_sec)
		return x->changed.tv_sec < y->changed.tv_sec ? 1 : -1;
	if (x->changed.tv_nsec != y->changed.tv_nsec)
		return x->changed.tv_nsec < y->changed.tv_nsec ? 1 : -1;
	return strcmp(x->id, y->id);
}

int image_list(const char *store_path, struct image_list *ret, struct err *err)
{
	_cleanup_free_ char *path = image_cache_dir(store_path);
	struct image_list l = {0};
	DIR *d = opendir(path);
	const struct dirent *e;

	if (!d && errno != ENOENT)
		return err_errno(err, errno, "read %s", path);
	while (d && (e = readdir(d)))
		if (image_id_valid(e->d_name))
			add_entry(&l, store_path, e->d_name);
	if (d)
		closedir(d);
	if (l.n)
		qsort(l.items, l.n, sizeof(*l.items), by_name_and_age);
	*ret = l;
	return 0;
}

static int not_found(const char *store_path, const char *ref, struct err *err)
{
	_cleanup_free_ char *dir = image_cache_dir(store_path);
	_cleanup_free_ char *known = image_known_names();

	return err_set(err, ERR_NOT_FOUND,
		"there is no image \"%s\" in %s\n"
		"(`machine image build` makes %s, `machine image import` takes in a file or URL, "
		"and these are downloaded where they are named: %s.)",
		ref, dir, MD_IMAGE_DEFAULT, known);
}

static bool is_named(const struct image_entry *e, const char *ref)
{
	size_t len = strlen(ref);

	return streq(e->id, ref) || (name_len(e->id) == len && strncmp(e->id, ref, len) == 0);
}

bool image_has(const char *store_path, const char *name, unsigned any)
{
	_cleanup_image_list_ struct image_list l = {0};
	_cleanup_err_ struct err unreadable = ERR_INIT;

	if (image_list(store_path, &l, &unreadable) < 0)
		return true; /* whoever looks for it will tell */
	for (size_t i = 0; i < l.n; i++) {
		const struct image_entry *e = &l.items[i];

		if (is_named(e, name) && (e->err.code || (image_meta_parts(&e->meta) & any)))
			return true;
	}
	return false;
}

int image_resolve(
	const char *store_path, const char *ref, unsigned any, char **ret_id, struct err *err)
{
	_cleanup_image_list_ struct image_list l = {0};
	const struct image_entry *broken = NULL, *other = NULL;

	if (!image_id_valid(ref) && !image_name_valid(ref))
		return err_set(err, ERR_USER, "\"%s\" is not the name of an image", ref);
	if (image_list(store_path, &l, err) < 0)
		return -1;
	for (size_t i = 0; i < l.n; i++) {
		const struct image_entry *e = &l.items[i];

		if (!is_named(e, ref))
			continue;
		if (e->err.code) {
			broken = e;
		} else if (image_meta_parts(&e->meta) & any) {
			*ret_id = xstrdup(e->id);
			return 0;
		} else if (!other) {
			other = e;
		}
	}
	if (other) { /* what it lacks is told by whoever needs it */
		*ret_id = xstrdup(other->id);
		return 0;
	}
	if (!broken)
		return not_found(store_path, ref, err);
	return err_set(err, ERR_USER,
		"the image %s cannot be used: %s\n(Delete it with `machine image rm %s`, and get "
		"it anew with `machine image build` or `machine image import`.)",
		broken->id, err_msg(&broken->err), broken->id);
}

/* Does the link in a machine's folder lead to the image? Its last part counts, as stores move. */
static bool links_to(const char *link, const char *id)
{
	_cleanup_free_ char *target = xmalloc(PATH_MAX);
	ssize_t n = readlink(link, target, PATH_MAX - 1);
	const char *slash;

	if (n <= 0)
		return false;
	target[n] = '\0';
	slash = strrchr(target, '/');
	return streq(slash ? slash + 1 : target, id);
}

int image_users(const char *store_path, const char *id, struct strv *ret, struct err *err)
{
	_cleanup_free_ char *machines = xasprintf("%s/machines", store_path);
	DIR *d = opendir(machines);
	const struct dirent *e;

	if (!d && errno != ENOENT)
		return err_errno(err, errno, "read %s", machines);
	/* dot names too: half-made and half-removed machines */
	while (d && (e = readdir(d))) {
		_cleanup_free_ char *link = xasprintf("%s/%s/" LINK_NAME, machines, e->d_name);

		if (links_to(link, id))
			strv_add(ret, e->d_name);
	}
	if (d)
		closedir(d);
	strv_sort(ret);
	return 0;
}

static const char *hash_of(const char *id)
{
	return id + strlen(id) - IMAGE_HASH_DIGITS;
}

static int refuse_used(const char *id, const struct strv *users, struct err *err)
{
	_cleanup_free_ char *names = strv_join(users, ", ");

	return err_set(err, ERR_EXISTS,
		"the image %s is in use: the disks of these machines are layers on it: %s\n"
		"(Remove them first. With --force it is deleted all the same, and they are lost.)",
		id, names);
}

int image_remove(const struct md_watch *w, const char *store_path, const char *id, bool force,
	struct err *err)
{
	_cleanup_lock_ int lock = -1;
	_cleanup_strv_ struct strv users = STRV_INIT;
	_cleanup_free_ char *path = image_path(store_path, id);
	_cleanup_free_ char *old = xasprintf("%s/cache/images/.old-%s", store_path, hash_of(id));

	if (image_lock(w, store_path, hash_of(id), &lock, err) < 0 ||
		image_users(store_path, id, &users, err) < 0)
		return -1;
	if (users.n && !force)
		return refuse_used(id, &users, err);
	if (image_remove_tree(old, err) < 0)
		return -1;
	if (rename(path, old) < 0)
		return err_errno(err, errno, "delete the image %s", path);
	return image_remove_tree(old, err);
}

static int use_locked(const char *machine_dir, const struct md_image *image, struct err *err)
{
	_cleanup_free_ char *link = xasprintf("%s/" LINK_NAME, machine_dir);
	_cleanup_free_ char *target = xasprintf("../../cache/images/%s", image->id);
	_cleanup_free_ char *json = xasprintf("%s/image.json", image->dir);

	if (access(json, F_OK) < 0)
		return err_errno(err, errno, "use the image %s", image->id);
	if (links_to(link, image->id))
		return 0;
	if (unlink(link) < 0 && errno != ENOENT)
		return err_errno(err, errno, "write %s", link);
	if (symlink(target, link) < 0)
		return err_errno(err, errno, "write %s", link);
	return image_sync(machine_dir, err);
}

int md_image_use(const char *machine_dir, const struct md_image *image, struct err *err)
{
	_cleanup_free_ char *store = xstrdup(image->dir);
	_cleanup_lock_ int lock = -1;
	size_t tail = strlen("/cache/images/") + strlen(image->id);

	if (strlen(store) <= tail)
		return err_set(err, ERR_INTERNAL, "%s is no image's folder", store);
	store[strlen(store) - tail] = '\0';
	if (image_lock(NULL, store, hash_of(image->id), &lock, err) < 0)
		return -1;
	return use_locked(machine_dir, image, err);
}
