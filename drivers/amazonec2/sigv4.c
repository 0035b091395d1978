#include "sigv4.h"

#include "mem.h"

#include <sodium.h>
#include <stdbool.h>
#include <string.h>

#define HASH crypto_hash_sha256_BYTES
#define ALGORITHM "AWS4-HMAC-SHA256"
#define DATE_DIGITS 8 /* of the day, at the beginning of the date */

static void hmac(const void *key, size_t n_key, const char *text, unsigned char ret[HASH])
{
	crypto_auth_hmacsha256_state state;

	crypto_auth_hmacsha256_init(&state, key, n_key);
	crypto_auth_hmacsha256_update(&state, (const unsigned char *)text, strlen(text));
	crypto_auth_hmacsha256_final(&state, ret);
	sodium_memzero(&state, sizeof(state));
}

static void hash_hex(const void *data, size_t len, char ret[2 * HASH + 1])
{
	unsigned char digest[HASH];

	crypto_hash_sha256(digest, data, len);
	sodium_bin2hex(ret, 2 * HASH + 1, digest, HASH);
}

/* The key of one day, region and service. */
static void signing_key(const struct sigv4 *s, const char *day, unsigned char ret[HASH])
{
	_cleanup_secret_ char *secret = xasprintf("AWS4%s", s->secret);

	hmac(secret, strlen(secret), day, ret);
	hmac(ret, HASH, s->region, ret);
	hmac(ret, HASH, s->service, ret);
	hmac(ret, HASH, "aws4_request", ret);
}

/* What is signed of the request; ret_names: the headers that are in it. */
static char *canonical(const struct sigv4 *s, const char *date, char **ret_names)
{
	bool token = s->token && *s->token;
	char hash[2 * HASH + 1];
	_cleanup_free_ char *type =
		s->content_type ? xasprintf("content-type:%s\n", s->content_type) : xstrdup("");
	_cleanup_secret_ char *session =
		token ? xasprintf("x-amz-security-token:%s\n", s->token) : xstrdup("");

	hash_hex(s->body ? s->body : "", s->body ? s->n_body : 0, hash);
	*ret_names = xasprintf("%shost;x-amz-date%s", s->content_type ? "content-type;" : "",
		token ? ";x-amz-security-token" : "");
	return xasprintf("POST\n%s\n\n%shost:%s\nx-amz-date:%s\n%s\n%s\n%s", s->path, type, s->host,
		date, session, *ret_names, hash);
}

char *sigv4_sign(const struct sigv4 *s, char ret_date[SIGV4_DATE_BYTES])
{
	_cleanup_free_ char *names = NULL, *scope = NULL, *text = NULL;
	_cleanup_secret_ char *request = NULL;
	unsigned char key[HASH], signature[HASH];
	char hash[2 * HASH + 1], hex[2 * HASH + 1];
	struct tm tm;

	gmtime_r(&s->now, &tm);
	strftime(ret_date, SIGV4_DATE_BYTES, "%Y%m%dT%H%M%SZ", &tm);
	_cleanup_free_ char *day = xstrndup(ret_date, DATE_DIGITS);
	request = canonical(s, ret_date, &names);
	hash_hex(request, strlen(request), hash);
	scope = xasprintf("%s/%s/%s/aws4_request", day, s->region, s->service);
	text = xasprintf(ALGORITHM "\n%s\n%s\n%s", ret_date, scope, hash);
	signing_key(s, day, key);
	hmac(key, HASH, text, signature);
	sodium_bin2hex(hex, sizeof(hex), signature, HASH);
	sodium_memzero(key, sizeof(key));
	return xasprintf(ALGORITHM " Credential=%s/%s, SignedHeaders=%s, Signature=%s", s->key,
		scope, names, hex);
}
