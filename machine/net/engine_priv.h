/* Parts of the engine probe, apart for the tests. */
#pragma once

#include "engine.h"

#include <mbedtls/x509_crt.h>
#include <stdbool.h>
#include <stddef.h>

/* Judges the server's certificate as Go does and in its words: times, then the name, then the
 * chain. flags: what mbedTLS found, MBEDTLS_X509_BADCERT_… */
int engine_judge(const mbedtls_x509_crt *peer, uint32_t flags, const char *host, struct err *err);

/* Is the whole answer there, so that nobody needs to wait for the end of the connection? */
bool engine_answer_complete(const char *data, size_t len);

/* A peer's text, fit for a terminal: printable ASCII, shortened; malloc'ed. */
char *engine_safe_text(const char *text, size_t len);
