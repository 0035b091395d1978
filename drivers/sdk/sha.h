/* SHA-256 and SHA-512 of what comes in pieces. */
#pragma once

#include "err.h"

#include <sodium.h>
#include <stdbool.h>
#include <stddef.h>

enum sha_kind { SHA_NONE, SHA_256, SHA_512 };

#define SHA_256_HEX 64u
#define SHA_512_HEX 128u
#define SHA_HEX_MAX SHA_512_HEX

struct sha {
	enum sha_kind kind;
	union {
		crypto_hash_sha256_state s256;
		crypto_hash_sha512_state s512;
	};
};

void sha_init(struct sha *s, enum sha_kind kind);
void sha_update(struct sha *s, const void *data, size_t len);
void sha_final(struct sha *s, char ret_hex[SHA_HEX_MAX + 1]);
void sha_text(enum sha_kind kind, const char *text, char ret_hex[SHA_HEX_MAX + 1]);

#define SHA_256_BYTES 32u
/* HMAC-SHA-256 of a text. */
void sha_hmac_256(
	const void *key, size_t n_key, const char *text, unsigned char ret[SHA_256_BYTES]);
void sha_hex(const unsigned char *data, size_t len, char *ret); /* 2 * len + 1 bytes */

const char *sha_name(enum sha_kind kind);      /* "sha256", "sha512" */
enum sha_kind sha_kind_of(size_t hex_digits);  /* SHA_NONE: of no kind */
bool sha_hex_valid(const char *s, size_t len); /* hex digits, as many as a kind has */
