/* The Docker engine's endpoint, over mutual TLS on the loop. mbedTLS. */
#pragma once

#include "co.h"
#include "err.h"

#define ENGINE_MAX_ANSWER (1u << 20)

struct engine_tls {
	const char *ca; /* trust is exactly this file */
	const char *cert;
	const char *key;
};

/* TCP and TLS handshake to url (tcp://HOST:PORT), verifying the server for HOST (IP or name),
 * TLS 1.2 or better. No HTTP. ERR_UNAVAILABLE: cannot connect; ERR_AUTH: certificates do not fit
 * ("x509: …"); ERR_IO: a local file. timeout_ms > 0. */
int engine_check_tls(struct co *co, const char *url, const struct engine_tls *tls,
	uint64_t timeout_ms, struct err *err);

/* GET /version (unversioned) and its Version member, e.g. "20.10.24+dfsg1". unix:// URLs are
 * refused (ERR_NOT_SUPPORTED). */
int engine_version(struct co *co, const char *url, const struct engine_tls *tls,
	uint64_t timeout_ms, char **ret_version, struct err *err);

/* Parses an HTTP answer and the JSON in it; for engine_version and its fuzz target. */
int engine_parse_version(const char *data, size_t len, char **ret_version, struct err *err);
