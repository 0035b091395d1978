/* Finds an image and makes sure that it is what it was: md-image.h. */
#include "image.h"

#include "http.h"
#include "sdk.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

bool image_is_url(const char *ref)
{
	return strstr(ref, "://") != NULL;
}

bool image_is_path(const char *ref)
{
	/* an ID or NAME does not end as the file of a disk does */
	return *ref && !image_is_url(ref) &&
	       (strchr(ref, '/') || *ref == '~' || *ref == '.' ||
		       (!image_name_valid(ref) && !image_id_valid(ref)));
}

char *md_image_ref(const char *ref)
{
	return image_is_path(ref) ? md_expand_path(ref) : xstrdup(ref);
}

int image_check_url(const char *url, const char *checksum, struct err *err)
{
	_cleanup_free_ char *shown = NULL;

	if (*checksum || !http_is_url(url) || http_is_local(url))
		return 0;
	shown = http_shown(url);
	return err_set(err, ERR_USER,
		"the image %s needs a checksum: sha256:HEX, sha512:HEX, the URL of the vendor's "
		"SHA256SUMS or SHA512SUMS file, or \"none\" to go without",
		shown);
}

int md_image_check(const char *ref, const char *checksum, struct err *err)
{
	struct checksum sum;

	if (!image_is_sums_file(checksum) && checksum_parse(checksum, &sum, err) < 0)
		return -1;
	return image_check_url(ref, checksum, err);
}

int md_image_expect(const char *store_path, const char *ref, unsigned any, struct err *err)
{
	_cleanup_free_ char *found = NULL;

	if (!*ref || image_is_url(ref) || image_known_find(ref))
		return 0;
	if (!image_is_path(ref))
		return image_resolve(store_path, ref, any, &found, err);
	found = md_expand_path(ref);
	return access(found, R_OK) < 0 ? err_errno(err, errno, "open the image %s", found) : 0;
}

static char *file_of(const struct md_image *image, const struct image_file *f)
{
	return f->name ? xasprintf("%s/%s", image->dir, f->name) : NULL;
}

static void fill(const char *store_path, const struct image_meta *m, struct md_image *ret)
{
	const struct image_file *f = m->files;

	*ret = (struct md_image){.id = xstrdup(m->id),
		.dir = image_path(store_path, m->id),
		.name = xstrdup(m->name),
		.architecture = xstrdup(m->architecture),
		.parts = image_meta_parts(m),
		.seed = m->seed};
	ret->rootfs = file_of(ret, &f[IMAGE_ROOTFS]);
	ret->rootfs_sha256 = ret->rootfs ? xstrdup(f[IMAGE_ROOTFS].sha256) : NULL;
	ret->disk = file_of(ret, &f[IMAGE_DISK]);
	if (!(ret->parts & MD_IMAGE_DIRECT))
		return;
	ret->root_disk = file_of(ret, &f[IMAGE_ROOT]);
	ret->kernel = file_of(ret, &f[IMAGE_KERNEL]);
	ret->initrd = file_of(ret, &f[IMAGE_INITRD]);
	ret->cmdline = xstrdup(m->cmdline);
}

void md_image_finish(struct md_image *image)
{
	char **const all[] = {&image->id, &image->dir, &image->name, &image->architecture,
		&image->rootfs, &image->rootfs_sha256, &image->disk, &image->root_disk,
		&image->kernel, &image->initrd, &image->cmdline};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		free(*all[i]);
	*image = (struct md_image){0};
}

static int check_fit(const struct image_meta *m, unsigned any, struct err *err)
{
	unsigned parts = image_meta_parts(m);
	const char *here = image_host_architecture();

	if (*m->architecture && *here && !streq(m->architecture, here))
		return err_set(err, ERR_USER, "the image %s is for %s, and this computer is %s",
			m->id, m->architecture, here);
	if (parts & any)
		return 0;
	_cleanup_free_ char *has = image_parts_text(parts), *needs = image_parts_text(any);
	return err_set(err, ERR_USER,
		"the image %s does not do here: it has these parts: %s; one of these is needed: %s",
		m->id, has, needs);
}

static int take_known(const struct md_watch *w, struct image_take *t, const char *checksum,
	char **ret_id, struct err *err)
{
	const struct image_known *known = image_known_find(t->ref);

	t->known = known;
	t->name = t->name ? t->name : known->name;
	t->ref = known->url;
	t->checksum = *checksum ? checksum : known->checksums;
	return image_fetch(w, t, ret_id, err);
}

int image_take(const struct md_watch *w, const struct image_take *t, char **ret_id, struct err *err)
{
	struct image_take mine = *t;
	_cleanup_free_ char *path = NULL;
	struct stat st;

	if (image_known_find(t->ref))
		return take_known(w, &mine, t->checksum, ret_id, err);
	if (http_is_url(t->ref))
		return image_fetch(w, t, ret_id, err);
	if (!image_is_url(t->ref))
		path = md_expand_path(t->ref);
	else if (image_file_url(t->ref, &path, err) < 0)
		return -1;
	mine.ref = path;
	if (stat(path, &st) < 0)
		return err_errno(err, errno, "open the image %s", path);
	if (S_ISDIR(st.st_mode))
		return image_take_folder(w, &mine, ret_id, err);
	return image_take_file(w, &mine, ret_id, err);
}

static int find(const struct md_watch *w, const char *store_path, const char *ref,
	const char *checksum, unsigned parts, char **ret_id, struct err *err)
{
	struct image_take t = {.store_path = store_path, .ref = ref, .checksum = checksum};
	_cleanup_err_ struct err why = ERR_INIT;

	if (image_is_url(ref) || image_is_path(ref))
		return image_take(w, &t, ret_id, err);
	if (image_resolve(store_path, ref, parts, ret_id, &why) == 0)
		return 0;
	if (why.code != ERR_NOT_FOUND || !image_known_find(ref))
		return err_move(err, &why);
	return image_take(w, &t, ret_id, err);
}

/* Ours; where there is none that boots, the published one. */
static const char *default_ref(const struct md_watch *w, const char *store_path, unsigned parts)
{
	if (!(parts & MD_IMAGE_DISK) || image_has(store_path, MD_IMAGE_DEFAULT, parts))
		return MD_IMAGE_DEFAULT;
	if (w && w->tell)
		w->tell(w->arg, 0, 0,
			"There is no image " MD_IMAGE_DEFAULT
			" to boot (`machine image build` makes "
			"one): taking the published " MD_IMAGE_PUBLISHED);
	return MD_IMAGE_PUBLISHED;
}

int md_image_get(const struct md_watch *w, const char *store_path, const char *ref,
	const char *checksum, unsigned any, struct md_image *ret, struct err *err)
{
	_cleanup_meta_ struct image_meta m = {0};
	_cleanup_free_ char *id = NULL, *dir = NULL;
	unsigned parts = any & ~(unsigned)MD_IMAGE_UNREAD;

	const char *wanted = *ref ? ref : default_ref(w, store_path, parts);

	if (find(w, store_path, wanted, checksum, parts, &id, err) < 0)
		return streq(wanted, ref) || streq(wanted, MD_IMAGE_DEFAULT)
			       ? -1
			       : err_wrap(err, "there is no image " MD_IMAGE_DEFAULT
					       " to boot (`machine image build` makes one), and "
					       "the published one cannot be had");
	dir = image_path(store_path, id);
	if (image_load(store_path, id, &m, err) < 0 || check_fit(&m, parts, err) < 0)
		return -1;
	if (!(any & MD_IMAGE_UNREAD) && image_verify(w, dir, &m, parts, err) < 0)
		return -1;
	fill(store_path, &m, ret);
	return 0;
}
