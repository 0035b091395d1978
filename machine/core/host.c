/* A machine and its driver: operations, which may need several calls. */
#include "host_internal.h"

#include "log.h"
#include "mem.h"
#include "throttle.h"

#include <string.h>

#define COUNT_MAX 1000 /* what is counted by so few is told in numbers, else in percent */
#define CRASHES_MAX 3u

int host_open(
	struct co *co, struct app *app, struct record *take_rec, struct host **ret, struct err *err)
{
	struct host *h = xcalloc(1, sizeof(*h));

	h->app = app;
	h->rec = take_rec;
	h->dir = store_machine_dir(app->store, take_rec->name);
	if (driver_set_get(co, app->drivers, record_driver_name(take_rec), &h->driver, err) < 0) {
		/* not found: the text says what to do, for all of its machines */
		if (err->code != ERR_NOT_FOUND)
			host_blame(err, "open", h->rec->name, record_driver_name(h->rec));
		host_close(co, h);
		return -1;
	}
	*ret = h;
	return 0;
}

void host_close(struct co *co, struct host *h)
{
	if (!h)
		return;
	app_status(h->app, h->rec->name, NULL);
	host_drop_ssh(co, h);
	host_forget_location(h);
	if (h->detected)
		provision_host_finish(&h->system);
	record_free(h->rec);
	free(h->dir);
	free(h);
}

int host_blame(struct err *err, const char *what, const char *machine, const char *driver)
{
	static const enum err_code plain[] = {
		ERR_USER, ERR_NOT_SUPPORTED, ERR_NOT_RUNNING, ERR_CANCELED, ERR_EXISTS};

	for (size_t i = 0; i < ARRAY_SIZE(plain); i++)
		if (err->code == plain[i])
			return -1;
	_cleanup_free_ char *by = xasprintf("driver \"%s\"", driver);

	if (!strstr(err_msg(err), by))
		err_wrap(err, "%s", by);
	return err_wrap(err, "%s %s", what, machine);
}

/* One operation, over all the calls that it takes. */
struct run {
	struct host *h;
	enum driver_op op;
	unsigned crashes;
	struct throttle_patience patience;
	bool slowed;        /* its display says so */
	struct err unsaved; /* why the latest checkpoint is not on disk */
	char *said;         /* the message of the latest outcome, of what it waits for */
	char *counted;      /* the message of the progress that was told last */
	int tenth;          /* … and how far it was */
};

static int save_checkpoint(struct co *co, void *userdata, const struct json *state, struct err *err)
{
	struct run *run = userdata;

	err_finish(&run->unsaved);
	record_set_driver_state(run->h->rec, json_copy(state));
	if (record_save(run->h->app->store, run->h->rec, err) == 0)
		return 0;
	return err_set(&run->unsaved, err->code, "%s", err_msg(err));
}

/* Long work tells of itself again and again: on a terminal that is one line that changes, elsewhere
 * a line for each tenth. */
static void show_counted(struct run *run, const char *message, int64_t current, int64_t total)
{
	const struct host *h = run->h;
	double share = (double)MIN(current, total) / (double)total;
	int percent = (int)(share * 100), tenth = (int)(share * 10);
	bool told = run->counted && streq(run->counted, message);

	app_progress(h->app, h->rec->name, message, current, total);
	if (told && (tenth == run->tenth || h->app->status))
		return;
	free(run->counted);
	run->counted = xstrdup(message);
	run->tenth = tenth;
	if (total <= COUNT_MAX)
		log_info("(%s) %s (%lld/%lld)", h->rec->name, message, (long long)current,
			(long long)total);
	else
		log_info("(%s) %s (%d%%)", h->rec->name, message, percent);
}

static void show_progress(void *userdata, const char *message, int64_t current, int64_t total)
{
	struct run *run = userdata;

	if (current >= 0 && total > 0) {
		show_counted(run, message, current, total);
		return;
	}
	if (run->counted) /* that is over */
		app_status(run->h->app, run->h->rec->name, "%s", driver_op_name(run->op));
	free(take(run->counted));
	log_info("(%s) %s", run->h->rec->name, message);
}

/* What a command over SSH needs besides: the boot id, to know a new system from the old. */
static char *boot_id(struct co *co, struct ssh *ssh)
{
	_cleanup_err_ struct err e = ERR_INIT;
	struct ssh_result r = {0};
	char *id = NULL;

	if (ssh_exec(co, ssh, "cat /proc/sys/kernel/random/boot_id", NULL, 0, &r, &e) == 0 &&
		r.exit_status == 0)
		id = xstrdup(buf_str(&r.out));
	ssh_result_finish(&r);
	return id;
}

static int wait_rebooted(struct co *co, struct host *h, const char *old_id, struct err *err)
{
	for (;;) {
		host_drop_ssh(co, h);
		if (host_wait_ssh(co, h, 0, err) < 0)
			return -1;
		_cleanup_free_ char *id = boot_id(co, h->ssh);
		if (id && (!old_id || !streq(id, old_id)))
			return 0;
		int rc = co_sleep(co, MIN(host_poll_ms(1000), 1000u));
		if (rc < 0)
			return co_err(rc, err);
	}
}

static int run_command(
	struct co *co, struct host *h, const struct driver_outcome *o, struct err *err)
{
	struct ssh_result r = {0};
	_cleanup_free_ char *old_id = NULL;
	_cleanup_err_ struct err e = ERR_INIT;

	if (!o->command || !*o->command)
		return err_set(err, ERR_PROTOCOL, "driver \"%s\" asks to run an empty command (O3)",
			driver_info(h->driver)->name);
	if (host_wait_ssh(co, h, 60000, err) < 0)
		return -1;
	if (o->disconnects)
		old_id = boot_id(co, h->ssh);
	int rc = ssh_exec(co, h->ssh, o->command, NULL, 0, &r, &e);
	int status = r.exit_status;
	_cleanup_free_ char *said = xstrdup(buf_str(r.errout.len ? &r.errout : &r.out));
	ssh_result_finish(&r);
	if (rc < 0 && (!o->disconnects || e.code == ERR_CANCELED || e.code == ERR_TIMEOUT))
		return err_move(err, &e);
	if (rc == 0 && status > 0)
		return err_set(err, ERR_INTERNAL, "\"%s\" failed with exit status %d: %s",
			o->command, status, said);
	return o->disconnects ? wait_rebooted(co, h, old_id, err) : 0;
}

/* 1: finished; 0: call the driver again; -1: failed */
static int follow(struct co *co, struct run *run, const struct driver_outcome *o, struct err *err)
{
	_cleanup_err_ struct err last = ERR_INIT;
	struct host *h = run->h;

	free(take(run->said));
	if (o->status == OUTCOME_DONE)
		return 1;
	if (o->status == OUTCOME_RUN)
		return run_command(co, h, o, err) < 0 ? -1 : !o->again;
	if (o->message && *o->message) {
		run->said = xasprintf(
			"driver \"%s\" said last: %s", record_driver_name(h->rec), o->message);
		log_debug("(%s) waiting: %s", h->rec->name, o->message);
		app_status(h->app, h->rec->name, "waiting: %s", o->message);
	}
	int rc = co_sleep(co, host_poll_ms(o->retry_after_ms)); /* O2: before the first look, too */
	if (rc < 0)
		return co_err(rc, err);
	if (o->wait_for == STATE_NONE)
		return 0;
	if (host_poll_state(co, h, o->wait_for, o->retry_after_ms, true, &last, err) == 0)
		return 0;
	return host_tell_last(err, last.code ? err_msg(&last) : NULL);
}

/* A driver that crashed during create is called again with its last checkpoint, if that is safe on
 * disk. */
static bool worth_another_try(struct run *run, const struct err *e)
{
	if (run->op != DRIVER_CREATE && run->op != DRIVER_REMOVE)
		return false;
	return e->code == ERR_CRASHED && run->unsaved.code == ERR_NONE &&
	       ++run->crashes < CRASHES_MAX;
}

/* Those that the protocol says may be sent again and again (D3, D4, D5). */
static bool repeatable(enum driver_op op)
{
	return op != DRIVER_RESTART && op != DRIVER_UPGRADE_IMAGE;
}

/* The provider asks to slow down: the next call of this driver, whoever's it is, waits as told. */
static bool throttled(struct co *co, struct run *run, const struct err *e)
{
	const struct host *h = run->h;

	if (e->code != ERR_THROTTLED || run->unsaved.code != ERR_NONE ||
		!(repeatable(run->op) || e->retryable) ||
		!throttle_again(&run->patience, loop_now(co_loop(co)), e->retry_after_ms,
			co_deadline_left(co)))
		return false;
	log_debug("(%s) %s; asking again", h->rec->name, err_msg(e));
	app_status(h->app, h->rec->name, "waiting: the provider asks to slow down");
	run->slowed = true;
	return true;
}

/* Says the cause of a refused checkpoint even when the driver does not. */
static int run_failed(struct run *run, struct err *e, struct err *err)
{
	const struct record *rec = run->h->rec;
	const char *why = err_msg(&run->unsaved);

	err_move(err, e);
	if (run->unsaved.code != ERR_NONE && !strstr(err_msg(err), why)) {
		_cleanup_free_ char *text = xstrdup(err_msg(err));
		err_set(err, err->code, "%s; its state could not be saved: %s", text, why);
	}
	return host_blame(err, driver_op_name(run->op), rec->name, record_driver_name(rec));
}

static int save_outcome(struct run *run, struct driver_outcome *o, struct err *err)
{
	struct host *h = run->h;

	if (o->state)
		record_set_driver_state(h->rec, take(o->state));
	/* what is removed needs no record, and a full disk shall not keep it */
	if (run->op == DRIVER_REMOVE && o->status == OUTCOME_DONE)
		return 0;
	return record_save(h->app->store, h->rec, err);
}

/* 1: finished; 0: call the driver again; -1: failed */
static int run_once(struct co *co, struct run *run, struct err *err)
{
	struct driver_observer obs = {
		.userdata = run, .checkpoint = save_checkpoint, .progress = show_progress};
	struct host *h = run->h;
	_cleanup_free_ char *dir = NULL;
	_cleanup_err_ struct err e = ERR_INIT;
	struct driver_outcome o = {0};
	struct machine_ref ref = record_ref(h->app->store, h->rec, &dir);

	host_forget_location(h); /* each call may change it: a floating IP is bound by the last */
	if (driver_run(co, h->driver, run->op, &ref, &obs, &o, &e) < 0) {
		if (throttled(co, run, &e))
			return 0;
		if (!worth_another_try(run, &e))
			return run_failed(run, &e, err);
		log_warn("(%s) %s; trying again", h->rec->name, err_msg(&e));
		int rc = co_sleep(co, host_poll_ms(500) << (run->crashes - 1));
		return rc < 0 ? co_err(rc, err) : 0;
	}
	if (run->slowed)
		app_status(h->app, h->rec->name, "%s", driver_op_name(run->op));
	run->slowed = false;
	int rc = save_outcome(run, &o, err);
	if (rc == 0)
		rc = follow(co, run, &o, err);
	driver_outcome_finish(&o);
	return rc;
}

int host_run(struct co *co, struct host *h, enum driver_op op, struct err *err)
{
	struct run run = {.h = h, .op = op};
	int rc;

	app_status(h->app, h->rec->name, "%s", driver_op_name(op));
	do
		rc = run_once(co, &run, err);
	while (rc == 0);
	if (rc < 0)
		host_tell_last(err, run.said);
	err_finish(&run.unsaved);
	free(run.said);
	free(run.counted);
	return rc < 0 ? -1 : 0;
}
