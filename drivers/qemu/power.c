/* On, off, again, gone. */
#include "qemu.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define BOOT_RETRY_MS 1000
#define BOOT_FIRST_MS 1000
#define STOP_LOOK_MS 1000
#define BUTTON_MS 10000     /* between presses: a system that is booting does not hear the first */
#define BUTTON_OLD_MS 30000 /* a stop that has not gone on for so long was given up */
#define STOP_MS 120000
#define STOP_SLOW_MS 480000
#define QMP_POWER_MS 10000u

/* A restart that has switched the machine on again: since when. It is done in calls, as the host
 * does the waiting between. */
#define RESTART_KEY "Restarting"

/* How far a stop is: when it began, and when the button was pressed last, by the clock that runs
 * since the computer was started. */
#define STOP_SINCE "StopSince"
#define STOP_PRESSED "StopPressed"

/* The boots that this process has told the host to wait for. */
static struct strv told;

static char *this_boot(const struct md_machine *m)
{
	return xasprintf("%s %lld", md_state_str(m, "UUID"), (long long)md_state_int(m, BOOTING));
}

static bool was_told(const struct md_machine *m)
{
	_cleanup_free_ char *boot = this_boot(m);

	return strv_contains(&told, boot);
}

static void wait_running(struct md_machine *m, struct md_outcome *out)
{
	_cleanup_free_ char *boot = this_boot(m);

	if (!strv_contains(&told, boot))
		strv_add(&told, boot);
	out->status = MD_WAIT;
	out->wait_for = STATE_RUNNING;
	out->retry_after_ms = BOOT_RETRY_MS;
	out->message = xstrdup("the machine is booting");
}

static void stop_over(struct md_machine *m)
{
	json_unset(m->state, STOP_SINCE);
	json_unset(m->state, STOP_PRESSED);
}

static int refuse_old(const struct md_machine *m, struct err *err)
{
	if (!vm_is_old(m))
		return 0;
	return err_set(err, ERR_NOT_SUPPORTED,
		"the machine %s was made by another program (docker-machine-driver-qemu), from a "
		"boot2docker image, which this driver does not start. It can be listed, stopped, "
		"killed and removed",
		m->name);
}

/* Under the lock. Called again when the machine is up; or anew, by another process, when the one
 * who waited for that was interrupted. */
int power_on(struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err)
{
	if (!md_state_bool(m, "Made"))
		return err_set(err, ERR_NOT_FOUND,
			"the machine was not made completely: go on with \"create --resume\"");
	stop_over(m);
	if (!vm_find(m)) {
		if (vm_start(rq, m, err) < 0)
			return -1;
		wait_running(m, out);
	} else if (md_state_int(m, BOOTING) == BOOTING_UNKNOWN) { /* its start ended too early */
		if (vm_adopt(rq, m, err) < 0)
			return -1;
		wait_running(m, out);
	} else if (md_state_int(m, BOOTING) && !was_told(m)) {
		wait_running(m, out);
	} else if (md_state_int(m, BOOTING)) {
		json_unset(m->state, BOOTING);
		console_to_memory(m);
	}
	return 0;
}

/* A paused machine hears nothing. */
static int wake(struct qmp *q, struct err *err)
{
	_cleanup_json_ struct json *value = NULL;
	const char *status;

	if (qmp_command(q, "query-status", NULL, &value, err) < 0)
		return -1;
	status = json_str(json_get(value, "status"), "");
	if (streq(status, "paused"))
		return qmp_command(q, "cont", NULL, NULL, err);
	if (streq(status, "suspended"))
		return qmp_command(q, "system_wakeup", NULL, NULL, err);
	return 0;
}

int qemu_start(struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err)
{
	_cleanup_lock_ int lock = -1;
	_cleanup_qmp_ struct qmp *q = NULL;

	json_unset(m->state, RESTART_KEY);
	if (refuse_old(m, err) < 0 || vm_lock(rq, m, &lock, err) < 0)
		return -1;
	if (vm_find(m) && (vm_qmp(m, QMP_POWER_MS, &q, err) < 0 || wake(q, err) < 0))
		return err_wrap(err, "wake the machine");
	return power_on(rq, m, out, err);
}

static int press(const struct md_machine *m, struct err *err)
{
	_cleanup_err_ struct err e = ERR_INIT;
	_cleanup_qmp_ struct qmp *q = NULL;

	if (vm_qmp(m, QMP_POWER_MS, &q, &e) < 0 || wake(q, &e) < 0 ||
		qmp_command(q, "system_powerdown", NULL, NULL, &e) < 0) {
		/* it went off meanwhile, or another is talking to it, which is not for long */
		if (vm_find(m) && e.code != ERR_TIMEOUT && e.code != ERR_UNAVAILABLE) {
			err_move(err, &e);
			return err_wrap(err,
				"the machine %s cannot be told to shut down (\"machine kill %s\" "
				"switches it off)",
				m->name, m->name);
		}
	}
	return 0;
}

/* Its next stop shall not begin where this one ended. */
static int give_up_stop(struct md_request *rq, struct md_machine *m, struct err *err)
{
	stop_over(m);
	json_unset(m->state, RESTART_KEY);
	if (md_checkpoint(rq, m->state, err) < 0)
		return -1;
	return err_set(err, ERR_TIMEOUT,
		"the machine %s was told to shut down, again and again, and still runs after %d s; "
		"\"machine kill %s\" switches it off",
		m->name, (is_emulated(m) ? STOP_SLOW_MS : STOP_MS) / 1000, m->name);
}

/* Presses the power button every now and then, as long as it runs. Called again and again. */
static int go_off(
	struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err)
{
	int64_t now = boot_time_ms(), pressed = md_state_int(m, STOP_PRESSED);

	if (!vm_find(m)) {
		stop_over(m);
		return vm_end(m, err);
	}
	if (!pressed || pressed > now || now - pressed > BUTTON_OLD_MS) {
		json_set(m->state, STOP_SINCE, json_int(now));
		pressed = 0;
	}
	if (now - md_state_int(m, STOP_SINCE) > (is_emulated(m) ? STOP_SLOW_MS : STOP_MS))
		return give_up_stop(rq, m, err);
	if (!pressed || now - pressed >= BUTTON_MS) {
		if (press(m, err) < 0)
			return -1;
		json_set(m->state, STOP_PRESSED, json_int(now));
	}
	out->status = MD_WAIT;
	out->retry_after_ms = STOP_LOOK_MS;
	out->message = xstrdup("the machine is shutting down");
	return 0;
}

/* The host asks for the state between two calls only if it is told to wait for one; here it is told
 * to call again, so that the button is pressed again. */
int qemu_stop(struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err)
{
	_cleanup_lock_ int lock = -1;

	json_unset(m->state, BOOTING);
	json_unset(m->state, RESTART_KEY);
	if (vm_lock(rq, m, &lock, err) < 0)
		return -1;
	return go_off(rq, m, out, err);
}

int qemu_kill(struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err)
{
	_cleanup_lock_ int lock = -1;

	json_unset(m->state, BOOTING);
	json_unset(m->state, RESTART_KEY);
	stop_over(m);
	if (vm_lock(rq, m, &lock, err) < 0)
		return -1;
	return vm_end(m, err);
}

/* One that was interrupted long ago is no restart under way. */
static bool is_restarting(const struct md_machine *m)
{
	int64_t since = md_state_int(m, RESTART_KEY);

	return since && md_state_int(m, BOOTING) && vm_find(m) &&
	       boot_time_ms() - since < SSH_SLOW_MS;
}

int qemu_restart(
	struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err)
{
	_cleanup_lock_ int lock = -1;

	if (refuse_old(m, err) < 0 || vm_lock(rq, m, &lock, err) < 0)
		return -1;
	if (is_restarting(m)) {
		if (power_on(rq, m, out, err) < 0)
			return -1;
		if (out->status != MD_WAIT)
			json_unset(m->state, RESTART_KEY);
		return 0;
	}
	json_unset(m->state, RESTART_KEY);
	if (go_off(rq, m, out, err) < 0 || out->status == MD_WAIT)
		return err->code ? -1 : 0;
	json_set(m->state, RESTART_KEY, json_int(boot_time_ms()));
	return power_on(rq, m, out, err);
}

static int unlink_in(const struct md_machine *m, const char *name, struct err *err)
{
	_cleanup_free_ char *path = md_file(m, name);

	if (unlink(path) < 0 && errno != ENOENT && errno != ENOTDIR)
		return err_errno(err, errno, "remove %s", path);
	return 0;
}

/* Whatever create made, however far it came. */
int qemu_remove(
	struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err)
{
	static const char *const made[] = {DISK_FILE, DISK_TEMPORARY, SEED_FILE, SEED_LATER,
		UEFI_FILE, LOG_FILE, CONSOLE_FILE, HOST_KEY, HOST_KEY_PUBLIC, IMAGE_LINK,
		LOCK_FILE};
	bool folder = access(m->dir, F_OK) == 0;
	_cleanup_lock_ int lock = -1;

	if (folder && vm_lock(rq, m, &lock, err) < 0)
		return -1;
	if (vm_end(m, err) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(made); i++)
		if (unlink_in(m, made[i], err) < 0)
			return -1;
	return share_remove(m, err) < 0 ? -1 : sockets_remove_dir(m, err);
}
