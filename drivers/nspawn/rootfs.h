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
/* Unpacks the archive if that has not been done; the tree is as it was then, or this fails. */
int rootfs_prepare(const struct md_watch *w, const char *image_dir, const char *archive,
	const char *lock, struct err *err);
/* As it was when it was unpacked? ERR_NOT_FOUND: it has not been, or is gone. */
int rootfs_check(const char *image_dir, struct err *err);
