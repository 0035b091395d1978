#include "distro.h"
#include "engine_options.h"
#include "mem.h"
#include "script.h"
#include "scripts.h"
#include "steps.h"

#include "log.h"

#include <string.h>

#define ROOM (256u << 10) /* so that a growing buffer leaves no copies of the key behind */

/* argv: what the engine is going to be started with, as far as we know. */
static int check_daemon_json(const struct run *r, const struct strv *argv, struct err *err)
{
	const struct provision_host *h = r->h;

	if (h->daemon_json_folder)
		return err_set(err, ERR_USER,
			"/etc/docker/daemon.json on the host is a folder, and the engine refuses "
			"to start with that: remove it");
	return daemon_json_check(h->daemon_json, h->docker_version, argv, err);
}

/* The options file; refuses what the engine would not start with, before anything is stopped. */
static int options_text(const struct run *r, struct buf *ret, struct err *err)
{
	const struct distro *d = r->h->distro;
	struct engine_line l;

	engine_line_init(&l, r->h->dockerd, d->options_dir, r->rq);
	int rc = check_daemon_json(r, &l.argv, err);
	if (rc == 0)
		rc = d->service->write_options(&l, ret, err);
	engine_line_finish(&l);
	return rc;
}

/* Firewalls that the script found closed. */
static void tell_firewalls(const struct run *r, const struct ssh_result *res)
{
	static const char *const names[] = {"firewalld", "ufw", "iptables"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_free_ char *opened = xasprintf("@@opened %s", names[i]);
		_cleanup_free_ char *closed = xasprintf("@@closed %s", names[i]);

		if (script_said(res, opened))
			log_warn("(%s) %s on the host kept port %d closed; it is open now",
				r->rq->machine, names[i], r->rq->engine_port);
		if (script_said(res, closed))
			log_warn("(%s) %s on the host keeps port %d closed and cannot be told to "
				 "open "
				 "it: the engine may not be reachable from here",
				r->rq->machine, names[i], r->rq->engine_port);
	}
}

static int add_certs(struct buf *b, const struct provision_request *rq, struct err *err)
{
	if (script_file(b, "ca", rq->ca, err) < 0 ||
		script_file(b, "cert", rq->server_cert, err) < 0 ||
		script_file(b, "key", rq->server_key, err) < 0)
		return -1;
	return 0;
}

static int configure(
	struct co *co, const struct run *r, bool certs, const char *options, struct err *err)
{
	const struct distro *d = r->h->distro;
	struct buf b = BUF_INIT;
	struct ssh_result res;
	char port[16];

	buf_reserve(&b, ROOM);
	snprintf(port, sizeof(port), "%d", r->rq->engine_port);
	script_var(&b, "port", port);
	script_var(&b, "force", r->force ? "1" : "0");
	script_var(&b, "dir", d->options_dir);
	script_var(&b, "options_file", d->options_file);
	script_var(&b, "options", options);
	script_var(&b, "firewall", d->firewall ? d->firewall : "");
	buf_adds(&b, "ca='' cert='' key=''\n");
	if (certs && add_certs(&b, r->rq, err) < 0) {
		secret_free(buf_steal(&b));
		return -1;
	}
	buf_adds(&b, COMMON_SH);
	buf_adds(&b, d->service->functions);
	buf_adds(&b, FIREWALL_SH);
	buf_adds(&b, CONFIGURE_SH);
	if (script_run(co, r->ssh, r->h, &b, &res, err) < 0)
		return -1;
	log_debug("(%s) engine %s", r->rq->machine,
		script_said(&res, "@@restarted") ? "restarted" : "left running");
	tell_firewalls(r, &res);
	ssh_result_finish(&res);
	return 0;
}

int configure_engine(struct co *co, struct run *r, struct err *err)
{
	_cleanup_buf_ struct buf options = BUF_INIT;

	if (options_text(r, &options, err) < 0)
		return -1;
	run_progress(r, "Copying certs to the remote machine...");
	run_progress(r, "Setting Docker configuration on the remote daemon...");
	if (configure(co, r, true, options.data, err) < 0)
		return -1;
	free(r->h->options_file);
	r->h->options_file = buf_steal(&options);
	if (r->h->distro->forgets)
		log_warn("(%s) %s forgets the engine's configuration when it reboots; "
			 "\"docker-machine provision %s\" brings it back",
			r->rq->machine, provision_name(r->h), r->rq->machine);
	return 0;
}

/* Somebody may have changed its options file since. */
int engine_check_restart(const struct run *r, struct err *err)
{
	static const struct strv unknown = {0};

	if (engine_missing(r))
		return engine_is_missing(r, err);
	return check_daemon_json(r, &unknown, err);
}

int configure_certs(struct co *co, struct run *r, struct err *err)
{
	if (engine_check_restart(r, err) < 0)
		return -1;
	run_progress(r, "Copying certs to the remote machine...");
	return configure(co, r, true, "", err);
}

int configure_nothing(struct co *co, struct run *r, struct err *err)
{
	if (engine_check_restart(r, err) < 0)
		return -1;
	return configure(co, r, false, "", err);
}
