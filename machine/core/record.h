/*
 * A machine's record: its config.json as a tree in which unknown members survive, plus
 * `.create.json`, which exists while the machine is not finished: the machine's id and the create
 * steps that are done.
 *
 * Keys are matched as Go does when a record is read, and spelled as Docker Machine does from then
 * on.
 */
#pragma once

#include "driver.h"
#include "store.h"

#define CONFIG_VERSION 3
#define PROGRESS_FILE ".create.json"
#define PROGRESS_MAX (64u << 10)

struct record {
	char *name;       /* the folder's name */
	struct json *doc; /* config.json, version 3; has every member, as it is spelled there */
	struct json *progress; /* .create.json, or NULL when the machine is complete */
	struct json *auth;     /* AuthOptions for what doc leaves open of them; NULL: nothing */
	char *saved;           /* config.json's text as read or last written; NULL: never */
	/* record_save's own: */
	char *progress_saved; /* .create.json's text; NULL: there is none */
	bool migrated;        /* saved is of an older version */
};

void record_free(struct record *r);
static inline void record_freep(struct record **r)
{
	record_free(*r);
}
#define _cleanup_record_ __attribute__((cleanup(record_freep)))

/* Reads, checks types of what the program itself uses, migrates older versions in memory
 * (record_save writes the result, keeping the old bytes as config.json.bak), and adapts paths when
 * the store was moved. ERR_NOT_FOUND for an unknown machine (store_not_found) only; ERR_IO when its
 * config.json is missing. */
int record_load(struct store *s, const char *name, struct record **ret, struct err *err);
/* The same from config.json's bytes, without .create.json. */
int record_parse(struct store *s, const char *name, const char *text, size_t len,
	struct record **ret, struct err *err);
/* For those who hold many and save none: forgets `saved`, of which only record_save makes use. */
void record_only_read(struct record *r);
/* How `saved` would be written if nothing had changed, for record_save: those who only read do not
 * pay for it. malloc'ed, a secret; NULL if `saved` makes no sense. */
char *record_unchanged(const struct record *r);

/* HostOptions with every member, in the original's order, at its default; the caller edits it. */
struct json *record_default_host_options(const struct store *s, const char *name);

/* A new machine's record in memory. host_options is taken; id: 32 hex digits. */
struct record *record_new(const char *name, const char *driver_name, struct json *take_driver_state,
	struct json *take_host_options, const char *id);
/* Claims the folder with config.json and .create.json in it. */
int record_claim(struct store *s, struct record *r, struct err *err);
/* Writes config.json and .create.json (or removes that), each only if it has changed. The caller
 * holds the lock. */
int record_save(struct store *s, struct record *r, struct err *err);

const char *record_driver_name(const struct record *r);
struct json *record_driver_state(const struct record *r); /* an object, never NULL */
void record_set_driver_state(struct record *r, struct json *take_state);
const char *record_id(const struct record *r); /* "" when unknown */

/* "HostOptions", "AuthOptions", key; of a path that is absent or empty, the store's own. Of others
 * "". */
const char *record_auth(const struct record *r, const char *key);
/* The same of the other groups; NULL when absent. */
struct json *record_engine(const struct record *r, const char *key);
struct json *record_swarm(const struct record *r, const char *key);

/* The create steps done so far, by name; record_save makes it durable. */
bool record_step_done(const struct record *r, const char *step);
void record_step_mark(struct record *r, const char *step);
/* That the machine is to be a docker context, too; of one that is complete nobody knows. */
void record_want_context(struct record *r);
bool record_wants_context(const struct record *r);
void record_complete(struct record *r); /* drops progress */
bool record_is_complete(const struct record *r);

/* For the driver: strings point into r, s and *ret_dir (malloc'ed, the caller frees). */
struct machine_ref record_ref(const struct store *s, const struct record *r, char **ret_dir);
