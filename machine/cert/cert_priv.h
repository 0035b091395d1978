/* Shared by the certificate files. mbedTLS 2.28 and 3.x. */
#pragma once

#include "cert.h"

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/pk.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crt.h>

struct rng {
	mbedtls_entropy_context entropy;
	mbedtls_ctr_drbg_context drbg;
};
struct rng *rng_new(struct err *err); /* on the heap: it may be large */
void rng_free(struct rng *r);
static inline void rng_freep(struct rng **r)
{
	rng_free(*r);
}
#define _cleanup_rng_ __attribute__((cleanup(rng_freep)))

/* "WHAT: mbedTLS's text". Returns -1. */
int tls_err(int code, struct err *err, const char *what);

int load_cert(const char *path, mbedtls_x509_crt *ret, struct err *err);
int load_key(const char *path, struct rng *rng, mbedtls_pk_context *ret, struct err *err);
bool key_fits(const mbedtls_x509_crt *cert, const mbedtls_pk_context *key, struct rng *rng);
bool signed_by(mbedtls_x509_crt *cert, mbedtls_x509_crt *ca);
time_t cert_time(const mbedtls_x509_time *t);

enum cert_kind { CERT_CA, CERT_CLIENT, CERT_SERVER };
struct cert_plan {
	enum cert_kind kind;
	const char *organization;
	const char *const *hosts; /* SERVER */
	size_t n_hosts;
	bool client_auth;
	mbedtls_x509_crt *ca; /* NULL: signs itself */
	mbedtls_pk_context *ca_key;
};
/* Makes a key and a certificate and puts both in place. */
int make_pair(const struct cert_plan *plan, const char *cert_path, const char *key_path,
	struct rng *rng, struct err *err);
/* Finishes what a killed make_pair began. */
int complete_pair(const char *cert_path, const char *key_path, struct rng *rng, struct err *err);
int read_limited(const char *path, char **ret, size_t *ret_len, struct err *err);
