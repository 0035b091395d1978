#include "detect.h"

#include "distro.h"
#include "mem.h"
#include "script.h"
#include "scripts.h"

#include <stdlib.h>
#include <string.h>

#define DETECT_MS 180000u     /* one look; an emulated machine on a busy computer takes minutes */
#define CLOCK_MAX (1ll << 40) /* seconds; what is beyond is no time */
#define DAEMON_JSON "/etc/docker/daemon.json"

/* "Docker version 20.10.24+dfsg1, build 297e128" */
static char *parse_version(const char *text)
{
	const char *p = strstr(text, "version ");

	if (!p)
		return NULL;
	p += strlen("version ");
	size_t n = strcspn(p, ", \n");
	return n > 0 ? xstrndup(p, n) : NULL;
}

static time_t parse_clock(const char *text)
{
	long long seconds = strtoll(text, NULL, 10);

	return seconds > 0 && seconds < CLOCK_MAX ? (time_t)seconds : 0;
}

static int refuse_user(const struct facts *f, const struct provision_host *h, struct err *err)
{
	const char *user = facts_text(f, "user", "?"), *said = facts_text(f, "sudo", "");

	if (strstr(said, "tty"))
		return err_set(err, ERR_USER,
			"sudo on %s insists on a terminal: remove \"requiretty\" from "
			"/etc/sudoers, or "
			"log in as root",
			h->hostname);
	return err_set(err, ERR_USER,
		"the user \"%s\" on %s needs passwordless sudo (a line like \"%s ALL=(ALL) "
		"NOPASSWD:ALL\" in a file in /etc/sudoers.d); or log in as root%s%.*s",
		user, h->hostname, user, *said ? "; it says: " : "", (int)strcspn(said, "\n"),
		said);
}

static int check(const struct facts *f, struct provision_host *h, struct err *err)
{
	const char *init = facts_text(f, "init", "unknown");

	if (distro_find(&h->os, &h->distro, err) < 0)
		return -1;
	if (!h->has_sudo)
		return refuse_user(f, h, err);
	if (!streq(init, h->distro->service->name))
		return err_set(err, ERR_NOT_SUPPORTED,
			"%s is not what started this host, and the engine's service is run by it",
			h->distro->service->name);
	return 0;
}

int provision_host_from_facts(const struct facts *f, struct provision_host *ret, struct err *err)
{
	const struct fact *os = facts_find(f, "os-release"),
			  *daemon_json = facts_find(f, "file " DAEMON_JSON);
	struct provision_host h = {
		.is_root = streq(facts_text(f, "uid", ""), "0"),
		.has_sudo = streq(facts_text(f, "root", ""), "yes"),
		.cloud_init_running = facts_find(f, "cloud-init") != NULL,
		.hostname = xstrdup(facts_text(f, "hostname", "")),
		.unresolved = facts_find(f, "unresolved") != NULL,
		.docker = facts_dup(f, "docker"),
		.dockerd = facts_dup(f, "dockerd"),
		.docker_version = parse_version(facts_text(f, "docker-version", "")),
		.daemon_json = daemon_json ? xstrdup(daemon_json->text) : NULL,
		.daemon_json_folder = facts_find(f, "folder " DAEMON_JSON) != NULL,
		.clock = parse_clock(facts_text(f, "time", "")),
		.boot_id = xstrdup(facts_text(f, "boot-id", "")),
	};

	os_release_parse(os ? os->text : "", os ? os->len : 0, &h.os);
	if (check(f, &h, err) < 0) {
		provision_host_finish(&h);
		return -1;
	}
	_cleanup_free_ char *name = xasprintf("file %s", h.distro->options_file);
	h.options_file = facts_dup(f, name);
	*ret = h;
	return 0;
}

void provision_host_finish(struct provision_host *h)
{
	os_release_finish(&h->os);
	free(h->hostname);
	free(h->docker);
	free(h->dockerd);
	free(h->docker_version);
	free(h->daemon_json);
	free(h->options_file);
	free(h->boot_id);
	*h = (struct provision_host){0};
}

const char *provision_name(const struct provision_host *h)
{
	return h->distro->name;
}

static int parse_report(const struct ssh_result *r, struct provision_host *ret, struct err *err)
{
	struct facts f;

	if (facts_parse(buf_str(&r->out), r->out.len, &f, err) < 0) {
		_cleanup_free_ char *said = script_tail(buf_str(&r->errout), r->errout.len);

		err->code = ERR_NOT_SUPPORTED; /* a menu, a restricted shell, no Unix at all */
		if (*said)
			err_set(err, ERR_NOT_SUPPORTED, "%s", said);
		return err_wrap(err, "cannot look at the host (exit status %d)", r->exit_status);
	}
	int rc = provision_host_from_facts(&f, ret, err);
	facts_finish(&f);
	return rc;
}

int provision_detect(struct co *co, struct ssh *ssh, struct provision_host *ret, struct err *err)
{
	_cleanup_buf_ struct buf script = BUF_INIT;
	_cleanup_strv_ struct strv files = STRV_INIT;
	struct co_deadline d;
	struct ssh_result r;

	distro_options_files(&files);
	_cleanup_free_ char *words = strv_join(&files, " ");
	script_var(&script, "files", words);
	buf_adds(&script, DETECT_SH);

	co_deadline_begin(co, &d, DETECT_MS);
	int rc = ssh_exec(co, ssh, "/bin/sh -s", script.data, script.len, &r, err);
	co_deadline_end(co, &d);
	if (rc < 0)
		return err_wrap(err, "look at the host's system");
	rc = parse_report(&r, ret, err);
	ssh_result_finish(&r);
	return rc;
}
