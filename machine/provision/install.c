#include "distro.h"
#include "mem.h"
#include "script.h"
#include "scripts.h"
#include "steps.h"

#include "log.h"

#include <ctype.h>
#include <string.h>

#define DEFAULT_INSTALL_URL "https://get.docker.com"
#define FILE_SCHEME "file:"
#define CLOUD_INIT_SECONDS "300"
#define HOSTNAME_LONGEST 64
#define URL_LONGEST 4096
#define UPLOAD_NAME "/tmp/machine-install."
#define OLD_PACKAGE "docker-engine" /* Docker's own, before docker-ce */

/* After something may have installed an engine or changed the system. */
static int look_again(struct co *co, struct run *r, struct err *err)
{
	struct provision_host h;

	ssh_on_line(r->ssh, NULL, NULL); /* configuration files are nothing for the log */
	if (provision_detect(co, r->ssh, &h, err) < 0)
		return -1;
	provision_host_finish(r->h);
	*r->h = h;
	return 0;
}

bool cloud_init_runs(const struct run *r)
{
	return r->h->cloud_init_running;
}

int cloud_init_wait(struct co *co, struct run *r, struct err *err)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	_cleanup_err_ struct err late = ERR_INIT;
	struct ssh_result res;

	run_progress(r, "Waiting for cloud-init to finish...");
	script_var(&b, "seconds", CLOUD_INIT_SECONDS);
	buf_adds(&b, COMMON_SH);
	buf_adds(&b, CLOUD_INIT_SH);
	if (script_run(co, r->ssh, r->h, &b, &res, &late) == 0)
		ssh_result_finish(&res);
	else if (late.code != ERR_INTERNAL)
		return err_move(err, &late);
	else
		log_warn("%s: cloud-init has not finished after %s seconds; going on",
			r->rq->machine, CLOUD_INIT_SECONDS);
	return look_again(co, r, err);
}

bool hostname_differs(const struct run *r)
{
	return !streq(r->h->hostname, r->rq->machine) || r->h->unresolved;
}

int hostname_set(struct co *co, struct run *r, struct err *err)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	const char *name = r->rq->machine;
	struct ssh_result res;

	if (strlen(name) > HOSTNAME_LONGEST)
		return err_set(err, ERR_USER, "%s: a host name has at most %d characters", name,
			HOSTNAME_LONGEST);
	for (const char *p = name; *p; p++)
		if (!isalnum((unsigned char)*p) && (!strchr(".-_", *p) || p == name))
			return err_set(err, ERR_USER, "%s: not a host name", name);
	script_var(&b, "name", name);
	buf_adds(&b, COMMON_SH);
	buf_adds(&b, r->h->distro->hostname);
	if (script_run(co, r->ssh, r->h, &b, &res, err) < 0)
		return -1;
	ssh_result_finish(&res);
	free(r->h->hostname);
	r->h->hostname = xstrdup(name);
	r->h->unresolved = false;
	return 0;
}

bool engine_missing(const struct run *r)
{
	return !r->h->dockerd;
}

int engine_is_missing(const struct run *r, struct err *err)
{
	return err_set(err, ERR_USER,
		"there is no Docker engine on the host; \"docker-machine provision %s\" installs "
		"one",
		r->rq->machine);
}

/* Sends a local script; *ret_path: where it is on the host. */
static int upload(
	struct co *co, const struct run *r, const char *path, char **ret_path, struct err *err)
{
	_cleanup_buf_ struct buf content = BUF_INIT;
	static const char command[] = "/bin/sh -c 'umask 077; f=$(mktemp " UPLOAD_NAME
				      "XXXXXXXX) && cat >\"$f\" && echo \"$f\"'";
	struct ssh_result res;

	if (read_regular_file(path, SCRIPT_INSTALL_MAX, &content, err) < 0)
		return -1;
	if (ssh_exec(co, r->ssh, command, content.data, content.len, &res, err) < 0)
		return -1;
	_cleanup_free_ char *out = script_tail(buf_str(&res.out), res.out.len);
	_cleanup_free_ char *errout = script_tail(buf_str(&res.errout), res.errout.len);
	bool ok = res.exit_status == 0;

	ssh_result_finish(&res);
	const char *name = strrchr(out, '\n'); /* a login shell may have spoken before */
	name = name ? name + 1 : out;
	if (!ok || strncmp(name, UPLOAD_NAME, strlen(UPLOAD_NAME)) != 0)
		return err_set(
			err, ERR_INTERNAL, "send %s to the host: %s", path, *errout ? errout : out);
	*ret_path = xstrdup(name);
	return 0;
}

/* The path in file:PATH, file:///PATH. */
static const char *file_of(const char *url)
{
	const char *path = url + strlen(FILE_SCHEME);

	return strncmp(path, "//", 2) == 0 ? path + 2 : path;
}

static int check_url(const char *url, struct err *err)
{
	if (strlen(url) > URL_LONGEST ||
		(strncmp(url, "https://", 8) != 0 && strncmp(url, "http://", 7) != 0))
		return err_set(err, ERR_USER,
			"--engine-install-url wants http://..., https://..., file:PATH or none, "
			"not %.100s",
			url);
	for (const char *p = url; *p; p++)
		if (*p <= ' ' || *p == 0x7f)
			return err_set(err, ERR_USER,
				"the --engine-install-url holds a blank or a character that is no "
				"part of a URL");
	return 0;
}

int install_url_check(const char *url, struct err *err)
{
	_cleanup_buf_ struct buf content = BUF_INIT;

	if (!*url || streq(url, "none"))
		return 0;
	if (strncmp(url, FILE_SCHEME, strlen(FILE_SCHEME)) != 0)
		return check_url(url, err);
	if (read_regular_file(file_of(url), SCRIPT_INSTALL_MAX, &content, err) < 0)
		return err_wrap(err, "--engine-install-url");
	return 0;
}

static int check_installable(const struct run *r, const char *url, struct err *err)
{
	const char *docker = r->h->docker;

	if (docker && strncmp(docker, "/snap/", 6) == 0)
		return err_set(err, ERR_NOT_SUPPORTED,
			"Docker is there as a snap, which cannot be given certificates and "
			"options: "
			"remove it (sudo snap remove docker) and try again");
	if (streq(url, "none"))
		return err_set(err, ERR_USER,
			"there is no Docker engine on the host, and --engine-install-url none says "
			"not to install one");
	if (!r->h->distro->packages)
		return err_set(err, ERR_NOT_SUPPORTED,
			"there is no Docker engine on the host, and none can be installed on %s",
			r->h->distro->name);
	return 0;
}

struct source { /* one of them is what installs the engine, the others are "" */
	const char *url, *script, *packages;
};

static int run_install(struct co *co, struct run *r, const struct source *source, struct err *err)
{
	const struct distro *d = r->h->distro;
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct ssh_result res;

	script_var(&b, "url", source->url);
	script_var(&b, "script", source->script);
	script_var(&b, "packages", source->packages);
	script_var(&b, "source", d->source ? d->source : "");
	buf_adds(&b, COMMON_SH);
	buf_adds(&b, d->packages->functions);
	buf_adds(&b, INSTALL_SH);
	if (script_run(co, r->ssh, r->h, &b, &res, err) < 0)
		return -1;
	_cleanup_free_ char *tail = script_tail(buf_str(&res.out), res.out.len);
	ssh_result_finish(&res);
	if (look_again(co, r, err) < 0)
		return -1;
	if (r->h->dockerd)
		return 0;
	return err_set(err, ERR_INTERNAL, "%s, but there is no dockerd on the host; it said:\n%s",
		*source->packages ? "the engine's packages were installed"
				  : "the install script ended well",
		tail);
}

static int install_file(struct co *co, struct run *r, const char *url, struct err *err)
{
	_cleanup_free_ char *script = NULL;

	if (upload(co, r, file_of(url), &script, err) < 0)
		return -1;
	return run_install(co, r, &(struct source){"", script, ""}, err);
}

int engine_install(struct co *co, struct run *r, struct err *err)
{
	const struct distro *d = r->h->distro;
	const char *url = r->rq->install_url;

	if (!url || !*url)
		url = DEFAULT_INSTALL_URL;
	if (check_installable(r, url, err) < 0)
		return -1;
	run_progress(r, "Installing Docker...");
	if (strncmp(url, FILE_SCHEME, strlen(FILE_SCHEME)) == 0)
		return install_file(co, r, url, err);
	if (check_url(url, err) < 0)
		return -1;
	if (streq(url, DEFAULT_INSTALL_URL) && distro_has_packages(d, &r->h->os))
		return run_install(co, r, &(struct source){"", "", d->install}, err);
	return run_install(co, r, &(struct source){url, "", ""}, err);
}

int engine_purge(struct co *co, struct run *r, struct err *err)
{
	const struct distro *d = r->h->distro;
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct ssh_result res;

	if (!d->packages)
		return 0;
	if (r->rq->install_url && streq(r->rq->install_url, "none"))
		return err_set(err, ERR_USER,
			"the engine is too old to be upgraded in place, and "
			"--engine-install-url none says not to install another");
	script_var(&b, "package", OLD_PACKAGE);
	buf_adds(&b, COMMON_SH);
	buf_adds(&b, d->packages->functions);
	buf_adds(&b, PURGE_SH);
	if (script_run(co, r->ssh, r->h, &b, &res, err) < 0)
		return -1;
	ssh_result_finish(&res);
	return look_again(co, r, err);
}

int engine_upgrade(struct co *co, struct run *r, struct err *err)
{
	const struct distro *d = r->h->distro;
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct ssh_result res;

	if (!d->packages)
		return err_set(
			err, ERR_NOT_SUPPORTED, "the engine of %s is part of its image", d->name);
	if (engine_check_restart(r, err) < 0) /* new packages restart it */
		return -1;
	script_var(&b, "candidates", d->upgrade_packages);
	buf_adds(&b, COMMON_SH);
	buf_adds(&b, d->packages->functions);
	buf_adds(&b, UPGRADE_SH);
	if (script_run(co, r->ssh, r->h, &b, &res, err) < 0)
		return -1;
	log_debug("(%s) the engine %s", r->rq->machine,
		script_said(&res, "@@upgraded") ? "was upgraded" : "is the latest already");
	ssh_result_finish(&res);
	return 0;
}
