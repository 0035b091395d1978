/*
 * Certificates: the CA, the client pair, a machine's server pair. mbedTLS 2.28 and 3.6. Functions
 * block (key generation takes up to a second): call them through co_work. Files with keys are 0600
 * from the start; every file is written whole or not at all.
 *
 * CA and client: RSA-3072, PKCS#1 PEM ("RSA PRIVATE KEY"), sha256WithRSA. Server: ECDSA P-256. v3,
 * random 127-bit positive serial, subject O only, notBefore five minutes ago, key usages as Docker
 * Machine's; SKI and AKI set.
 */
#pragma once

#include "err.h"
#include "strv.h"

#include <stdbool.h>
#include <time.h>

#define CERT_CA_DAYS 3650
#define CERT_DAYS 1080
#define CERT_WARN_DAYS 30
#define CERT_MAX_FILE (256u << 10)

struct cert_paths {
	const char *dir; /* made 0700 if missing */
	const char *ca, *ca_key;
	const char *client, *client_key;
};

struct cert_report { /* what bootstrap did, for progress lines */
	bool made_ca;
	bool made_client;
	bool ca_expired; /* made_ca: in place of one that had expired */
};

/*
 * Makes what is missing or expired, under the caller's lock; checks that keys belong to their
 * certificates and that the CA signed the client, naming the offending file. force_client renews
 * the client pair (old files kept as NAME.bak). "certificate authority key already exists" when the
 * CA key is there without the certificate, "client key already exists" likewise.
 */
int cert_bootstrap(const struct cert_paths *p, const char *user, bool force_client,
	struct cert_report *ret, struct err *err);

struct cert_server {
	const char *ca, *ca_key;  /* in */
	const char *cert, *key;   /* out */
	const char *organization; /* "USER.MACHINE" */
	const char *const *hosts; /* SANs: IP literals to iPAddress, the rest to dNSName */
	size_t n_hosts;
	bool client_auth; /* also clientAuth */
};
int cert_make_server(const struct cert_server *s, struct err *err);
/* ERR_USER: no name for such a certificate. */
int cert_host_check(const char *host, struct err *err);

struct cert_info {
	time_t not_before, not_after;
	char *subject, *issuer;
	struct strv dns, ips; /* SANs as text */
};
int cert_read(const char *path, struct cert_info *ret, struct err *err);
void cert_info_finish(struct cert_info *i);
/* Is the server certificate usable as is: signed by ca, key matches, valid for CERT_WARN_DAYS more,
 * has exactly these SANs? 1 yes; 0 no, *ret_why (malloc'ed) says why. Missing files are 0, not
 * errors. */
int cert_server_current(const struct cert_server *s, char **ret_why, struct err *err);
