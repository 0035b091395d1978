#include "actions.h"

#include "log.h"
#include "mem.h"

#include <ctype.h>
#include <string.h>

#define WAIT_MS 180000u
#define ENGINE_MS 60000u
#define REMOTE_MS 600000u
#define UPGRADE_INFO_MS 60000u

static int already(const char *name, enum machine_state s, struct err *err)
{
	_cleanup_free_ char *state = xstrdup(machine_state_name(s));

	for (char *p = state; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	return err_set(err, ERR_USER, "Machine \"%s\" is already %s.", name, state);
}

static int state_of(struct co *co, struct host *h, enum machine_state *ret, struct err *err)
{
	struct machine_report r = {0};

	if (host_report(co, h, &r, err) < 0)
		return -1;
	*ret = r.state;
	machine_report_finish(&r);
	return 0;
}

static int run_bounded(struct co *co, struct host *h, enum driver_op op, struct err *err)
{
	struct co_deadline d;

	driver_deadline_begin(co, &d, h->driver, host_patience(h, REMOTE_MS));
	int rc = host_run(co, h, op, err);
	co_deadline_end(co, &d);
	return rc;
}

/* After a start: SSH and the engine answer again. */
static int wait_up(struct co *co, struct host *h, struct err *err)
{
	if (!driver_info(h->driver)->provision)
		return 0;
	host_drop_ssh(co, h);
	log_info("Waiting for SSH to be available...");
	if (host_wait_ssh(co, h, WAIT_MS, err) < 0)
		return -1;
	return host_wait_engine(co, h, ENGINE_MS, err);
}

static int start(struct co *co, struct host *h, struct err *err)
{
	const char *name = h->rec->name;

	if (run_bounded(co, h, DRIVER_START, err) < 0 ||
		host_wait_state(co, h, STATE_RUNNING, WAIT_MS, err) < 0)
		return -1;
	log_info("Machine \"%s\" was started.", name);
	return wait_up(co, h, err);
}

static void say_starting(const struct host *h)
{
	log_info("Starting \"%s\"...", h->rec->name);
}

int action_start(struct co *co, struct host *h, struct err *err)
{
	enum machine_state s;

	say_starting(h);
	if (state_of(co, h, &s, err) < 0)
		return -1;
	if (s == STATE_RUNNING)
		return already(h->rec->name, s, err);
	return start(co, h, err);
}

static int end(struct co *co, struct host *h, enum driver_op op, const char *was, struct err *err)
{
	enum machine_state s;

	if (state_of(co, h, &s, err) < 0)
		return -1;
	if (s == STATE_STOPPED)
		return already(h->rec->name, s, err);
	if (run_bounded(co, h, op, err) < 0 ||
		host_wait_state(co, h, STATE_STOPPED, WAIT_MS, err) < 0)
		return -1;
	log_info("Machine \"%s\" was %s.", h->rec->name, was);
	return 0;
}

int action_stop(struct co *co, struct host *h, struct err *err)
{
	log_info("Stopping \"%s\"...", h->rec->name);
	return end(co, h, DRIVER_STOP, "stopped", err);
}

int action_kill(struct co *co, struct host *h, struct err *err)
{
	log_info("Killing \"%s\"...", h->rec->name);
	return end(co, h, DRIVER_KILL, "killed", err);
}

int action_restart(struct co *co, struct host *h, struct err *err)
{
	enum machine_state s;

	log_info("Restarting \"%s\"...", h->rec->name);
	if (state_of(co, h, &s, err) < 0)
		return -1;
	if (s == STATE_STOPPED) {
		say_starting(h);
		return start(co, h, err);
	}
	if (s == STATE_RUNNING) {
		if (run_bounded(co, h, DRIVER_RESTART, err) < 0 ||
			host_wait_state(co, h, STATE_RUNNING, WAIT_MS, err) < 0)
			return -1;
	}
	return wait_up(co, h, err);
}

static int check_provisioned(const struct host *h, struct err *err)
{
	if (driver_info(h->driver)->provision)
		return 0;
	return err_set(err, ERR_NOT_SUPPORTED,
		"machine \"%s\" is not provisioned: of driver \"%s\" only the engine's URL is "
		"known",
		h->rec->name, record_driver_name(h->rec));
}

static int detected(struct co *co, struct host *h, struct err *err)
{
	return check_provisioned(h, err) < 0 ? -1 : host_detect(co, h, err);
}

int action_provision(struct co *co, struct host *h, struct err *err)
{
	if (detected(co, h, err) < 0 || host_provision(co, h, true, err) < 0)
		return -1;
	return host_wait_engine(co, h, ENGINE_MS, err);
}

int action_regenerate_certs(struct co *co, struct host *h, struct err *err)
{
	if (detected(co, h, err) < 0 || host_renew_certs(co, h, err) < 0)
		return -1;
	return host_wait_engine(co, h, ENGINE_MS, err);
}

static int upgrade_engine(struct co *co, struct host *h, struct err *err)
{
	if (detected(co, h, err) < 0 || host_upgrade_engine(co, h, err) < 0)
		return -1;
	return host_wait_engine(co, h, ENGINE_MS, err);
}

static int start_again(struct co *co, struct host *h, struct err *err)
{
	log_info("Starting machine back up...");
	if (run_bounded(co, h, DRIVER_START, err) < 0)
		return -1;
	return host_wait_state(co, h, STATE_RUNNING, WAIT_MS, err);
}

/* A machine that could not be upgraded is started again, as it was. */
static int replace_image(struct co *co, struct host *h, struct err *err)
{
	_cleanup_err_ struct err up = ERR_INIT;
	const char *name = h->rec->name;

	log_info("Stopping machine to do the upgrade...");
	host_drop_ssh(co, h);
	if (run_bounded(co, h, DRIVER_STOP, err) < 0 ||
		host_wait_state(co, h, STATE_STOPPED, WAIT_MS, err) < 0)
		return -1;
	log_info("Upgrading machine \"%s\"...", name);
	int rc = run_bounded(co, h, DRIVER_UPGRADE_IMAGE, err);
	if (rc < 0 && err->code == ERR_CANCELED)
		return -1;
	if (start_again(co, h, &up) == 0)
		return rc;
	if (rc == 0)
		return err_move(err, &up);
	_cleanup_free_ char *why = xstrdup(err_msg(err));
	return err_set(
		err, err->code, "%s; and it could not be started again: %s", why, err_msg(&up));
}

/* What a new image lacks, provisioning puts there. */
static int upgrade_image(struct co *co, struct host *h, struct err *err)
{
	if (replace_image(co, h, err) < 0)
		return -1;
	if (!driver_info(h->driver)->provision)
		return 0;
	return action_provision(co, h, err);
}

static int ask_upgrade(struct co *co, struct host *h, const struct machine_ref *ref,
	enum upgrade_kind *ret, struct err *err)
{
	struct co_deadline d;

	driver_deadline_begin(co, &d, h->driver, UPGRADE_INFO_MS);
	int rc = driver_upgrade_info(co, h->driver, ref, ret, err);
	co_deadline_end(co, &d);
	return rc;
}

int action_upgrade(struct co *co, struct host *h, struct err *err)
{
	_cleanup_free_ char *dir = NULL;
	struct machine_ref ref = record_ref(h->app->store, h->rec, &dir);
	enum upgrade_kind kind;
	enum machine_state s;

	if (state_of(co, h, &s, err) < 0)
		return -1;
	if (ask_upgrade(co, h, &ref, &kind, err) < 0)
		return host_blame(err, "upgrade", h->rec->name, record_driver_name(h->rec));
	if (kind == UPGRADE_ENGINE && check_provisioned(h, err) < 0)
		return -1;
	if (s != STATE_RUNNING) {
		log_info("Starting machine so machine can be upgraded...");
		say_starting(h);
		if (start(co, h, err) < 0)
			return -1;
	}
	return kind == UPGRADE_IMAGE ? upgrade_image(co, h, err) : upgrade_engine(co, h, err);
}
