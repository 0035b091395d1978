/*
 * Turns a reachable Linux host into a Docker host: detect the system, set the host name, install
 * the engine, put certificates and engine options in place, restart, check. Everything runs over
 * the one SSH connection given, in as few remote commands as it can: one that asks everything there
 * is to know, then one per step that has something to do.
 *
 * Nothing from the user (labels, options, names) is ever interpreted by the remote shell: values
 * travel quoted (shell_quote) or in files sent over standard input. Private keys travel over
 * standard input only.
 */
#pragma once

#include "co.h"
#include "err.h"
#include "os_release.h"
#include "ssh.h"
#include "strv.h"

#include <stdbool.h>
#include <time.h>

/* What one look at the host tells. */
struct provision_host {
	struct os_release os;
	const struct distro *distro;
	bool is_root;
	bool has_sudo; /* sudo -n works (or is not needed) */
	char *hostname;
	bool unresolved;      /* /etc/hosts does not know that name, which slows sudo down */
	char *docker;         /* path of the client, or NULL */
	char *dockerd;        /* path of dockerd, NULL: no engine installed */
	char *docker_version; /* of the client/engine package, e.g. "20.10.24+dfsg1"; NULL if
				 unknown */
	char *daemon_json; /* content of /etc/docker/daemon.json, or NULL: there is no such file */
	bool daemon_json_folder; /* a folder is in its place */
	char *options_file;      /* current content of the engine options file or NULL */
	char *boot_id;
	time_t clock;            /* what the host takes for now; 0: unknown */
	bool cloud_init_running; /* the first boot is not over */
};
void provision_host_finish(struct provision_host *h);

/* ERR_NOT_SUPPORTED: `OS type not recognized` / a dead distribution, named, with what to use
 * instead; ERR_USER: no root and no passwordless sudo, said once and clearly. */
int provision_detect(struct co *co, struct ssh *ssh, struct provision_host *ret, struct err *err);
const char *provision_name(const struct provision_host
		*h); /* "debian", "ubuntu(systemd)": for `Provisioning with X...` */

struct provision_request {
	const char *machine;
	const char *driver; /* for the label provider=DRIVER */
	int engine_port;
	/* engine options as stored; all borrowed */
	const struct strv *labels, *insecure_registries, *registry_mirrors, *engine_opts,
		*engine_env;
	const char *storage_driver; /* "": let the engine choose */
	const char *install_url;    /* https://…, file:PATH, none */
	/* certificates: already made locally */
	const char *ca, *server_cert, *server_key;
	void (*progress)(
		void *userdata, const char *line); /* the lines of provision.md 2; may be NULL */
	void *userdata;
};

/* ERR_USER: what no host can be given, so that nothing needs to be made first. */
int provision_check(const struct provision_request *rq, struct err *err);

/* Everything. Idempotent: on a host that is as it should be it changes nothing but what is asked
 * for, and restarts the engine only if its certificates, options or binary changed (force_restart:
 * always). */
int provision_run(struct co *co, struct ssh *ssh, struct provision_host *h,
	const struct provision_request *rq, bool force_restart, struct err *err);
/* Only certificates: upload, restart, wait for the engine. */
int provision_certs(struct co *co, struct ssh *ssh, struct provision_host *h,
	const struct provision_request *rq, struct err *err);
/* Removes an engine from before docker-ce, which cannot be upgraded in place: h->dockerd is then
 * NULL. One that came in another way than as its package stays. */
int provision_remove_old(struct co *co, struct ssh *ssh, struct provision_host *h,
	const struct provision_request *rq, struct err *err);
/* Upgrades the engine's packages and restarts the service. */
int provision_upgrade(struct co *co, struct ssh *ssh, struct provision_host *h,
	const struct provision_request *rq, struct err *err);
