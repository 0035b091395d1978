/* The rules: what must be there, what fits together, when something is made anew. */
#include "cert_priv.h"

#include "mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DAY_S 86400

struct pair {
	mbedtls_x509_crt cert;
	mbedtls_pk_context key;
};

static void pair_init(struct pair *p)
{
	mbedtls_x509_crt_init(&p->cert);
	mbedtls_pk_init(&p->key);
}

static void pair_finish(struct pair *p)
{
	mbedtls_x509_crt_free(&p->cert);
	mbedtls_pk_free(&p->key);
}

static int load_pair(const char *cert_path, const char *key_path, struct rng *rng, struct pair *p,
	struct err *err)
{
	if (load_cert(cert_path, &p->cert, err) < 0 || load_key(key_path, rng, &p->key, err) < 0)
		return -1;
	if (!key_fits(&p->cert, &p->key, rng))
		return err_set(err, ERR_USER,
			"the key %s does not belong to the certificate %s: restore the right one "
			"of the two, "
			"or move both away to have new ones made",
			key_path, cert_path);
	return 0;
}

static bool exists(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0;
}

static bool expired(const mbedtls_x509_crt *cert)
{
	return cert_time(&cert->valid_to) <= time(NULL);
}

static int keep_copy(const char *path, struct err *err)
{
	_cleanup_free_ char *bak = xasprintf("%s.bak", path);

	unlink(bak);
	if (link(path, bak) < 0 && errno != ENOENT)
		return err_errno(err, errno, "keep %s", bak);
	return 0;
}

static int ca_of(const struct cert_paths *p, const char *user, struct rng *rng, struct pair *ca,
	struct cert_report *report, struct err *err)
{
	struct cert_plan plan = {.kind = CERT_CA, .organization = user};

	if (complete_pair(p->ca, p->ca_key, rng, err) < 0)
		return -1;
	if (exists(p->ca)) {
		/* an old CA may have lost its key to a safe place: it still verifies, but cannot
		 * sign */
		if (load_cert(p->ca, &ca->cert, err) < 0)
			return -1;
		report->ca_expired = expired(&ca->cert);
		mbedtls_x509_crt_free(&ca->cert);
		mbedtls_x509_crt_init(&ca->cert);
		if (!report->ca_expired)
			return load_pair(p->ca, p->ca_key, rng, ca, err);
		if (keep_copy(p->ca, err) < 0 || keep_copy(p->ca_key, err) < 0)
			return -1;
	} else if (exists(p->ca_key)) {
		return err_set(err, ERR_USER,
			"generating CA certificate failed: certificate authority key already "
			"exists: %s without %s",
			p->ca_key, p->ca);
	}
	if (make_pair(&plan, p->ca, p->ca_key, rng, err) < 0)
		return err_wrap(err, "generating CA certificate failed");
	report->made_ca = true;
	return load_pair(p->ca, p->ca_key, rng, ca, err);
}

/* 1: usable; 0: to be made anew; -1: wrong in a way that somebody has to decide about. */
static int client_state(
	const struct cert_paths *p, struct rng *rng, struct pair *ca, bool new_ca, struct err *err)
{
	struct pair client;

	if (!exists(p->client)) {
		if (exists(p->client_key))
			return err_set(err, ERR_USER, "client key already exists: %s without %s",
				p->client_key, p->client);
		return 0;
	}
	pair_init(&client);
	int r = load_pair(p->client, p->client_key, rng, &client, err);
	if (r == 0 && expired(&client.cert))
		r = 0;
	else if (r == 0 && !signed_by(&client.cert, &ca->cert))
		r = new_ca ? 0
			   : err_set(err, ERR_USER,
				     "the client certificate %s was not signed by the CA %s: "
				     "\"docker-machine regenerate-certs --client-certs\" makes a "
				     "new one",
				     p->client, p->ca);
	else if (r == 0)
		r = 1;
	pair_finish(&client);
	return r;
}

static int client_of(const struct cert_paths *p, const char *user, bool force, struct rng *rng,
	struct pair *ca, struct cert_report *report, struct err *err)
{
	_cleanup_free_ char *org = xasprintf("%s.<bootstrap>", user);
	struct cert_plan plan = {
		.kind = CERT_CLIENT, .organization = org, .ca = &ca->cert, .ca_key = &ca->key};

	if (complete_pair(p->client, p->client_key, rng, err) < 0)
		return -1;
	int state = force ? 0 : client_state(p, rng, ca, report->made_ca, err);
	if (state == 1)
		return 0;
	if (state < 0 || keep_copy(p->client, err) < 0 || keep_copy(p->client_key, err) < 0 ||
		make_pair(&plan, p->client, p->client_key, rng, err) < 0)
		return err_wrap(err, "failure generating client certificate");
	report->made_client = true;
	return 0;
}

int cert_bootstrap(const struct cert_paths *p, const char *user, bool force_client,
	struct cert_report *ret, struct err *err)
{
	struct cert_report report = {0};
	struct pair ca;
	_cleanup_rng_ struct rng *rng = NULL;

	if (mkdir(p->dir, 0700) < 0 && errno != EEXIST)
		return err_errno(err, errno, "make folder %s", p->dir);
	if (!(rng = rng_new(err)))
		return -1;
	pair_init(&ca);
	int rc = ca_of(p, user, rng, &ca, &report, err);
	if (rc == 0)
		rc = client_of(p, user, force_client, rng, &ca, &report, err);
	pair_finish(&ca);
	*ret = report;
	return rc;
}

int cert_make_server(const struct cert_server *s, struct err *err)
{
	struct cert_plan plan = {.kind = CERT_SERVER,
		.organization = s->organization,
		.hosts = s->hosts,
		.n_hosts = s->n_hosts,
		.client_auth = s->client_auth};
	struct pair ca;
	_cleanup_rng_ struct rng *rng = NULL;

	if (!(rng = rng_new(err)))
		return -1;
	pair_init(&ca);
	int rc = load_pair(s->ca, s->ca_key, rng, &ca, err);
	plan.ca = &ca.cert;
	plan.ca_key = &ca.key;
	if (rc == 0)
		rc = make_pair(&plan, s->cert, s->key, rng, err);
	pair_finish(&ca);
	return rc;
}

/* The wanted names as the certificate's reader prints them, to compare without regard to order. */
static bool same_names(const struct cert_server *s, const struct cert_info *i)
{
	_cleanup_strv_ struct strv want = STRV_INIT, have = STRV_INIT;
	unsigned char raw[16];
	char text[INET6_ADDRSTRLEN];

	for (size_t k = 0; k < s->n_hosts; k++) {
		int family = strchr(s->hosts[k], ':') ? AF_INET6 : AF_INET;
		if (inet_pton(family, s->hosts[k], raw) == 1 &&
			inet_ntop(family, raw, text, sizeof(text)))
			strv_addf(&want, "ip:%s", text);
		else
			strv_addf(&want, "dns:%s", s->hosts[k]);
	}
	for (size_t k = 0; k < i->dns.n; k++)
		strv_addf(&have, "dns:%s", i->dns.items[k]);
	for (size_t k = 0; k < i->ips.n; k++)
		strv_addf(&have, "ip:%s", i->ips.items[k]);
	strv_sort(&want);
	strv_sort(&have);
	_cleanup_free_ char *a = strv_join(&want, " "), *b = strv_join(&have, " ");
	return streq(a, b);
}

static const char *why_not(const struct cert_server *s, const struct cert_info *info,
	struct pair *server, mbedtls_x509_crt *ca, struct rng *rng)
{
	if (!key_fits(&server->cert, &server->key, rng))
		return "its key does not fit";
	if (!signed_by(&server->cert, ca))
		return "another CA signed it";
	if (info->not_after - time(NULL) < (time_t)CERT_WARN_DAYS * DAY_S)
		return "it ends soon";
	if (!same_names(s, info))
		return "it is for other names";
	return NULL;
}

static int server_state(
	const struct cert_server *s, struct rng *rng, char **ret_why, struct err *err)
{
	_cleanup_err_ struct err unusable = ERR_INIT;
	struct cert_info info = {0};
	mbedtls_x509_crt ca;
	struct pair server;
	const char *why = NULL;

	mbedtls_x509_crt_init(&ca);
	pair_init(&server);
	int rc = load_cert(s->ca, &ca, err);
	if (rc == 0) {
		if (load_cert(s->cert, &server.cert, &unusable) < 0 ||
			load_key(s->key, rng, &server.key, &unusable) < 0 ||
			cert_read(s->cert, &info, &unusable) < 0)
			why = err_msg(&unusable);
		else
			why = why_not(s, &info, &server, &ca, rng);
		*ret_why = xstrdup(why);
		rc = why ? 0 : 1;
	}
	cert_info_finish(&info);
	pair_finish(&server);
	mbedtls_x509_crt_free(&ca);
	return rc;
}

int cert_server_current(const struct cert_server *s, char **ret_why, struct err *err)
{
	_cleanup_rng_ struct rng *rng = NULL;

	*ret_why = NULL;
	if (!(rng = rng_new(err)))
		return -1;
	return server_state(s, rng, ret_why, err);
}
