/* Part of machine-driver.h: what needs no request. Flag values, the base state, addresses, files.
 * Trees are borrowed, what is returned as a const pointer belongs to them. */
#pragma once

#include "err.h"
#include "json.h"

#include <stdbool.h>
#include <stdint.h>

struct md_machine;

/* Fills the members that every driver has (IPAddress … SwarmDiscovery) where they are missing, in
 * the original's order. */
void md_base_state(struct md_machine *m);
/* Flag values by name; the default when absent. */
const char *md_flag_str(const struct json *flags, const char *name);
int64_t md_flag_int(const struct json *flags, const char *name);
bool md_flag_bool(const struct json *flags, const char *name);
const struct json *md_flag_list(const struct json *flags, const char *name); /* NULL: none */
/* tcp://HOST:PORT and HOST:PORT, an IPv6 literal in brackets; malloc'ed. */
char *md_url(const char *host, int port);
char *md_host_port(const char *host, int port);
/* A file in the machine's folder; malloc'ed. */
char *md_file(const struct md_machine *m, const char *name);
/* Copies a regular file of at most 1 GiB into place: temporary file, mode from the start, rename.
 */
int md_copy_file(const char *from, const char *to, unsigned mode, struct err *err);
/* For messages: the last 20 lines, at most 4 KiB, of a file of at most 16 MiB, "" if it cannot be
 * read; and of a text, which is changed. Without control characters; malloc'ed. */
char *md_log_tail(const char *path);
char *md_tail(char *text, size_t len);
char *md_base64(const void *data, size_t len); /* with padding, on one line; malloc'ed */
/* Its reverse; a NUL follows that does not count; line breaks are skipped. -1: it is no base64. */
int md_unbase64(const char *text, size_t len, char **ret, size_t *ret_len);
/* "~/x" and relative paths made absolute; malloc'ed. "" stays "". */
char *md_expand_path(const char *path);
