#include "sha.h"

#include "mem.h"

#include <string.h>

void sha_init(struct sha *s, enum sha_kind kind)
{
	s->kind = kind;
	if (kind == SHA_512)
		crypto_hash_sha512_init(&s->s512);
	else
		crypto_hash_sha256_init(&s->s256);
}

void sha_update(struct sha *s, const void *data, size_t len)
{
	if (s->kind == SHA_512)
		crypto_hash_sha512_update(&s->s512, data, len);
	else
		crypto_hash_sha256_update(&s->s256, data, len);
}

void sha_final(struct sha *s, char ret_hex[SHA_HEX_MAX + 1])
{
	unsigned char digest[crypto_hash_sha512_BYTES];
	size_t len = s->kind == SHA_512 ? crypto_hash_sha512_BYTES : crypto_hash_sha256_BYTES;

	if (s->kind == SHA_512)
		crypto_hash_sha512_final(&s->s512, digest);
	else
		crypto_hash_sha256_final(&s->s256, digest);
	sodium_bin2hex(ret_hex, SHA_HEX_MAX + 1, digest, len);
}

void sha_text(enum sha_kind kind, const char *text, char ret_hex[SHA_HEX_MAX + 1])
{
	struct sha s;

	sha_init(&s, kind);
	sha_update(&s, text, strlen(text));
	sha_final(&s, ret_hex);
}

const char *sha_name(enum sha_kind kind)
{
	static const char *const names[] = {"none", "sha256", "sha512"};

	return names[kind];
}

enum sha_kind sha_kind_of(size_t hex_digits)
{
	return hex_digits == SHA_256_HEX ? SHA_256 : hex_digits == SHA_512_HEX ? SHA_512 : SHA_NONE;
}

bool sha_hex_valid(const char *s, size_t len)
{
	return sha_kind_of(len) != SHA_NONE && strspn(s, "0123456789abcdefABCDEF") >= len;
}

void sha_hmac_256(const void *key, size_t n_key, const char *text, unsigned char ret[SHA_256_BYTES])
{
	crypto_auth_hmacsha256_state state;

	crypto_auth_hmacsha256_init(&state, key, n_key);
	crypto_auth_hmacsha256_update(&state, (const unsigned char *)text, strlen(text));
	crypto_auth_hmacsha256_final(&state, ret);
	sodium_memzero(&state, sizeof(state));
}

void sha_hex(const unsigned char *data, size_t len, char *ret)
{
	sodium_bin2hex(ret, 2 * len + 1, data, len);
}
