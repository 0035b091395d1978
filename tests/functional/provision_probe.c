/*
 * Provisions a host without the rest of the program:
 *   provision_probe ACTION KEY=VALUE...
 * ACTION: detect, run, force, certs, upgrade. Keys: host port user key known_hosts machine driver
 * engine_port storage_driver install_url certs (a folder with ca.pem, server.pem, server-key.pem),
 * and, repeatable, label insecure mirror opt env. Prints progress lines and what was found.
 */
#include "distro.h"
#include "log.h"
#include "mem.h"
#include "provision.h"

#include <stdio.h>
#include <string.h>

enum {
	HOST,
	PORT,
	USER,
	KEY,
	KNOWN_HOSTS,
	MACHINE,
	DRIVER,
	ENGINE_PORT,
	STORAGE_DRIVER,
	INSTALL_URL,
	CERTS,
	N_SINGLE
};
enum { LABEL, INSECURE, MIRROR, OPT, ENV, N_LISTS };

static const char *const singles[N_SINGLE] = {"host", "port", "user", "key", "known_hosts",
	"machine", "driver", "engine_port", "storage_driver", "install_url", "certs"};
static const char *const lists[N_LISTS] = {"label", "insecure", "mirror", "opt", "env"};

struct probe {
	const char *action;
	const char *single[N_SINGLE];
	struct strv list[N_LISTS];
	int status;
};

static void parse(struct probe *p, const char *arg)
{
	size_t n = strcspn(arg, "=");
	const char *value = arg[n] ? arg + n + 1 : "";

	for (int i = 0; i < N_SINGLE; i++)
		if (strlen(singles[i]) == n && strncmp(arg, singles[i], n) == 0)
			p->single[i] = value;
	for (int i = 0; i < N_LISTS; i++)
		if (strlen(lists[i]) == n && strncmp(arg, lists[i], n) == 0)
			strv_add(&p->list[i], value);
}

static void progress(void *userdata, const char *line)
{
	puts(line);
	fflush(stdout);
}

static void show(const struct provision_host *h)
{
	printf("name=%s\nroot=%d\nsudo=%d\nhostname=%s\ndocker=%s\ndockerd=%s\nversion=%s\n"
	       "cloud_init=%d\ndaemon_json=%s\nboot_id=%s\n",
		provision_name(h), h->is_root, h->has_sudo, h->hostname,
		h->docker ? h->docker : "-", h->dockerd ? h->dockerd : "-",
		h->docker_version ? h->docker_version : "-", h->cloud_init_running,
		h->daemon_json ? h->daemon_json : "-", h->boot_id);
}

static int act(
	struct co *co, struct probe *p, struct ssh *ssh, struct provision_host *h, struct err *err)
{
	const char *dir = p->single[CERTS];
	_cleanup_free_ char *ca = xasprintf("%s/ca.pem", dir);
	_cleanup_free_ char *cert = xasprintf("%s/server.pem", dir);
	_cleanup_free_ char *key = xasprintf("%s/server-key.pem", dir);
	struct provision_request rq = {
		.machine = p->single[MACHINE],
		.driver = p->single[DRIVER],
		.engine_port = (int)strtol(p->single[ENGINE_PORT], NULL, 10),
		.labels = &p->list[LABEL],
		.insecure_registries = &p->list[INSECURE],
		.registry_mirrors = &p->list[MIRROR],
		.engine_opts = &p->list[OPT],
		.engine_env = &p->list[ENV],
		.storage_driver = p->single[STORAGE_DRIVER],
		.install_url = p->single[INSTALL_URL],
		.ca = ca,
		.server_cert = cert,
		.server_key = key,
		.progress = progress,
	};

	if (streq(p->action, "run") || streq(p->action, "force"))
		return provision_run(co, ssh, h, &rq, streq(p->action, "force"), err);
	if (streq(p->action, "certs"))
		return provision_certs(co, ssh, h, &rq, err);
	if (streq(p->action, "upgrade"))
		return provision_upgrade(co, ssh, h, &rq, err);
	return 0;
}

static int probe(struct co *co, struct probe *p, struct err *err)
{
	struct ssh_target t = {
		.machine = p->single[MACHINE],
		.host = p->single[HOST],
		.port = (int)strtol(p->single[PORT], NULL, 10),
		.user = p->single[USER],
		.key_path = p->single[KEY],
		.known_hosts = *p->single[KNOWN_HOSTS] ? p->single[KNOWN_HOSTS] : NULL,
	};
	struct provision_host h = {0};
	struct ssh *ssh;

	if (ssh_open(co, &t, &ssh, err) < 0)
		return -1;
	int rc = provision_detect(co, ssh, &h, err);
	if (rc == 0)
		rc = act(co, p, ssh, &h, err);
	if (rc == 0)
		show(&h);
	provision_host_finish(&h);
	ssh_close(co, ssh);
	return rc;
}

static void main_co(struct co *co, void *arg)
{
	struct probe *p = arg;
	struct err err = ERR_INIT;

	p->status = probe(co, p, &err) < 0;
	if (p->status)
		fprintf(stderr, "%s\n", err_msg(&err));
	err_finish(&err);
}

int main(int argc, char **argv)
{
	struct probe p = {
		.action = argc > 1 ? argv[1] : "",
		.single = {[HOST] = "127.0.0.1",
			[PORT] = "22",
			[USER] = "root",
			[KEY] = "",
			[KNOWN_HOSTS] = "",
			[MACHINE] = "probe",
			[DRIVER] = "generic",
			[ENGINE_PORT] = "2376",
			[STORAGE_DRIVER] = "",
			[INSTALL_URL] = "none",
			[CERTS] = "."},
	};
	_cleanup_err_ struct err err = ERR_INIT;
	struct loop *loop;

	for (int i = 2; i < argc; i++)
		parse(&p, argv[i]);
	log_set_debug(getenv("MACHINE_DEBUG") != NULL);
	if (loop_new(&loop, &err) < 0) {
		fprintf(stderr, "%s\n", err_msg(&err));
		return 1;
	}
	co_spawn(loop, "probe", main_co, &p);
	loop_run(loop);
	loop_free(loop);
	for (int i = 0; i < N_LISTS; i++)
		strv_finish(&p.list[i]);
	return p.status;
}
