/*
 * Tickets: how a handshake with an engine is spared the client's signature and the key exchange the
 * next time (RFC 5077, session resumption of TLS 1.2). What is kept is the session, with the
 * server's certificate, which is judged anew each time. It is sealed with a key that is made of the
 * address, the CA, the client's certificate and key: without them nobody can read or make one, and
 * when any of them is another, or a byte of it, the ticket is none.
 */
#pragma once

#include "engine.h"

#include <mbedtls/ssl.h>
#include <mbedtls/x509_crt.h>
#include <stdbool.h>

#define TICKET_KEY_SIZE 32u
#define TICKET_MAX_AGE_S (24 * 3600)

/* Made of all parts, in their order. False: libsodium does not work here. */
struct ticket_part {
	const char *data;
	size_t len;
};
bool ticket_key(const struct ticket_part *parts, size_t n, unsigned char ret_key[TICKET_KEY_SIZE]);

/* Replaces what is in t by this connection's session. False, and t is as it was: it has none that
 * could be kept. */
bool ticket_seal(const unsigned char key[TICKET_KEY_SIZE], const mbedtls_ssl_context *ssl,
	time_t now, struct engine_ticket *t);
/* False for whatever was not sealed with this key, or too long ago, or after now. session, peer:
 * initialised; on failure there may be something in them. */
bool ticket_open(const unsigned char key[TICKET_KEY_SIZE], const struct engine_ticket *t,
	time_t now, mbedtls_ssl_session *session, mbedtls_x509_crt *peer);
/* There is none any more. */
void ticket_forget(struct engine_ticket *t);
