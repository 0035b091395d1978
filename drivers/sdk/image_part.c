/*
 * A download that may have been cut off before: STORE/cache/images/.part-KEY with the file `data`
 * and part.json, which tells of which file it is (an ETag or a date) and is there before the first
 * byte of it. Whoever holds the lock of KEY works here.
 */
#include "http.h"
#include "image.h"
#include "sdk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#define PART_JSON_MAX 16384u
#define TRIES_MAX 3u /* in a row that bring nothing */
#define RETRIES_MAX 50u
#define PAUSE_MS 1000u
#define LOOK_MS 100u
#define BOOT_ID "/proc/sys/kernel/random/boot_id"
#define BOOT_ID_MAX 128u

static char *boot_id(void)
{
	_cleanup_err_ struct err err = ERR_INIT;
	char *id;

	return md_read_file(BOOT_ID, BOOT_ID_MAX, &id, NULL, &err) < 0 ? xstrdup("") : id;
}

static char *json_path_of(const struct image_part *p)
{
	return xasprintf("%s/part.json", p->dir);
}

static int save(const struct image_part *p, struct err *err)
{
	_cleanup_json_ struct json *j = json_object();
	_cleanup_free_ char *path = json_path_of(p), *boot = boot_id();

	json_set_str(j, "url", p->shown);
	json_set_str(j, "validator", p->validator);
	json_set_str(j, "etag", p->etag);
	json_set_str(j, "lastModified", p->last_modified);
	json_set(j, "total", json_int(p->total));
	json_set_str(j, "boot", boot);
	_cleanup_free_ char *text = json_to_string(j, JSON_INDENT);
	if (md_write_file(path, text, strlen(text), 0600, err) < 0)
		return err->errnum ? image_io_error(err, err->errnum, "write", path) : -1;
	return 0;
}

/* What is there is of use if it is known of which file it is. After a crash of the computer, blocks
 * may be missing in its midst: then it is only of use if a checksum will tell. */
static bool load(struct image_part *p)
{
	_cleanup_free_ char *path = json_path_of(p), *text = NULL, *boot = boot_id();
	_cleanup_json_ struct json *j = NULL;
	_cleanup_err_ struct err err = ERR_INIT;
	size_t len;

	if (md_read_file(path, PART_JSON_MAX, &text, &len, &err) < 0 ||
		json_parse(text, len, &j, &err) < 0)
		return false;
	p->validator = xstrdup(json_str(json_get(j, "validator"), ""));
	p->etag = xstrdup(json_str(json_get(j, "etag"), ""));
	p->last_modified = xstrdup(json_str(json_get(j, "lastModified"), ""));
	p->total = json_int_or(json_get(j, "total"), -1);
	for (const char *c = p->validator; *c; c++)
		if ((unsigned char)*c < 0x20)
			return false;
	return *p->validator && (p->total < 0 || p->size <= p->total) &&
	       (p->checked || (*boot && streq(boot, json_str(json_get(j, "boot"), ""))));
}

static void forget(struct image_part *p)
{
	free(p->validator);
	free(p->etag);
	free(p->last_modified);
	p->validator = xstrdup("");
	p->etag = xstrdup("");
	p->last_modified = xstrdup("");
	p->total = -1;
}

int image_part_restart(struct image_part *p, struct err *err)
{
	forget(p);
	p->size = 0;
	p->resumed = false;
	return ftruncate(p->fd, 0) < 0 ? err_errno(err, errno, "empty %s", p->data) : 0;
}

int image_part_open(const char *store_path, const char *key, const char *shown, bool checked,
	struct image_part *ret, struct err *err)
{
	struct image_part *p = ret;
	struct stat st;

	*p = (struct image_part){.fd = -1, .total = -1, .checked = checked};
	p->dir = xasprintf("%s/cache/images/.part-%s", store_path, key);
	p->data = xasprintf("%s/data", p->dir);
	p->shown = xstrdup(shown);
	if (md_make_dirs(p->dir, 0700, err) < 0)
		return -1;
	p->fd = open(p->data, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (p->fd < 0 && errno == EACCES && unlink(p->data) == 0) /* it was about to be an image */
		p->fd = open(p->data, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (p->fd < 0 || fstat(p->fd, &st) < 0)
		return image_io_error(err, errno, "write", p->data);
	p->size = st.st_size;
	if (!load(p))
		return image_part_restart(p, err);
	p->resumed = p->size > 0;
	return 0;
}

void image_part_finish(struct image_part *p)
{
	close_fdp(&p->fd);
	p->fd = -1;
	free(p->dir);
	free(p->data);
	free(p->shown);
	free(p->validator);
	free(p->etag);
	free(p->last_modified);
}

void image_part_delete(struct image_part *p)
{
	_cleanup_err_ struct err err = ERR_INIT;

	if (image_remove_tree(p->dir, &err) < 0)
		log_debug("%s", err_msg(&err));
}

int image_part_forget(const char *store_path, const char *key, struct err *err)
{
	_cleanup_free_ char *dir = xasprintf("%s/cache/images/.part-%s", store_path, key);

	return image_remove_tree(dir, err);
}

static int check_room(const struct image_part *p, struct err *err)
{
	struct statvfs fs;

	if (p->total < 0 || fstatvfs(p->fd, &fs) < 0)
		return 0;
	uint64_t room = (uint64_t)fs.f_bavail * fs.f_frsize;
	uint64_t needed = (uint64_t)(p->total - p->size);
	if (needed <= room)
		return 0;
	image_io_error(err, ENOSPC, "write", p->data);
	return err_wrap(err, "%llu MB are needed and %llu MB free",
		(unsigned long long)(needed >> 20), (unsigned long long)(room >> 20));
}

static int on_head(void *arg, const struct http_head *head, struct err *err)
{
	struct image_part *p = arg;

	if (head->status == 206) { /* goes on; what is noted is true still */
		p->total = head->total;
		return check_room(p, err);
	}
	if (image_part_restart(p, err) < 0)
		return -1;
	forget(p);
	free(p->etag);
	free(p->last_modified);
	free(p->validator);
	p->etag = xstrdup(head->etag);
	p->last_modified = xstrdup(head->last_modified);
	/* a weak ETag ("W/…") says that two files mean the same, not that they are the same */
	p->validator = xstrdup(*head->etag == '"' ? head->etag : head->last_modified);
	p->total = head->total;
	return check_room(p, err) < 0 || save(p, err) < 0 ? -1 : 0;
}

static int on_body(void *arg, const void *data, size_t len, struct err *err)
{
	struct image_part *p = arg;
	const char *from = data;

	while (len) {
		ssize_t n = pwrite(p->fd, from, len, p->size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return image_io_error(err, n < 0 ? errno : ENOSPC, "write", p->data);
		p->size += n;
		from += n;
		len -= (size_t)n;
	}
	return 0;
}

static int pause_for(const struct md_watch *w, uint32_t ms, struct err *err)
{
	static const struct timespec look = {.tv_nsec = LOOK_MS * 1000000L};
	int64_t end = sdk_now_ms() + ms;

	while (sdk_now_ms() < end) {
		if (sdk_watch_cancelled(w))
			return err_set(err, ERR_CANCELED, "download: cancelled");
		nanosleep(&look, NULL);
	}
	return 0;
}

static int try_once(const struct md_watch *w, struct image_part *p, const char *url,
	const char *message, struct err *err)
{
	struct http_get rq = {.url = url,
		.max_bytes = IMAGE_FILE_MAX,
		.from = p->size,
		.validator = p->validator,
		.whole = MAX(p->total, (int64_t)0),
		.message = message,
		.head = on_head,
		.body = on_body,
		.arg = p};

	if (http_get(w, &rq, err) < 0)
		return -1;
	/* a server may send less of a range than asked for */
	if (p->total < 0 || p->size == p->total)
		return 0;
	err_set(err, ERR_UNAVAILABLE, "GET %s: %lld bytes came of %lld", p->shown,
		(long long)p->size, (long long)p->total);
	err->retryable = true;
	if (p->size > p->total)
		image_part_restart(p, err);
	return -1;
}

int image_part_download(
	const struct md_watch *w, struct image_part *p, const char *url, struct err *err)
{
	const char *slash = strrchr(p->shown, '/');
	_cleanup_free_ char *message = xasprintf("Downloading %s", slash ? slash + 1 : p->shown);
	unsigned vain = 0;

	if (p->total >= 0 && p->size == p->total && p->size > 0)
		return 0;
	sdk_watch_tell(w, p->size ? "%s (going on where it was cut off)" : "%s", message);
	for (unsigned i = 0;; i++) {
		_cleanup_err_ struct err why = ERR_INIT;
		int64_t before = p->size;

		if (try_once(w, p, url, message, &why) == 0)
			break;
		vain = p->size > before ? 0 : vain + 1;
		if (!why.retryable || vain == TRIES_MAX || i == RETRIES_MAX)
			return err_move(err, &why);
		sdk_watch_tell(w, "%s; trying again", err_msg(&why));
		if (pause_for(w, PAUSE_MS * (vain + 1), err) < 0)
			return -1;
	}
	return fdatasync(p->fd) < 0 ? image_io_error(err, errno, "write", p->data) : 0;
}
