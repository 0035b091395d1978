/* The connection to an engine, once TLS is set up; for engine.c. */
#pragma once

#include "engine_priv.h"
#include "engine_ticket.h"

#include "tlsfile.h"

struct engine_session {
	int fd;
	mbedtls_ssl_config conf;
	mbedtls_ssl_context ssl;
	mbedtls_x509_crt ca, cert;
	mbedtls_pk_context key;
	char *host, *where;
	int port;
	uint64_t until;
	uint32_t flags;     /* what is wrong with the chain so far */
	bool judged;        /* the server's certificate was looked at */
	struct err verdict; /* set: and refused */
	bool sealed;        /* there is a key for tickets */
	unsigned char seal[TICKET_KEY_SIZE];
	bool offered; /* the server was asked to resume the ticket's session */
};

/* Connects and shakes hands until then (loop time), with the ticket's help if there is one. */
int engine_session_open(struct co *co, const char *url, const struct engine_tls *tls,
	uint64_t until, struct engine_session **ret, struct err *err);
void engine_session_free(struct engine_session *s);
/* After a failure: forgets the ticket, if there was one that may be at fault. True: then it may go
 * better without, and there may be time. */
bool engine_session_blame_ticket(
	const struct engine_session *s, struct engine_ticket *t, const struct err *err);
/* Waits as a result of mbedTLS asks. 1: try again; 0: it is something else. */
int engine_session_wait(struct co *co, struct engine_session *s, int result, struct err *err);
