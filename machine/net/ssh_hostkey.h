/* The pinned host keys of one machine: a known_hosts file in OpenSSH's format. */
#pragma once

#include "err.h"
#include "strv.h"

#include <stdbool.h>
#include <stddef.h>

#define HOSTKEY_MAX_FILE (1u << 20)

struct hostkey {
	char *type;  /* "ssh-ed25519" */
	char *names; /* first column */
	unsigned char *blob;
	size_t len;
	bool revoked;
};

struct hostkeys {
	struct hostkey *items;
	size_t n;
	bool expected; /* told in advance; the host has not shown them yet */
};

enum hostkey_verdict { HOSTKEY_KNOWN, HOSTKEY_UNKNOWN, HOSTKEY_CHANGED };

/* A missing file, and a NULL path, hold no keys. Lines that are no host key are skipped. */
int hostkeys_load(const char *path, struct hostkeys *ret, struct err *err);
void hostkeys_parse(const char *text, struct hostkeys *k); /* adds to *k */
void hostkeys_finish(struct hostkeys *k);
/* Keys told in advance: lines of a known_hosts file, with or without names in front, are added to
 * *k, fingerprints ("SHA256:…") to *prints. NULL-terminated. ERR_PROTOCOL for anything else. */
int hostkeys_expect(struct hostkeys *k, char *const *texts, struct strv *prints, struct err *err);
void hostkeys_add(struct hostkeys *k, const char *type, const void *blob, size_t len);
size_t hostkeys_usable(const struct hostkeys *k); /* keys that are not revoked */

enum hostkey_verdict hostkeys_check(const struct hostkeys *k, const void *blob, size_t len);
/* KNOWN, or UNKNOWN and not strict: 0. Else ERR_USER that says what to do. */
int hostkeys_judge(const struct hostkeys *k, const void *blob, size_t len, bool strict,
	const char *machine, const char *path, struct err *err);
/* The error of a changed key, or of another one than expected; seen is its fingerprint. Returns -1.
 */
int hostkeys_changed(const struct hostkeys *k, const char *seen, const char *machine,
	const char *path, struct err *err);
int hostkeys_unexpected(const char *expected, const char *seen, const char *machine,
	const char *path, struct err *err);

/* The name under which a machine stands in its file; malloc'ed. */
char *hostkey_alias(const char *machine);
/* Adds a key; the file is replaced as a whole, 0600. */
int hostkeys_record(
	const char *path, const char *alias, const void *blob, size_t len, struct err *err);
/* Makes sure that each key also stands under alias, where OpenSSH looks for it, and that the file
 * exists, so that OpenSSH creates none with the umask's mode. */
int hostkeys_align(const char *path, const char *alias, struct err *err);
/* Writes the keys under alias to a new file, 0600. */
int hostkeys_write(const struct hostkeys *k, const char *path, const char *alias, struct err *err);

/* Signature algorithms for the recorded types, most wanted first: "rsa-sha2-512,ssh-rsa";
 * malloc'ed,
 * "" for none. */
char *hostkeys_algorithms(const struct hostkeys *k);
bool hostkeys_only_rsa(const struct hostkeys *k);

#define _cleanup_hostkeys_ __attribute__((cleanup(hostkeys_finish)))
