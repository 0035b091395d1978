/*
 * The image of a host, unpacked: the read-only lower layer of all machines made of it. It lies in
 * the image's folder, and goes with it: .root/tree, and .root/digest, a number for all that is in
 * the tree (tree.h).
 */
#pragma once

#include "md-watch.h"

#include "err.h"

/* Where the tree of an image is or will be. image_dir: its folder in the cache. Malloc'ed. */
char *rootfs_tree(const char *image_dir);
/* As it was when it was unpacked? ERR_NOT_FOUND: it has not been; ERR_INTERNAL: it was changed. */
int rootfs_check(const char *image_dir, struct err *err);
/* Unpacks the archive; anew, if the tree was changed and no host runs on it. */
int rootfs_prepare(const struct md_watch *w, const char *image_dir, const char *archive,
	const char *lock, struct err *err);
/* Held while a host runs on the tree. Returns a descriptor. */
int rootfs_hold(const char *tree, struct err *err);
