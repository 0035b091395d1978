#include "provision.h"

#include "engine_options.h"
#include "log.h"
#include "mem.h"
#include "script.h"
#include "steps.h"

#include <string.h>

void run_progress(const struct run *r, const char *line)
{
	if (r->rq->progress)
		r->rq->progress(r->rq->userdata, line);
}

struct listener {
	char *machine;
	char *last; /* line that the host said; NULL: none */
};

static void hear(void *userdata, const char *line)
{
	struct listener *l = userdata;

	log_debug("(%s) %s", l->machine, line);
	if (line[strspn(line, " \t\r")]) {
		free(l->last);
		l->last = script_tail(line, strlen(line));
	}
}

static int no_end(const struct step *s, const struct listener *l, struct err *err)
{
	if (l->last)
		err_set(err, ERR_TIMEOUT, "the host said last: %s", l->last);
	return err_wrap(err, "no end after %u seconds", s->seconds);
}

int run_step(struct co *co, struct run *r, const struct step *s, struct err *err)
{
	struct co_deadline d;
	struct listener l = {.machine = xstrdup(r->rq->machine)};

	log_debug("(%s) %s", l.machine, s->name);
	ssh_on_line(r->ssh, hear, &l);
	co_deadline_begin(co, &d, s->seconds * 1000ull);
	int rc = s->run(co, r, err);
	co_deadline_end(co, &d);
	ssh_on_line(r->ssh, NULL, NULL);
	if (rc < 0 && err->code == ERR_TIMEOUT)
		no_end(s, &l, err);
	free(l.machine);
	free(l.last);
	return rc == 0 ? 0 : err_wrap(err, "%s", s->name);
}

static int run_steps(
	struct co *co, struct run *r, const struct step *steps, size_t n, struct err *err)
{
	for (size_t i = 0; i < n; i++)
		if ((!steps[i].needed || steps[i].needed(r)) && run_step(co, r, &steps[i], err) < 0)
			return -1;
	return 0;
}

/* The words of any engine will do: systemd carries them all. */
int provision_check(const struct provision_request *rq, struct err *err)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct engine_line l;

	if (install_url_check(rq->install_url, err) < 0)
		return -1;
	engine_line_init(&l, "/dockerd", "/etc/docker", rq);
	int rc = systemd_options(&l, &text, err);
	engine_line_finish(&l);
	return rc;
}

static const struct step all[] = {
	{"wait for cloud-init", 330, cloud_init_runs, cloud_init_wait},
	{"set the host name", 60, hostname_differs, hostname_set},
	{"install the engine", 1800, engine_missing, engine_install},
	{"configure the engine", 300, NULL, configure_engine},
};

int provision_run(struct co *co, struct ssh *ssh, struct provision_host *h,
	const struct provision_request *rq, bool force_restart, struct err *err)
{
	struct run r = {ssh, h, rq, force_restart};

	return run_steps(co, &r, all, ARRAY_SIZE(all), err);
}

int provision_certs(struct co *co, struct ssh *ssh, struct provision_host *h,
	const struct provision_request *rq, struct err *err)
{
	static const struct step step = {
		"renew the engine's certificates", 300, NULL, configure_certs};
	struct run r = {ssh, h, rq, true};

	return run_step(co, &r, &step, err);
}

int provision_remove_old(struct co *co, struct ssh *ssh, struct provision_host *h,
	const struct provision_request *rq, struct err *err)
{
	static const struct step steps[] = {
		{"wait for cloud-init", 330, cloud_init_runs, cloud_init_wait},
		{"remove the old engine", 600, NULL, engine_purge},
	};
	struct run r = {ssh, h, rq, true};

	return run_steps(co, &r, steps, ARRAY_SIZE(steps), err);
}

int provision_upgrade(struct co *co, struct ssh *ssh, struct provision_host *h,
	const struct provision_request *rq, struct err *err)
{
	static const struct step upgrade[] = {
		{"wait for cloud-init", 330, cloud_init_runs, cloud_init_wait},
		{"upgrade the engine", 1800, NULL, engine_upgrade},
	};
	static const struct step restart = {"restart the engine", 300, NULL, configure_nothing};
	struct run r = {ssh, h, rq, true};

	run_progress(&r, "Upgrading docker...");
	if (run_steps(co, &r, upgrade, ARRAY_SIZE(upgrade), err) < 0)
		return -1;
	run_progress(&r, "Restarting docker...");
	return run_step(co, &r, &restart, err);
}
