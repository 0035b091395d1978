/*
 * Inside the SDK: the cache of base images, STORE/cache/images. See md-image.h for what an image
 * is.
 *
 *   ID/               an image, complete, every file 0444; it appears by one rename. With dot
 *                     names: what drivers make of it
 *   .new-KEY/         one that is being made; whoever holds the lock image-KEY.lock may delete it
 *   .part-KEY/        a download that was cut off: image_fetch.c
 *   .old-KEY/         one that is being deleted
 *
 * KEY is what image_key makes of the path or URL that the image comes from.
 *
 * image.c finds images, image_meta.c reads and writes image.json, image_cache.c has the folder,
 * image_io.c copies and hashes, image_disk.c looks into disks, image_take.c takes in what lies on a
 * disk here, image_fetch.c and image_part.c what lies elsewhere, image_checksum.c knows what it
 * must be, image_known.c what others publish.
 */
#pragma once

#include "checksums.h"
#include "json.h"
#include "machine-driver.h"
#include "sha.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#define IMAGE_FORMAT 1
#define IMAGE_NAME_MAX 64u
#define IMAGE_HASH_DIGITS 12u
#define IMAGE_ID_MAX (IMAGE_NAME_MAX + 1 + IMAGE_HASH_DIGITS)
#define IMAGE_JSON_MAX (1u << 20)
#define IMAGE_FILE_MAX ((int64_t)64 << 30)  /* of one file of an image */
#define IMAGE_LOCK_MS (2u * 60 * 60 * 1000) /* somebody else downloads the same */
#define IMAGE_TIME_MAX 21u

enum image_role {
	IMAGE_ROOTFS,
	IMAGE_ROOT,
	IMAGE_KERNEL,
	IMAGE_INITRD,
	IMAGE_DISK,
	IMAGE_ROLES,
};

struct image_file {
	char *name; /* NULL: the image has no such file */
	int64_t size;
	int64_t virtual_size; /* of disks; 0: not known */
	char sha256[SHA_256_HEX + 1];
};

struct image_meta { /* image.json */
	char *name;
	char id[IMAGE_ID_MAX + 1];
	char *created;      /* 2026-11-25T04:00:00Z */
	char *architecture; /* "amd64", "" if not known */
	char *os, *engine;
	char *cmdline;
	enum md_image_seed seed;
	struct image_file files[IMAGE_ROLES];
	struct json *source; /* an object; NULL: none */
};

/* image_meta.c. The id is computed, and compared with the one that is written there. */
int image_meta_parse(const char *text, size_t len, struct image_meta *ret, struct err *err);
void image_meta_set_id(struct image_meta *m);
char *image_meta_write(const struct image_meta *m); /* malloc'ed */
unsigned image_meta_parts(const struct image_meta *m);
int64_t image_meta_size(const struct image_meta *m); /* of all files */
void image_meta_finish(struct image_meta *m);
#define _cleanup_meta_ __attribute__((cleanup(image_meta_finish)))
const char *image_role_name(enum image_role role);
unsigned image_role_part(enum image_role role); /* the MD_IMAGE_… that it belongs to */
/* [a-zA-Z0-9][a-zA-Z0-9._-]*, at most 64 bytes; no ID, no file name of a disk. */
bool image_name_valid(const char *name);
bool image_id_valid(const char *id);
char *image_name_from(const char *path_or_url); /* a valid name; malloc'ed */
char *image_parts_text(unsigned parts);         /* "rootfs, direct"; malloc'ed */
void image_now(char ret[IMAGE_TIME_MAX]);
const char *image_host_architecture(void); /* Debian's name of it */

/* image_cache.c */
struct image_entry {
	char *id, *dir;
	struct timespec changed;
	struct image_meta meta;
	struct err err; /* why it cannot be used; meta is empty then */
};
struct image_list {
	struct image_entry *items; /* by name, newest first */
	size_t n;
};
char *image_cache_dir(const char *store_path);
char *image_path(const char *store_path, const char *id);
int image_load(const char *store_path, const char *id, struct image_meta *ret, struct err *err);
int image_list(const char *store_path, struct image_list *ret, struct err *err);
void image_list_finish(struct image_list *l);
#define _cleanup_image_list_ __attribute__((cleanup(image_list_finish)))
/* The first 12 digits of the SHA-256 of where an image comes from. */
void image_key(const char *origin, char ret[IMAGE_HASH_DIGITS + 1]);
int image_lock(const struct md_watch *w, const char *store_path, const char *key, int *ret,
	struct err *err);
/* Is there one of the name with one of the parts, or one that cannot be read? */
bool image_has(const char *store_path, const char *name, unsigned any);
/* An ID, or a NAME, which means its newest with one of the parts, or else its newest.
 * ERR_NOT_FOUND with the way out. */
int image_resolve(
	const char *store_path, const char *ref, unsigned any, char **ret_id, struct err *err);
/* The machines whose disks are layers on it. */
int image_users(const char *store_path, const char *id, struct strv *ret, struct err *err);
/* Deletes it. In use: ERR_EXISTS, unless force. */
int image_remove(const struct md_watch *w, const char *store_path, const char *id, bool force,
	struct err *err);
/* Deletes what killed processes left, and downloads that nobody has gone on with for a month. */
void image_sweep(const char *store_path);
int image_remove_tree(const char *path, struct err *err); /* missing: fine; follows no links */
/* image_stage.c. A folder that becomes an image; the caller holds the lock of KEY. */
int image_stage_open(const char *store_path, const char *key, char **ret_dir, struct err *err);
/* Writes image.json and SHA256SUMS, sets modes, fsyncs, renames into place. An image of that ID
 * that is there and good is kept, and dir deleted. m->id is set. */
int image_stage_commit(const struct md_watch *w, const char *store_path, const char *dir,
	struct image_meta *m, struct err *err);
void image_stage_drop(char **dir); /* deletes what was not committed */
#define _cleanup_stage_ __attribute__((cleanup(image_stage_drop)))

/* image_io.c */
int image_hash_fd(const struct md_watch *w, int fd, const char *path, enum sha_kind kind,
	char ret_hex[SHA_HEX_MAX + 1], struct err *err);
int image_hash_file(const struct md_watch *w, const char *path, enum sha_kind kind,
	char ret_hex[SHA_HEX_MAX + 1], struct err *err);
/* Copies a regular file to a new one, 0600, synced. sha256 and, unless SHA_NONE, another kind. */
struct image_copy {
	int64_t size;
	char sha256[SHA_256_HEX + 1];
	enum sha_kind also;
	char also_hex[SHA_HEX_MAX + 1];
};
int image_copy_file(const struct md_watch *w, const char *from, const char *to,
	struct image_copy *c, struct err *err);
static inline void image_set_sha256(char to[SHA_256_HEX + 1], const char *hex)
{
	memcpy(to, hex, SHA_256_HEX);
	to[SHA_256_HEX] = '\0';
}
int image_sync(const char *path, struct err *err); /* a file or a folder */
/* "No space left" gets the way out added. */
int image_io_error(struct err *err, int errnum, const char *what, const char *path);
/* Reads files of the parts and compares. */
int image_verify(const struct md_watch *w, const char *dir, const struct image_meta *m,
	unsigned parts, struct err *err);

/* image_disk.c */
struct image_disk_info {
	bool qcow2; /* else raw */
	int64_t virtual_size;
};
/* Refuses what is no disk, and disks that need other files. shown: what errors call it. */
int image_disk_inspect(const struct md_watch *w, const char *path, const char *shown,
	struct image_disk_info *ret, struct err *err);
int image_disk_convert(const struct md_watch *w, const char *from, const char *to, struct err *err);

/* image_known.c: what others publish. */
struct image_known {
	const char *name;
	const char *os;
	const char *architecture;
	const char *url;
	const char *checksums; /* the URL of the vendor's checksum file */
};
const struct image_known *image_known_find(const char *name); /* for this architecture, or NULL */
char *image_known_names(void);                                /* "a, b"; malloc'ed */

/* image_take.c */
struct image_take {
	const char *store_path;
	const char *ref;                 /* a path or URL, as given */
	const char *checksum;            /* see md_image_get */
	const char *name;                /* NULL: made of the path or URL */
	const struct image_known *known; /* NULL: none of those */
	bool renew;                      /* an image of the same URL does not do */
	bool move;                       /* the folder is the caller's, and need not be copied */
};
int image_take_folder(
	const struct md_watch *w, const struct image_take *t, char **ret_id, struct err *err);
int image_take_file(
	const struct md_watch *w, const struct image_take *t, char **ret_id, struct err *err);
/* A disk at path, in the file system of the stage dir, becomes the image's; m has its source. */
int image_take_disk(const struct md_watch *w, const char *path, const char *shown,
	const char *sha256, const char *dir, struct image_meta *m, struct err *err);
void image_meta_of_disk(const char *name, const struct image_known *known, struct image_meta *m);
int image_check_name(const struct image_take *t, struct err *err);
/* The newest image with all members of `wanted` in its source, if it is one that does. */
bool image_find_source(const struct image_take *t, const struct json *wanted, char **ret_id);

/* image_checksum.c */
/* What a checksum argument says of the file at path_or_url; may read or download a file. */
int image_checksum(const struct md_watch *w, const char *spec, const char *path_or_url,
	struct checksum *ret, struct err *err);
bool image_is_sums_file(const char *spec); /* a path or URL, not a sum */
/* sha512: only used if the sum is one. */
int image_checksum_compare(const struct checksum *sum, const char *sha256, const char *sha512,
	const char *what, struct err *err);
/* The path of a file URL; malloc'ed. ERR_USER: it is of another computer, or garbled. */
int image_file_url(const char *url, char **ret, struct err *err);

/* image_part.c: a download that may have been cut off before. */
struct image_part {
	char *dir, *data; /* .part-KEY, and the file in it */
	int fd;
	int64_t size;  /* of data */
	int64_t total; /* -1: not known */
	char *validator;
	char *shown;  /* the URL */
	bool resumed; /* part of data was there before */
	bool checked; /* there is a checksum, so that even a garbled rest may be tried */
	char *etag, *last_modified;
};
int image_part_open(const char *store_path, const char *key, const char *shown, bool checked,
	struct image_part *ret, struct err *err);
/* Until data is complete; tries again and again as long as that helps. */
int image_part_download(
	const struct md_watch *w, struct image_part *p, const char *url, struct err *err);
int image_part_restart(struct image_part *p, struct err *err); /* from nothing */
void image_part_delete(struct image_part *p);
/* Deletes what there may be; the image is there. */
int image_part_forget(const char *store_path, const char *key, struct err *err);
void image_part_finish(struct image_part *p); /* keeps what is on disk */
#define _cleanup_part_ __attribute__((cleanup(image_part_finish)))

/* image_fetch.c */
int image_fetch(
	const struct md_watch *w, const struct image_take *t, char **ret_id, struct err *err);
/* A URL of another computer needs a checksum, or "none". */
int image_check_url(const char *url, const char *checksum, struct err *err);
/* Whatever ref is: takes it in unless it is there already, and gives its ID. */
int image_take(
	const struct md_watch *w, const struct image_take *t, char **ret_id, struct err *err);

bool image_is_url(const char *ref);
bool image_is_path(const char *ref);
