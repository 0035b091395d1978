/*
 * A ticket: "machine1", a nonce, and a secretbox of
 *   when the session was made (8 bytes, seconds since 1970)
 *   the length of the server's certificate (4 bytes), the certificate (DER)
 *   the session as mbedTLS serializes it, which is for the same build of mbedTLS only
 * Numbers are big-endian.
 */
#include "engine_ticket.h"

#include "mem.h"

#include <sodium.h>
#include <string.h>

#define HEAD_SIZE 12u

static const char magic[8] = "machine1";

#define SEAL_SIZE (sizeof(magic) + crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES)
_Static_assert(TICKET_KEY_SIZE == crypto_secretbox_KEYBYTES, "keys are those of secretboxes");

static void put_number(unsigned char *at, size_t size, uint64_t n)
{
	while (size--) {
		at[size] = (unsigned char)n;
		n >>= 8;
	}
}

static uint64_t get_number(const unsigned char *at, size_t size)
{
	uint64_t n = 0;

	while (size--)
		n = n << 8 | *at++;
	return n;
}

bool ticket_key(const struct ticket_part *parts, size_t n, unsigned char ret_key[TICKET_KEY_SIZE])
{
	static const char purpose[] = "TLS session with an engine";
	crypto_generichash_state state;
	unsigned char length[8];

	if (sodium_init() < 0)
		return false;
	crypto_generichash_init(
		&state, (const unsigned char *)purpose, sizeof(purpose), TICKET_KEY_SIZE);
	for (size_t i = 0; i < n; i++) {
		put_number(length, sizeof(length), parts[i].len);
		crypto_generichash_update(&state, length, sizeof(length));
		crypto_generichash_update(
			&state, (const unsigned char *)parts[i].data, parts[i].len);
	}
	crypto_generichash_final(&state, ret_key, TICKET_KEY_SIZE);
	sodium_memzero(&state, sizeof(state));
	return true;
}

/* The sealed session, malloc'ed; NULL: it cannot be kept. */
static unsigned char *seal(const unsigned char key[TICKET_KEY_SIZE],
	const mbedtls_ssl_session *session, const mbedtls_x509_crt *peer, time_t now,
	size_t *ret_len)
{
	size_t size = 0, cert_len = peer ? peer->raw.len : 0;

	mbedtls_ssl_session_save(session, NULL, 0, &size); /* only tells the size */
	size_t len = HEAD_SIZE + cert_len + size;
	if (!size || !cert_len || size > ENGINE_MAX_TICKET || cert_len > ENGINE_MAX_TICKET ||
		SEAL_SIZE + len > ENGINE_MAX_TICKET)
		return NULL;
	unsigned char *text = xmalloc(SEAL_SIZE + len), *nonce = text + sizeof(magic);
	unsigned char *box = nonce + crypto_secretbox_NONCEBYTES;
	unsigned char *plain = box + crypto_secretbox_MACBYTES;
	memcpy(text, magic, sizeof(magic));
	randombytes_buf(nonce, crypto_secretbox_NONCEBYTES);
	put_number(plain, 8, (uint64_t)now);
	put_number(plain + 8, 4, cert_len);
	memcpy(plain + HEAD_SIZE, peer->raw.p, cert_len);
	int r = mbedtls_ssl_session_save(session, plain + HEAD_SIZE + cert_len, size, &size);
	crypto_secretbox_easy(box, plain, len, nonce, key);
	*ret_len = SEAL_SIZE + len;
	if (r == 0)
		return text;
	free(text);
	return NULL;
}

bool ticket_seal(const unsigned char key[TICKET_KEY_SIZE], const mbedtls_ssl_context *ssl,
	time_t now, struct engine_ticket *t)
{
	unsigned char *text = NULL;
	mbedtls_ssl_session session;
	size_t len;

	mbedtls_ssl_session_init(&session);
	if (mbedtls_ssl_get_session(ssl, &session) == 0)
		text = seal(key, &session, mbedtls_ssl_get_peer_cert(ssl), now, &len);
	mbedtls_ssl_session_free(&session);
	if (!text)
		return false;
	ticket_forget(t);
	t->data = (char *)text;
	t->len = len;
	return true;
}

static bool unpack(const unsigned char *plain, size_t len, time_t now, mbedtls_ssl_session *session,
	mbedtls_x509_crt *peer)
{
	if (len < HEAD_SIZE)
		return false;
	uint64_t made = get_number(plain, 8), cert_len = get_number(plain + 8, 4);
	plain += HEAD_SIZE;
	len -= HEAD_SIZE;
	return now >= 0 && made <= (uint64_t)now && (uint64_t)now - made < TICKET_MAX_AGE_S &&
	       cert_len <= len && mbedtls_x509_crt_parse_der(peer, plain, cert_len) == 0 &&
	       mbedtls_ssl_session_load(session, plain + cert_len, len - cert_len) == 0;
}

bool ticket_open(const unsigned char key[TICKET_KEY_SIZE], const struct engine_ticket *t,
	time_t now, mbedtls_ssl_session *session, mbedtls_x509_crt *peer)
{
	const unsigned char *at = (const unsigned char *)t->data;

	if (t->len < SEAL_SIZE || t->len > ENGINE_MAX_TICKET ||
		memcmp(at, magic, sizeof(magic)) != 0)
		return false;
	size_t len = t->len - SEAL_SIZE;
	unsigned char *plain = xmalloc(len + 1);
	at += sizeof(magic);
	bool good = crypto_secretbox_open_easy(plain, at + crypto_secretbox_NONCEBYTES,
			    t->len - sizeof(magic) - crypto_secretbox_NONCEBYTES, at, key) == 0 &&
		    unpack(plain, len, now, session, peer);
	sodium_memzero(plain, len);
	free(plain);
	return good;
}

void ticket_forget(struct engine_ticket *t)
{
	free(t->data);
	*t = (struct engine_ticket){.changed = true};
}
