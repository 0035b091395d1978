/* Certificates and keys from files, for mbedTLS 2.28 and 3.6. Used here and by the engine probe. */
#pragma once

#include "err.h"

#include <mbedtls/pk.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crt.h>
#include <time.h>

#define TLSFILE_MAX (256u << 10)

/* Random bytes, for mbedTLS to call: the kernel's. */
int tls_random(void *unused, unsigned char *out, size_t len);

/* "WHAT: mbedTLS's text". Returns -1. */
int tls_err(int code, struct err *err, const char *what);
time_t tls_time(const mbedtls_x509_time *t);

/* The whole file, at most TLSFILE_MAX bytes, with a NUL behind it. ERR_NOT_FOUND "open PATH: no
 * such file or directory", as Go words it and people search for it. */
int tlsfile_read(const char *path, char **ret, size_t *ret_len, struct err *err);
/* ret: initialised; every certificate of the file is added to its chain. All errors name path;
 * what is in the file is never in them. */
int tlsfile_cert(const char *path, mbedtls_x509_crt *ret, struct err *err);
int tlsfile_key(const char *path, mbedtls_pk_context *ret, struct err *err);

/* The same of what tlsfile_read read of path. */
int tlsfile_parse_cert(
	const char *path, const char *text, size_t len, mbedtls_x509_crt *ret, struct err *err);
int tlsfile_parse_key(
	const char *path, const char *text, size_t len, mbedtls_pk_context *ret, struct err *err);
