/* Shared by the certificate files. */
#pragma once

#include "buf.h"
#include "cert.h"
#include "tlsfile.h"

#define DAY_S 86400

bool key_fits(const mbedtls_x509_crt *cert, const mbedtls_pk_context *key);
bool signed_by(mbedtls_x509_crt *cert, mbedtls_x509_crt *ca);

enum cert_kind { CERT_CA, CERT_CLIENT, CERT_SERVER };
struct cert_plan {
	enum cert_kind kind;
	const char *organization;
	const char *const *hosts; /* SERVER */
	size_t n_hosts;
	bool client_auth;
	const mbedtls_x509_crt *ca; /* NULL: signs itself */
	mbedtls_pk_context *ca_key;
};

/* An address goes to iPAddress, the rest to dNSName. 4, 16, or 0 when host is no literal. */
size_t host_address(const char *host, unsigned char ret[16]);

/* The signed certificate for key, in DER. */
int cert_encode(
	const struct cert_plan *plan, mbedtls_pk_context *key, struct buf *ret, struct err *err);
/* Makes a key and a certificate and puts both in place. */
int make_pair(
	const struct cert_plan *plan, const char *cert_path, const char *key_path, struct err *err);
/* Finishes what a killed make_pair began: 1 if there was something to finish. */
int complete_pair(const char *cert_path, const char *key_path, struct err *err);
