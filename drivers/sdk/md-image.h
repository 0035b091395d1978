/*
 * Part of machine-driver.h: base images. An image is a folder STORE/cache/images/ID that never
 * changes once it is there, for the disks of machines are layers on it. image.json in it says what
 * it is made of and holds the checksum of every file.
 *
 * ID is NAME-HASH, HASH the first 12 hex digits of the SHA-256 of what identifies its content. A
 * NAME stands for its newest ID.
 */
#pragma once

#include "err.h"
#include "md-watch.h"

#include <stdint.h>

enum md_image_part {         /* what a driver needs; one bit each */
	MD_IMAGE_ROOTFS = 1, /* a root file system, as a compressed tar archive */
	MD_IMAGE_DISK = 2,   /* a bootable disk, qcow2 */
	MD_IMAGE_DIRECT = 4, /* a disk with a root file system only, its kernel and its initrd */
	MD_IMAGE_UNREAD =
		8, /* no part: the files are not read, the caller has what it needs of them */
};

enum md_image_seed {
	MD_SEED_CLOUD_INIT, /* the whole of cloud-init */
	MD_SEED_LEAN, /* reads the seeds that the SDK writes: #cloud-config as JSON, see md-seed.h
		       */
};

#define MD_IMAGE_DEFAULT "debian-12"         /* the NAME that `machine image build` gives */
#define MD_IMAGE_PUBLISHED "debian-12-cloud" /* the vendor's, for who has no image yet */

struct md_image { /* strings are malloc'ed, NULL where the image has no such part */
	char *id, *dir;
	char *name, *architecture; /* "amd64", "" if that is not known */
	unsigned parts;            /* enum md_image_part */
	char *rootfs, *rootfs_sha256;
	char *disk;
	char *root_disk, *kernel, *initrd;
	char *cmdline; /* the kernel's arguments for MD_IMAGE_DIRECT */
	enum md_image_seed seed;
};

/*
 * Finds an image. ref: "" (MD_IMAGE_DEFAULT, or MD_IMAGE_PUBLISHED where a bootable disk will do
 * and there is none of ours), a NAME or ID in the cache, the path of a local disk
 * image or of a folder made by build-image, or an http(s) or file URL of a disk image. What is not
 * in the cache yet is taken in: copied or downloaded under a lock, resumed where an earlier
 * download ended, checked. checksum: "", "sha256:HEX", "sha512:HEX", the URL or path of a
 * SHA256SUMS or SHA512SUMS file, or "none". A URL of another computer needs a checksum or "none".
 *
 * The image has at least one of the parts of `any`; the files of those are read and compared with
 * their checksums before this returns. ERR_NOT_FOUND: there is none, and how to get one.
 */
int md_image_get(const struct md_watch *w, const char *store_path, const char *ref,
	const char *checksum, unsigned any, struct md_image *ret, struct err *err);
/* For checks before md_image_get that change nothing. Of what the user wrote, without a look at
 * anything: is the checksum one, and is there one where it is needed? ERR_USER. */
int md_image_check(const char *ref, const char *checksum, struct err *err);
/* Is there such an image in the cache, or a file of that path? What is elsewhere is taken as there.
 */
int md_image_expect(const char *store_path, const char *ref, unsigned any, struct err *err);
/* The program: QEMU_IMG (a name or path), else qemu-img. A driver that uses it declares the
 * variable. */
const char *md_qemu_img(void);
/* Notes that a machine's disk is a layer on the image (a link `image` in the machine's folder), so
 * that `machine image rm` keeps it. Before the disk is made. */
int md_image_use(const char *machine_dir, const struct md_image *image, struct err *err);
void md_image_finish(struct md_image *image);
/* What a state keeps of a ref: a path made absolute, all else as it is. Malloc'ed. */
char *md_image_ref(const char *ref);

#define _cleanup_image_ __attribute__((cleanup(md_image_finish)))
