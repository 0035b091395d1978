/* What the store's own files share. */
#pragma once

#include "store.h"

#include <sys/stat.h>

struct store {
	char *path, *certs, *machines, *locks;
};

#define STORE_DIR_MODE 0700
#define STORE_FILE_MODE 0600

/* mkdir, durably; an existing folder is fine. */
int store_mkdir(const char *path, struct err *err);
int store_mkdir_parents(const char *path, struct err *err); /* and those above it */
int store_sync_dir(const char *path, struct err *err);
/* A file that must not exist yet, synced; its folder is not. named: for error texts. */
int store_write_new(const char *path, const char *named, const void *data, size_t len, mode_t mode,
	struct err *err);

/*
 * Names of half-made things: ".NAME.KIND-STAMP". The stamp tells which process makes them, exactly
 * enough that a sweeper never takes a living process's work.
 */
char *store_temp_name(const char *name, const char *kind);
/* Is it such a name, and is its maker dead? st: of the entry. */
bool store_temp_abandoned(const char *entry, const char *kind, const struct stat *st);

/* Deletes everything in the folder but `keep` (may be NULL). Follows no link, enters no mount. */
int store_empty_tree(const char *path, const char *keep, struct err *err);
/* The folder itself as well. */
int store_delete_tree(const char *path, struct err *err);

void store_sweep_files(const char *dir);   /* temporary files of dead writers in one folder */
void store_sweep_folders(struct store *s); /* dot folders in machines/ */
void store_sweep_locks(struct store *s);   /* lock files of machines that are gone */
/* Deletes the lock file; the caller holds the lock. */
void store_lock_forget(const struct store *s, const char *name);
