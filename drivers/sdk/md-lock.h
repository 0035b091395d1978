/* Part of machine-driver.h: locks between processes, and files that are replaced whole. */
#pragma once

#include "err.h"
#include "md-watch.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Takes the lock of a file, which is made if it is missing (0600, its folder 0700). Others are
 * waited for, at most timeout_ms; then ERR_UNAVAILABLE. Returns a descriptor in *ret; md_unlock or
 * the end of the process gives the lock back. The file stays.
 */
int md_lock(const struct md_watch *w, const char *path, bool shared, uint32_t timeout_ms, int *ret,
	struct err *err);
void md_unlock(int *fd); /* -1: nothing; sets -1 */
/* STORE/locks/NAME: where this program's locks are. Malloc'ed. */
char *md_store_lock(const char *store_path, const char *name);

/* Writes a file whole or not at all: a temporary file beside it with its mode from the start,
 * fsync, rename. */
int md_write_file(const char *path, const void *data, size_t len, unsigned mode, struct err *err);
/* Reads a regular file of at most max bytes; malloc'ed, NUL-terminated. ERR_NOT_FOUND: none. */
int md_read_file(const char *path, size_t max, char **ret, size_t *ret_len, struct err *err);
/* mkdir -p with a mode for what is made. */
int md_make_dirs(const char *path, unsigned mode, struct err *err);

#define _cleanup_lock_ __attribute__((cleanup(md_unlock)))
