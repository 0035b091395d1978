#include "sigv4.h"

#include "mem.h"
#include "sha.h"

#include <stdbool.h>
#include <string.h>

#define ALGORITHM "AWS4-HMAC-SHA256"
#define DATE_DIGITS 8 /* of the day, at the beginning of the date */

static void hash_hex(const void *data, size_t len, char ret[SHA_HEX_MAX + 1])
{
	struct sha sha;

	sha_init(&sha, SHA_256);
	sha_update(&sha, data, len);
	sha_final(&sha, ret);
}

/* The key of one day, region and service. */
static void signing_key(const struct sigv4 *s, const char *day, unsigned char ret[SHA_256_BYTES])
{
	_cleanup_secret_ char *secret = xasprintf("AWS4%s", s->secret);

	sha_hmac_256(secret, strlen(secret), day, ret);
	sha_hmac_256(ret, SHA_256_BYTES, s->region, ret);
	sha_hmac_256(ret, SHA_256_BYTES, s->service, ret);
	sha_hmac_256(ret, SHA_256_BYTES, "aws4_request", ret);
}

/* What is signed of the request; ret_names: the headers that are in it. */
static char *canonical(const struct sigv4 *s, const char *date, char **ret_names)
{
	bool token = s->token && *s->token;
	char hash[SHA_HEX_MAX + 1];
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
	unsigned char key[SHA_256_BYTES], signature[SHA_256_BYTES];
	char hash[SHA_HEX_MAX + 1], hex[2 * SHA_256_BYTES + 1];
	struct tm tm;

	gmtime_r(&s->now, &tm);
	strftime(ret_date, SIGV4_DATE_BYTES, "%Y%m%dT%H%M%SZ", &tm);
	_cleanup_free_ char *day = xstrndup(ret_date, DATE_DIGITS);
	request = canonical(s, ret_date, &names);
	hash_hex(request, strlen(request), hash);
	scope = xasprintf("%s/%s/%s/aws4_request", day, s->region, s->service);
	text = xasprintf(ALGORITHM "\n%s\n%s\n%s", ret_date, scope, hash);
	signing_key(s, day, key);
	sha_hmac_256(key, SHA_256_BYTES, text, signature);
	sha_hex(signature, SHA_256_BYTES, hex);
	explicit_bzero(key, sizeof(key));
	return xasprintf(ALGORITHM " Credential=%s/%s, SignedHeaders=%s, Signature=%s", s->key,
		scope, names, hex);
}
