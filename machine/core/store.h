/*
 * The store: machines, certificates and locks on disk, in Docker Machine's layout.
 *
 *   STORE/certs/            CA and client pair
 *   STORE/machines/NAME/    one machine; config.json is replaced by rename, never absent
 *   STORE/locks/            NAME.lock per machine, .certs.lock: flock(2), content is the holder's
 * pid STORE/machines/.…       half-made or half-removed machines; no program takes dot names for
 * machines
 *
 * Readers never lock. Whoever changes a machine holds its lock, re-reads, changes, saves. Every
 * write is: temporary file beside the target, 0600 from the start, fsync, rename, fsync of the
 * folder.
 */
#pragma once

#include "co.h"
#include "err.h"
#include "json.h"
#include "strv.h"

#include <stdbool.h>
#include <sys/types.h>

#define STORE_MAX_CONFIG (8u << 20)

struct store;

/* Without "//", "/./" and a slash at the end. ".." stays: behind a symlink it means something.
 * malloc'ed. */
char *store_tidy_path(const char *path);
/* The same, from the working directory. */
int store_absolute(const char *path, char **ret, struct err *err);

/* Fixes the (absolute) path; touches nothing on disk. */
int store_open(const char *path, struct store **ret, struct err *err);
void store_free(struct store *s);
/* STORE, STORE/certs, STORE/machines, 0700, with parents; for create only. */
int store_ensure(struct store *s, struct err *err);

const char *store_path(const struct store *s);
const char *store_certs_dir(const struct store *s);
char *store_machine_dir(const struct store *s, const char *name); /* malloc'ed */
char *store_machine_file(const struct store *s, const char *name, const char *file);

/* The rule of create: [a-zA-Z0-9][a-zA-Z0-9.-]*, at most 255 bytes. */
bool machine_name_valid(const char *name);
/* Might such a folder be a machine at all: not empty, no '/', no leading '.', at most 255 bytes. */
bool machine_name_possible(const char *name);

/* Every folder in machines/ that does not start with a dot, in byte order. A missing store is
 * empty. */
int store_list(const struct store *s, struct strv *ret, struct err *err);
/* machines/NAME is there, whatever it is. False for impossible names. */
bool store_exists(const struct store *s, const char *name);
/* 0 if it is there; else store_not_found, or why nobody can tell. */
int store_check(const struct store *s, const char *name, struct err *err);
/* ERR_NOT_FOUND with the text that Docker Machine prints for an unknown machine. Returns -1. */
int store_not_found(const char *name, struct err *err);

/* Reads a file of at most max bytes (ERR_USER with the path when it is larger or not a regular
 * file). A NUL follows. */
int store_read_file(const char *path, size_t max, char **ret, size_t *ret_len, struct err *err);
/* Atomic, durable replacement of a file. Beyond 0600, the umask limits mode. */
int store_write_file(const char *path, const void *data, size_t len, mode_t mode, struct err *err);
/* Of what can be made again, 0600: atomic, but a crash of the system may leave an empty file. */
int store_write_spare(const char *path, const void *data, size_t len, struct err *err);

/*
 * The machine's folder appears at once with its files: files is n pairs of name and content, mode
 * 0600. ERR_EXISTS (`Docker machine "NAME" already exists`) when it is there already.
 */
struct store_file {
	const char *name;
	const char *data;
	size_t len;
};
int store_claim(struct store *s, const char *name, const struct store_file *files, size_t n,
	struct err *err);
/* Renames to a dot name, then deletes. Never follows links out of the folder. Also removes the lock
 * file, which the caller holds. A folder that cannot be emptied is given its name back, with its
 * config.json, so that the removal can be tried again. Missing: `Can't remove "NAME"`
 * (ERR_NOT_FOUND). */
int store_remove(struct store *s, const char *name, struct err *err);
/* Deletes what killed processes left: dot folders of claims and removals, temporary files, lock
 * files of machines that are gone. Best effort; walks the whole store. Claims and removals sweep
 * the dot folders and record_save its own folder anyway. */
void store_sweep(struct store *s);

/*
 * Exclusive lock of a machine, or of the certificates (name NULL). Waits without blocking the loop;
 * says who holds it after two seconds. Released by store_unlock, or when the process ends.
 * timeout_ms 0: as long as it takes. ERR_TIMEOUT names the holder's pid.
 */
struct store_lock;
int store_lock(struct co *co, struct store *s, const char *name, uint64_t timeout_ms,
	struct store_lock **ret, struct err *err);
void store_unlock(struct store_lock *l); /* NULL is fine */
