/* On, off, again, gone. */
#include "qemu.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define BOOT_RETRY_MS 1000
#define BOOT_FIRST_MS 1000
#define POWER_BUTTON_MS                                                           \
	3000 /* between presses: a system that is booting does not hear the first \
	      */
#define QMP_POWER_MS 5000

/* Where a restart is. It is done in calls, as the host does the waiting between. */
#define RESTART_KEY "Restarting"

static void wait_running(struct md_machine *m, struct md_outcome *out)
{
	out->status = MD_WAIT;
	out->wait_for = STATE_RUNNING;
	out->retry_after_ms = BOOT_RETRY_MS;
	out->message = xstrdup("the machine is booting");
}

/* Under the lock. Called again when the machine is up. */
int power_on(struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err)
{
	if (!get_bool(m, "Made"))
		return err_set(err, ERR_NOT_FOUND,
			"the machine was not made completely: go on with \"create --resume\"");
	if (!vm_find(m)) {
		if (vm_start(rq, m, err) < 0)
			return -1;
		wait_running(m, out);
	} else if (get_bool(m, LAUNCHING)) {
		if (vm_adopt(rq, m, err) < 0)
			return -1;
		wait_running(m, out);
	} else if (get_bool(m, "Booting")) {
		json_unset(m->state, "Booting");
		console_to_memory(m);
	}
	return 0;
}

int qemu_start(struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err)
{
	_cleanup_lock_ int lock = -1;

	json_unset(m->state, RESTART_KEY);
	if (vm_lock(rq, m, &lock, err) < 0)
		return -1;
	return power_on(rq, m, out, err);
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

/* Presses the power button, as long as it runs. Called again and again. */
static int press_button(const struct md_machine *m, struct md_outcome *out, struct err *err)
{
	_cleanup_err_ struct err e = ERR_INIT;
	_cleanup_qmp_ struct qmp *q = NULL;

	if (!vm_find(m))
		return vm_end(m, err);
	if (vm_qmp(m, QMP_POWER_MS, &q, &e) < 0 || wake(q, &e) < 0 ||
		qmp_command(q, "system_powerdown", NULL, NULL, &e) < 0) {
		if (!vm_find(m))
			return vm_end(m, err); /* it went off meanwhile */
		/* another may be talking to it; that is not for long */
		if (e.code != ERR_TIMEOUT && e.code != ERR_UNAVAILABLE)
			return err_move(err, &e);
	}
	out->status = MD_WAIT;
	out->retry_after_ms = POWER_BUTTON_MS;
	out->message = xstrdup("the machine is shutting down");
	return 0;
}

/* The host asks for the state between two calls only if it is told to wait for one; here it is told
 * to call again, so that the button is pressed again. */
int qemu_stop(struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err)
{
	_cleanup_lock_ int lock = -1;

	json_unset(m->state, "Booting");
	json_unset(m->state, RESTART_KEY);
	if (vm_lock(rq, m, &lock, err) < 0)
		return -1;
	return press_button(m, out, err);
}

int qemu_kill(struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err)
{
	_cleanup_lock_ int lock = -1;

	json_unset(m->state, "Booting");
	json_unset(m->state, RESTART_KEY);
	if (vm_lock(rq, m, &lock, err) < 0)
		return -1;
	return vm_end(m, err);
}

int qemu_restart(
	struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err)
{
	_cleanup_lock_ int lock = -1;

	if (vm_lock(rq, m, &lock, err) < 0)
		return -1;
	if (streq(get_str(m, RESTART_KEY), "on") && vm_find(m)) {
		json_unset(m->state, RESTART_KEY);
		return power_on(rq, m, out, err);
	}
	json_set_str(m->state, RESTART_KEY, "off");
	if (press_button(m, out, err) < 0 || out->status == MD_WAIT)
		return err->code ? -1 : 0;
	json_set_str(m->state, RESTART_KEY, "on");
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
	static const char *const made[] = {DISK_FILE, DISK_TEMPORARY, SEED_FILE, UEFI_FILE,
		LOG_FILE, CONSOLE_FILE, HOST_KEY, HOST_KEY_PUBLIC, IMAGE_LINK, LOCK_FILE};
	bool folder = access(m->dir, F_OK) == 0;
	_cleanup_lock_ int lock = -1;

	if (folder && vm_lock(rq, m, &lock, err) < 0)
		return -1;
	if (vm_end(m, err) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(made); i++)
		if (unlink_in(m, made[i], err) < 0)
			return -1;
	return share_remove(m, err);
}
