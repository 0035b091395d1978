/*
 * Checksum files, as vendors publish them beside images:
 *   HEX  NAME      HEX *NAME      (sha256sum, sha512sum)
 *   SHA256 (NAME) = HEX           (BSD, sha256sum --tag)
 *   HEX                           (alone in its file)
 */
#pragma once

#include "err.h"
#include "sha.h"

#include <stddef.h>

#define CHECKSUMS_MAX_BYTES (1u << 20)
#define CHECKSUMS_MAX_LINES 20000u
#define CHECKSUMS_MAX_LINE 4096u

struct checksum {
	enum sha_kind kind;        /* SHA_NONE: none */
	char hex[SHA_HEX_MAX + 1]; /* lower case */
};

/* "sha256:HEX", "sha512:HEX"; "" and "none" give SHA_NONE. Else ERR_USER. */
int checksum_parse(const char *spec, struct checksum *ret, struct err *err);
/* The line about a file, its folder left out of account; the longer sum where there are two.
 * ERR_NOT_FOUND: no line; ERR_USER: no checksum file, or lines that contradict each other. */
int checksums_find(
	const char *text, size_t len, const char *file_name, struct checksum *ret, struct err *err);
