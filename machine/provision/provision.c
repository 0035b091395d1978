#include "provision.h"

#include "log.h"
#include "mem.h"
#include "steps.h"

void run_progress(const struct run *r, const char *line)
{
	if (r->rq->progress)
		r->rq->progress(r->rq->userdata, line);
}

static void debug_line(void *userdata, const char *line)
{
	log_debug("(%s) %s", (const char *)userdata, line);
}

int run_step(struct co *co, struct run *r, const struct step *s, struct err *err)
{
	struct co_deadline d;
	char *machine = xstrdup(r->rq->machine);

	log_debug("(%s) %s", machine, s->name);
	ssh_on_line(r->ssh, debug_line, machine);
	co_deadline_begin(co, &d, s->seconds * 1000ull);
	int rc = s->run(co, r, err);
	co_deadline_end(co, &d);
	ssh_on_line(r->ssh, NULL, NULL);
	free(machine);
	if (rc == 0)
		return 0;
	if (err->code == ERR_TIMEOUT)
		err_wrap(err, "no end after %u seconds", s->seconds);
	return err_wrap(err, "%s", s->name);
}

static int run_steps(
	struct co *co, struct run *r, const struct step *steps, size_t n, struct err *err)
{
	for (size_t i = 0; i < n; i++)
		if ((!steps[i].needed || steps[i].needed(r)) && run_step(co, r, &steps[i], err) < 0)
			return -1;
	return 0;
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
