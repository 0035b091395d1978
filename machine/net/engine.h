/* The Docker engine's endpoint, over mutual TLS on the loop. mbedTLS. */
#pragma once

#include "co.h"
#include "err.h"

#include <stdbool.h>

#define ENGINE_MAX_ANSWER (1u << 20)
#define ENGINE_MAX_TICKET (64u << 10)

/* What spares the next handshake with the same engine most of its work; see engine_ticket.h. The
 * caller keeps it between calls and frees data; nothing in it is secret without the client's key.
 */
struct engine_ticket {
	char *data; /* of len bytes; NULL: none */
	size_t len;
	bool changed; /* by a call: now to be kept, or without data forgotten. Never set to false.
		       */
};

struct engine_tls {
	const char *ca; /* trust is exactly this file */
	const char *cert;
	const char *key;
	struct engine_ticket *ticket; /* NULL: each handshake is a whole one */
};

/* TCP and TLS handshake to url (tcp://HOST:PORT), verifying the server for HOST (IP or name),
 * TLS 1.2 or better. No HTTP. ERR_UNAVAILABLE: cannot connect; ERR_AUTH: certificates do not fit
 * ("x509: …"); ERR_IO: a local file. timeout_ms > 0. With a
 * ticket the files are read, the server has to prove itself and its certificate is judged as
 * without; what fails with it is tried once more without it, in what is left of the time. */
int engine_check_tls(struct co *co, const char *url, const struct engine_tls *tls,
	uint64_t timeout_ms, struct err *err);

/* GET /version (unversioned) and its Version member, e.g. "20.10.24+dfsg1". unix:// URLs are
 * refused (ERR_NOT_SUPPORTED). */
int engine_version(struct co *co, const char *url, const struct engine_tls *tls,
	uint64_t timeout_ms, char **ret_version, struct err *err);

/* Parses an HTTP answer and the JSON in it; for engine_version and its fuzz target. */
int engine_parse_version(const char *data, size_t len, char **ret_version, struct err *err);
