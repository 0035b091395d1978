/* The rules: what must be there, what fits together, when something is made anew. */
#include "cert_priv.h"

#include "mem.h"
#include "putfile.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct pair {
	mbedtls_x509_crt cert;
	mbedtls_pk_context key; /* may be absent */
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

static bool has_key(const struct pair *p)
{
	return mbedtls_pk_get_type(&p->key) != MBEDTLS_PK_NONE;
}

static bool exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

static bool expired(const mbedtls_x509_crt *cert)
{
	return tls_time(&cert->valid_to) <= time(NULL);
}

/* The key of a certificate that is loaded already. */
static int add_key(struct pair *p, const char *cert_path, const char *key_path, struct err *err)
{
	if (tlsfile_key(key_path, &p->key, err) < 0)
		return -1;
	if (!key_fits(&p->cert, &p->key))
		return err_set(err, ERR_USER,
			"the key %s does not belong to the certificate %s: restore the right one "
			"of the two, or move both away to have new ones made",
			key_path, cert_path);
	return 0;
}

static int load_pair(const char *cert_path, const char *key_path, struct pair *p, struct err *err)
{
	return tlsfile_cert(cert_path, &p->cert, err) < 0 ||
			       add_key(p, cert_path, key_path, err) < 0
		       ? -1
		       : 0;
}

/* Ends the error of a pair that cannot be used as it is. */
static int advise_pair(const char *cert_path, const char *key_path, struct err *err)
{
	_cleanup_free_ char *msg = xstrdup(err_msg(err));
	enum err_code code = err->code;

	if (strstr(msg, "restore ") || (code != ERR_NOT_FOUND && code != ERR_USER))
		return -1;
	return err_set(err, code,
		"%s: restore it, or move %s and %s away to have new "
		"ones made",
		msg, cert_path, key_path);
}

static int keep_copy(const char *path, mode_t mode, struct err *err)
{
	_cleanup_free_ char *bak = xasprintf("%s.bak", path);
	_cleanup_secret_ char *text = NULL;
	size_t len;

	if (!exists(path))
		return 0;
	if (tlsfile_read(path, &text, &len, err) < 0 || putfile(bak, text, len, mode, err) < 0)
		return err_wrap(err, "keep a copy of %s", path);
	return 0;
}

static int keep_pair(const char *cert_path, const char *key_path, struct err *err)
{
	return keep_copy(cert_path, 0644, err) < 0 || keep_copy(key_path, 0600, err) < 0 ? -1 : 0;
}

/* Did the CA replace one that had expired, which is kept as CA.bak? cert: and was it signed by that
 * one? NULL: any. */
static bool replaced(const char *ca_path, mbedtls_x509_crt *cert)
{
	_cleanup_free_ char *bak = xasprintf("%s.bak", ca_path);
	_cleanup_err_ struct err ignored = ERR_INIT;
	mbedtls_x509_crt old;

	mbedtls_x509_crt_init(&old);
	bool yes = tlsfile_cert(bak, &old, &ignored) == 0 && expired(&old) &&
		   (!cert || signed_by(cert, &old));
	mbedtls_x509_crt_free(&old);
	return yes;
}

static int make_ca(const struct cert_paths *p, const char *user, struct pair *ca,
	struct cert_report *report, struct err *err)
{
	struct cert_plan plan = {.kind = CERT_CA, .organization = user};

	if (make_pair(&plan, p->ca, p->ca_key, err) < 0)
		return -1;
	report->made_ca = true;
	return load_pair(p->ca, p->ca_key, ca, err);
}

/* Loads the CA. Its key may be kept elsewhere, as long as nothing needs to be signed. */
static int ca_of(const struct cert_paths *p, const char *user, struct pair *ca,
	struct cert_report *report, struct err *err)
{
	int completed = complete_pair(p->ca, p->ca_key, err);

	if (completed < 0)
		return -1;
	if (completed) {
		report->made_ca = true;
		report->ca_expired = replaced(p->ca, NULL);
	}
	if (!exists(p->ca)) {
		if (exists(p->ca_key))
			return err_set(err, ERR_USER,
				"certificate authority key already exists: %s without %s: restore "
				"the certificate, or move the key away to have a new CA made",
				p->ca_key, p->ca);
		return make_ca(p, user, ca, report, err);
	}
	if (tlsfile_cert(p->ca, &ca->cert, err) < 0)
		return advise_pair(p->ca, p->ca_key, err);
	if (!expired(&ca->cert)) {
		if (exists(p->ca_key) && add_key(ca, p->ca, p->ca_key, err) < 0)
			return advise_pair(p->ca, p->ca_key, err);
		return 0;
	}
	if (keep_pair(p->ca, p->ca_key, err) < 0)
		return -1;
	pair_finish(ca);
	pair_init(ca);
	report->ca_expired = true;
	return make_ca(p, user, ca, report, err);
}

/* 1: usable; 0: to be made anew; -1: wrong in a way that somebody has to decide about. */
static int judge_client(const struct cert_paths *p, struct pair *ca,
	const struct cert_report *report, struct pair *client, struct err *err)
{
	if (tlsfile_cert(p->client, &client->cert, err) < 0)
		return -1;
	if (expired(&client->cert))
		return 0;
	if (!signed_by(&client->cert, &ca->cert)) {
		if (report->made_ca || replaced(p->ca, &client->cert))
			return 0;
		return err_set(err, ERR_USER,
			"the client certificate %s was not signed by the CA %s: restore the right "
			"one of the two, or run \"docker-machine regenerate-certs --client-certs\" "
			"to have a new one made",
			p->client, p->ca);
	}
	return add_key(client, p->client, p->client_key, err) < 0 ? -1 : 1;
}

static int client_state(const struct cert_paths *p, struct pair *ca,
	const struct cert_report *report, struct err *err)
{
	struct pair client;

	if (!exists(p->client)) {
		if (!exists(p->client_key))
			return 0;
		return err_set(err, ERR_USER,
			"client key already exists: %s without %s: restore the certificate, or run "
			"\"docker-machine regenerate-certs --client-certs\" to have both made anew",
			p->client_key, p->client);
	}
	pair_init(&client);
	int r = judge_client(p, ca, report, &client, err);
	pair_finish(&client);
	return r < 0 ? advise_pair(p->client, p->client_key, err) : r;
}

static int client_of(const struct cert_paths *p, const char *user, bool force, struct pair *ca,
	struct cert_report *report, struct err *err)
{
	_cleanup_free_ char *org = xasprintf("%s.<bootstrap>", user);
	struct cert_plan plan = {
		.kind = CERT_CLIENT, .organization = org, .ca = &ca->cert, .ca_key = &ca->key};
	int completed = complete_pair(p->client, p->client_key, err);

	if (completed < 0)
		return -1;
	int state = force ? 0 : client_state(p, ca, report, err);
	if (state < 0)
		return -1;
	report->made_client = completed;
	if (state == 1)
		return 0;
	if (!has_key(ca) && add_key(ca, p->ca, p->ca_key, err) < 0)
		return advise_pair(p->ca, p->ca_key, err);
	if (keep_pair(p->client, p->client_key, err) < 0 ||
		make_pair(&plan, p->client, p->client_key, err) < 0)
		return -1;
	report->made_client = true;
	return 0;
}

int cert_bootstrap(const struct cert_paths *p, const char *user, bool force_client,
	struct cert_report *ret, struct err *err)
{
	struct pair ca;

	*ret = (struct cert_report){0};
	if (mkdir(p->dir, 0700) < 0 && errno != EEXIST)
		return err_errno(err, errno, "make folder %s", p->dir);
	pair_init(&ca);
	int rc = ca_of(p, user, &ca, ret, err);
	if (rc < 0)
		err_wrap(err, "generating CA certificate failed");
	else if ((rc = client_of(p, user, force_client, &ca, ret, err)) < 0)
		err_wrap(err, "failure generating client certificate");
	pair_finish(&ca);
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

	pair_init(&ca);
	int rc = load_pair(s->ca, s->ca_key, &ca, err);
	plan.ca = &ca.cert;
	plan.ca_key = &ca.key;
	if (rc == 0)
		rc = make_pair(&plan, s->cert, s->key, err);
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
		size_t n = host_address(s->hosts[k], raw);
		if (n && inet_ntop(n == 4 ? AF_INET : AF_INET6, raw, text, sizeof(text)))
			strv_addf(&want, "ip:%s", text);
		else if (*s->hosts[k])
			strv_addf(&want, "dns:%s", s->hosts[k]);
	}
	for (size_t k = 0; k < i->dns.n; k++)
		strv_addf(&have, "dns:%s", i->dns.items[k]);
	for (size_t k = 0; k < i->ips.n; k++)
		strv_addf(&have, "ip:%s", i->ips.items[k]);
	strv_sort(&want);
	strv_sort(&have);
	if (want.n != have.n)
		return false;
	for (size_t k = 0; k < want.n; k++)
		if (!streq(want.items[k], have.items[k]))
			return false;
	return true;
}

static const char *why_not(const struct cert_server *s, const struct cert_info *info,
	struct pair *server, mbedtls_x509_crt *ca)
{
	if (!key_fits(&server->cert, &server->key))
		return "its key does not fit";
	if (!signed_by(&server->cert, ca))
		return "another CA signed it";
	if (info->not_before > time(NULL))
		return "it is not valid yet";
	if (info->not_after - time(NULL) < (time_t)CERT_WARN_DAYS * DAY_S)
		return "it ends soon";
	if (!same_names(s, info))
		return "it is for other names";
	return NULL;
}

static int server_state(const struct cert_server *s, char **ret_why, struct err *err)
{
	_cleanup_err_ struct err unusable = ERR_INIT;
	struct cert_info info = {0};
	mbedtls_x509_crt ca;
	struct pair server;
	const char *why = NULL;

	mbedtls_x509_crt_init(&ca);
	pair_init(&server);
	int rc = tlsfile_cert(s->ca, &ca, err);
	if (rc == 0) {
		if (tlsfile_cert(s->cert, &server.cert, &unusable) < 0 ||
			tlsfile_key(s->key, &server.key, &unusable) < 0 ||
			cert_read(s->cert, &info, &unusable) < 0)
			why = err_msg(&unusable);
		else
			why = why_not(s, &info, &server, &ca);
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

	*ret_why = NULL;
	return server_state(s, ret_why, err);
}
