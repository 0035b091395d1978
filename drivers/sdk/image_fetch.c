/* Images that are downloaded. */
#include "http.h"
#include "image.h"

#include "sdk.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

static struct json *source_of(const char *shown, const char *key)
{
	struct json *source = json_object();

	json_set_str(source, "url", shown);
	json_set_str(source, "urlKey", key);
	return source;
}

/* What is published there now may be what is here already. */
static bool is_current(const struct md_watch *w, const struct image_take *t,
	const struct checksum *sum, const struct json *source, char **ret_id)
{
	struct image_take same = *t;
	_cleanup_free_ char *spec = xasprintf("%s:%s", sha_name(sum->kind), sum->hex);
	_cleanup_meta_ struct image_meta m = {0};
	_cleanup_err_ struct err err = ERR_INIT;
	_cleanup_free_ char *id = NULL;

	same.renew = false;
	same.checksum = spec;
	if (sum->kind == SHA_NONE || !image_find_source(&same, source, &id))
		return false;
	_cleanup_free_ char *dir = image_path(t->store_path, id);
	if (image_load(t->store_path, id, &m, &err) < 0 || image_verify(w, dir, &m, ~0u, &err) < 0)
		return false;
	*ret_id = take(id);
	return true;
}

struct sums { /* of what was downloaded */
	char sha256[SHA_HEX_MAX + 1], sha512[SHA_HEX_MAX + 1];
};

static int check(const struct md_watch *w, const struct image_part *p, const struct checksum *sum,
	struct sums *ret, struct err *err)
{
	if (image_hash_fd(w, p->fd, p->data, SHA_256, ret->sha256, err) < 0 ||
		(sum->kind == SHA_512 &&
			image_hash_fd(w, p->fd, p->data, SHA_512, ret->sha512, err) < 0))
		return -1;
	return image_checksum_compare(sum, ret->sha256, ret->sha512, p->shown, err);
}

/* Downloads and compares. What was put together from two downloads may be wrong because of the
 * first; that one is given a second chance. */
static int download(const struct md_watch *w, struct image_part *p, const char *url,
	const struct checksum *sum, struct sums *ret, struct err *err)
{
	_cleanup_err_ struct err why = ERR_INIT;

	if (image_part_download(w, p, url, err) < 0)
		return -1;
	if (check(w, p, sum, ret, &why) == 0)
		return 0;
	if (why.code == ERR_CANCELED || !p->resumed)
		return err_move(err, &why);
	sdk_watch_tell(w, "What had been downloaded before does not fit: starting again");
	if (image_part_restart(p, err) < 0 || image_part_download(w, p, url, err) < 0)
		return -1;
	return check(w, p, sum, ret, err);
}

/* What may be gone on with later is kept. */
static bool is_worth_keeping(const struct err *err)
{
	return err->code == ERR_CANCELED || err->retryable;
}

static int make(const struct md_watch *w, const struct image_take *t, const char *key,
	const struct image_part *p, const struct sums *sums, struct image_meta *m, struct err *err)
{
	_cleanup_stage_ char *dir = NULL;

	json_set_str(m->source, "etag", p->etag);
	json_set_str(m->source, "lastModified", p->last_modified);
	json_set(m->source, "size", json_int(p->size));
	json_set_str(m->source, "sha256", sums->sha256);
	if (*sums->sha512)
		json_set_str(m->source, "sha512", sums->sha512);
	if (image_stage_open(t->store_path, key, &dir, err) < 0 ||
		image_take_disk(w, p->data, p->shown, sums->sha256, dir, m, err) < 0)
		return -1;
	return image_stage_commit(w, t->store_path, dir, m, err);
}

static int fetch_locked(const struct md_watch *w, const struct image_take *t, const char *key,
	const struct checksum *sum, struct image_meta *m, struct err *err)
{
	_cleanup_part_ struct image_part p = {.fd = -1};
	struct sums sums = {{0}, {0}};
	const char *shown = json_str(json_get(m->source, "url"), "");

	if (image_part_open(t->store_path, key, shown, sum->kind != SHA_NONE, &p, err) < 0)
		return -1;
	if (download(w, &p, t->ref, sum, &sums, err) < 0 ||
		make(w, t, key, &p, &sums, m, err) < 0) {
		if (!is_worth_keeping(err))
			image_part_delete(&p);
		return -1;
	}
	image_part_delete(&p);
	return 0;
}

int image_fetch(
	const struct md_watch *w, const struct image_take *t, char **ret_id, struct err *err)
{
	_cleanup_meta_ struct image_meta m = {0};
	_cleanup_free_ char *shown = http_shown(t->ref);
	_cleanup_free_ char *name = t->name ? xstrdup(t->name) : image_name_from(shown);
	_cleanup_lock_ int lock = -1;
	struct checksum sum;
	char key[IMAGE_HASH_DIGITS + 1];

	if (image_check_name(t, err) < 0 || image_check_url(t->ref, t->checksum, err) < 0)
		return -1;
	image_key(t->ref, key);
	m.source = source_of(shown, key);
	if (image_find_source(t, m.source, ret_id))
		return 0;
	if (image_lock(w, t->store_path, key, &lock, err) < 0)
		return -1;
	if (image_find_source(t, m.source, ret_id)) /* somebody else was at it */
		return image_part_forget(t->store_path, key, err);
	if (image_checksum(w, t->checksum, t->ref, &sum, err) < 0)
		return err_wrap(err, "get the image %s", shown);
	if (is_current(w, t, &sum, m.source, ret_id))
		return image_part_forget(t->store_path, key, err);
	image_meta_of_disk(name, t->known, &m);
	if (fetch_locked(w, t, key, &sum, &m, err) < 0)
		return err_wrap(err, "get the image %s", shown);
	*ret_id = xstrdup(m.id);
	return 0;
}
