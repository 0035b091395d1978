/* A machine's engine: its certificates, its configuration, and whether it answers. */
#include "host.h"

#include "cert.h"
#include "engine_version.h"
#include "log.h"
#include "mem.h"
#include "record_engine.h"
#include "tcp.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define DOCKER_PORT 2376
#define TLS_CHECK_MS 20000u
#define VERSION_MS 30000u
#define DAY_S 86400
#define LAST_OLD_VERSION "1.13.1" /* before docker-ce */

int host_copy_client_certs(struct co *co, struct host *h, struct err *err)
{
	static const struct {
		const char *key, *name;
		mode_t mode;
	} files[] = {
		{"CaCertPath", "ca.pem", 0644},
		{"ClientCertPath", "cert.pem", 0644},
		{"ClientKeyPath", "key.pem", 0600},
	};

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		_cleanup_secret_ char *text = NULL;
		_cleanup_free_ char *to =
			store_machine_file(h->app->store, h->rec->name, files[i].name);
		size_t len;

		if (store_read_file(record_auth(h->rec, files[i].key), CERT_MAX_FILE, &text, &len,
			    err) < 0 ||
			store_write_file(to, text, len, files[i].mode, err) < 0)
			return err_wrap(err, "Copying %s to machine dir failed", files[i].name);
	}
	return 0;
}

struct make_server {
	struct cert_server cert;
	bool always;
	bool made;
	int rc;
	struct err err;
};

static void make_server_cert(void *arg)
{
	struct make_server *m = arg;
	_cleanup_free_ char *why = NULL;

	if (!m->always) {
		int current = cert_server_current(&m->cert, &why, &m->err);
		if (current != 0) {
			m->rc = current < 0 ? -1 : 0;
			return;
		}
	}
	m->made = true;
	m->rc = cert_make_server(&m->cert, &m->err);
}

static const struct json *record_sans(const struct record *rec)
{
	return json_path(rec->doc, "HostOptions", "AuthOptions", "ServerCertSANs", NULL);
}

static int server_cert(struct co *co, struct host *h, const char *ip, bool always, struct err *err)
{
	_cleanup_strv_ struct strv hosts = STRV_INIT;
	_cleanup_free_ char *org = xasprintf("%s.%s", app_user(), h->rec->name);
	const struct json *sans = record_sans(h->rec);

	for (size_t i = 0; sans && json_at(sans, i); i++)
		strv_add(&hosts, json_str(json_at(sans, i), ""));
	if (*ip)
		strv_add(&hosts, ip);
	strv_add(&hosts, "localhost");
	struct make_server m = {
		.cert =
			{
				.ca = record_auth(h->rec, "CaCertPath"),
				.ca_key = record_auth(h->rec, "CaPrivateKeyPath"),
				.cert = record_auth(h->rec, "ServerCertPath"),
				.key = record_auth(h->rec, "ServerKeyPath"),
				.organization = org,
				.hosts = (const char *const *)hosts.items,
				.n_hosts = hosts.n,
				.client_auth = json_bool_or(record_swarm(h->rec, "Master"), false),
			},
		.always = always,
	};
	int r = co_work(co, make_server_cert, &m);
	if (r < 0)
		m.rc = co_err(r, &m.err);
	if (m.rc < 0) {
		err_move(err, &m.err);
		return err_wrap(err, "error generating server cert");
	}
	return 0;
}

static void add_list(struct strv *v, const struct json *list)
{
	for (size_t i = 0; json_at(list, i); i++)
		strv_add(v, json_str(json_at(list, i), ""));
}

struct engine_lists {
	struct strv labels, insecure, mirrors, opts, env;
};

static void engine_lists_finish(struct engine_lists *l)
{
	strv_finish(&l->labels);
	strv_finish(&l->insecure);
	strv_finish(&l->mirrors);
	strv_finish(&l->opts);
	strv_finish(&l->env);
}

static int url_port(const char *url)
{
	_cleanup_err_ struct err e = ERR_INIT;
	_cleanup_free_ char *host = NULL;
	const char *address = strstr(url, "://");
	int port = 0;

	if (!address || tcp_split(address + 3, &host, &port, &e) < 0 || port <= 0)
		return DOCKER_PORT;
	return port;
}

static void progress(void *userdata, const char *line)
{
	const struct host *h = userdata;

	log_info("%s", line);
	app_status(h->app, h->rec->name, "%.*s", (int)strcspn(line, "."), line);
}

static void request_init(
	const struct record *rec, struct engine_lists *l, struct provision_request *ret)
{
	add_list(&l->labels, record_engine(rec, "Labels"));
	add_list(&l->insecure, record_engine(rec, "InsecureRegistry"));
	add_list(&l->mirrors, record_engine(rec, "RegistryMirror"));
	add_list(&l->opts, record_engine(rec, "ArbitraryFlags"));
	add_list(&l->env, record_engine(rec, "Env"));
	*ret = (struct provision_request){
		.machine = rec->name,
		.driver = record_driver_name(rec),
		.engine_port = DOCKER_PORT,
		.labels = &l->labels,
		.insecure_registries = &l->insecure,
		.registry_mirrors = &l->mirrors,
		.engine_opts = &l->opts,
		.engine_env = &l->env,
		.storage_driver = json_str(record_engine(rec, "StorageDriver"), ""),
		.install_url = json_str(record_engine(rec, "InstallURL"), ""),
		.ca = record_auth(rec, "CaCertPath"),
		.server_cert = record_auth(rec, "ServerCertPath"),
		.server_key = record_auth(rec, "ServerKeyPath"),
	};
}

int host_check_options(const struct record *rec, struct err *err)
{
	__attribute__((cleanup(engine_lists_finish))) struct engine_lists l = {0};
	const struct json *sans = record_sans(rec);
	struct provision_request rq;

	for (size_t i = 0; sans && json_at(sans, i); i++)
		if (cert_host_check(json_str(json_at(sans, i), ""), err) < 0)
			return err_wrap(err, "--tls-san");
	request_init(rec, &l, &rq);
	return provision_check(&rq, err);
}

typedef int (*provision_fn)(struct co *co, struct host *h, const struct provision_request *rq,
	bool force, struct err *err);

static int with_request(struct co *co, struct host *h, const struct machine_report *report,
	bool force, provision_fn fn, struct err *err)
{
	__attribute__((cleanup(engine_lists_finish))) struct engine_lists l = {0};
	struct provision_request rq;

	request_init(h->rec, &l, &rq);
	/* the URL's port may be one that is forwarded to the machine's own */
	rq.engine_port = report->engine_port ? report->engine_port : url_port(report->url);
	rq.progress = progress;
	rq.userdata = h;
	return fn(co, h, &rq, force, err);
}

static int run_all(struct co *co, struct host *h, const struct provision_request *rq, bool force,
	struct err *err)
{
	return provision_run(co, h->ssh, &h->system, rq, force, err);
}

static int run_certs(struct co *co, struct host *h, const struct provision_request *rq, bool force,
	struct err *err)
{
	return provision_certs(co, h->ssh, &h->system, rq, err);
}

static int provision_with(
	struct co *co, struct host *h, bool new_cert, bool force, provision_fn fn, struct err *err)
{
	struct machine_report r = {0};

	log_info("Copying certs to the local machine directory...");
	if (host_location(co, h, 0, &r, err) < 0)
		return -1;
	int rc = host_copy_client_certs(co, h, err);
	if (rc == 0)
		rc = server_cert(co, h, r.ip, new_cert, err);
	if (rc == 0)
		rc = with_request(co, h, &r, force, fn, err);
	machine_report_finish(&r);
	return rc;
}

int host_provision(struct co *co, struct host *h, bool force_restart, struct err *err)
{
	return provision_with(co, h, false, force_restart, run_all, err);
}

int host_renew_certs(struct co *co, struct host *h, struct err *err)
{
	return provision_with(co, h, true, true, run_certs, err);
}

static int run_upgrade(struct co *co, struct host *h, const struct provision_request *rq,
	bool force, struct err *err)
{
	return provision_upgrade(co, h->ssh, &h->system, rq, err);
}

static int run_removal(struct co *co, struct host *h, const struct provision_request *rq,
	bool force, struct err *err)
{
	return provision_remove_old(co, h->ssh, &h->system, rq, err);
}

static int upgrade_with(struct co *co, struct host *h, provision_fn fn, struct err *err)
{
	struct machine_report r = {0};

	if (host_location(co, h, 0, &r, err) < 0)
		return -1;
	int rc = with_request(co, h, &r, true, fn, err);
	machine_report_finish(&r);
	return rc;
}

int host_upgrade_engine(struct co *co, struct host *h, struct err *err)
{
	_cleanup_free_ char *version = NULL;

	if (host_engine_version(co, h, &version, err) < 0) {
		_cleanup_free_ char *why = xstrdup(err_msg(err));
		return err_set(err, err->code,
			"%s (\"docker-machine provision %s\" repairs an engine that does not "
			"answer)",
			why, h->rec->name);
	}
	log_debug("(%s) the engine is of version %s", h->rec->name, version);
	if (engine_version_compare(version, LAST_OLD_VERSION) <= 0) {
		if (upgrade_with(co, h, run_removal, err) < 0)
			return -1;
		if (!h->system.dockerd)
			return host_provision(co, h, true, err);
	}
	return upgrade_with(co, h, run_upgrade, err);
}

int host_engine_version(struct co *co, struct host *h, char **ret, struct err *err)
{
	_cleanup_free_ char *url = NULL;

	if (host_url(co, h, &url, err) < 0)
		return -1;
	if (record_engine_version(co, h->app->store, h->rec, url, VERSION_MS, ret, err) < 0)
		return err_wrap(err, "Unable to query docker version");
	return 0;
}

static int wait_engine(
	struct co *co, const struct host *h, const char *url, struct err *last, struct err *err)
{
	/* the engine may show another certificate by now */
	record_forget_ticket(h->app->store, h->rec);
	for (;;) {
		_cleanup_err_ struct err e = ERR_INIT;

		if (record_check_tls(co, h->app->store, h->rec, url, TLS_CHECK_MS, &e) == 0)
			return 0;
		if (e.code != ERR_UNAVAILABLE && e.code != ERR_TIMEOUT)
			return err_move(err, &e);
		err_move(last, &e);
		int rc = co_sleep(co, 200);
		if (rc < 0)
			return co_err(rc, err);
	}
}

void host_warn_certs(const struct host *h)
{
	static const struct {
		const char *key, *remedy;
	} certs[] = {
		{"CaCertPath", "the first create after that makes a new CA, and every machine then "
			       "needs \"docker-machine regenerate-certs\""},
		{"ClientCertPath", "\"docker-machine regenerate-certs --client-certs\" renews it"},
		{"ServerCertPath", "\"docker-machine regenerate-certs\" renews it"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(certs); i++) {
		_cleanup_err_ struct err e = ERR_INIT;
		const char *path = record_auth(h->rec, certs[i].key);
		struct cert_info info = {0};

		if (cert_read(path, &info, &e) < 0)
			continue;
		long long days = (long long)(info.not_after - time(NULL)) / DAY_S;
		if (days < CERT_WARN_DAYS)
			log_warn("(%s) the certificate %s ends in %lld days: %s", h->rec->name,
				path, MAX(days, 0LL), certs[i].remedy);
		cert_info_finish(&info);
	}
}

int host_advise_certs(const char *url, struct err *err)
{
	const char *address = strstr(url, "://");
	_cleanup_free_ char *cause = xstrdup(err_msg(err));
	enum err_code code = err->code;

	return err_set(err, code,
		"Error checking and/or regenerating the certs: There was an error validating "
		"certificates "
		"for host \"%s\": %s\n"
		"You can attempt to regenerate them using 'docker-machine regenerate-certs "
		"[name]'.\n"
		"Be advised that this will trigger a Docker daemon restart which might stop "
		"running containers.\n",
		address ? address + 3 : url, cause);
}

/* The engine does not take a certificate, or has one that we do not take. */
static int refused(const struct host *h, const char *url, struct err *err)
{
	long long off = h->clock_off;

	host_advise_certs(url, err);
	if (!off)
		return -1;
	_cleanup_free_ char *advice = xstrdup(err_msg(err));
	return err_set(err, err->code,
		"%sThe host's clock is %lld seconds %s, and certificates are valid for a time: set "
		"the clock first, for example with \"timedatectl set-ntp true\".\n",
		advice, llabs(off), off < 0 ? "slow" : "fast");
}

int host_wait_engine(struct co *co, struct host *h, uint64_t timeout_ms, struct err *err)
{
	_cleanup_err_ struct err last = ERR_INIT;
	_cleanup_free_ char *url = NULL;
	struct machine_report r = {0};
	struct co_deadline d;

	if (host_location(co, h, 0, &r, err) < 0)
		return -1;
	int known = report_url(&r, &url, err);
	machine_report_finish(&r);
	if (known < 0)
		return -1;
	app_status(h->app, h->rec->name, "waiting for the engine");
	co_deadline_begin(co, &d, host_patience(h, timeout_ms));
	int rc = wait_engine(co, h, url, &last, err);
	co_deadline_end(co, &d);
	if (rc < 0 && err->code == ERR_TIMEOUT && last.code)
		return err_set(err, ERR_TIMEOUT,
			"the engine is up on the host, but not reachable from here at %s: %s\n"
			"Is a firewall or security group in the way?",
			url, err_msg(&last));
	if (rc < 0 && err->code != ERR_TIMEOUT && err->code != ERR_CANCELED)
		return refused(h, url, err);
	if (rc == 0)
		host_warn_certs(h);
	return rc;
}
