/* What is it, and where is it? */
#include "qemu.h"

#include <string.h>
#include <unistd.h>

#define GREETING "SSH-"
#define PROBE_MS 5000
/* An emulated processor on a busy computer takes longer to start a server's process. Who hangs up
 * before makes it start one after the other, and none comes to its greeting. */
#define PROBE_SLOW_MS 30000
#define QMP_STATE_MS 5000u
#define MONITOR_MS 10000 /* from its start on until its monitor must be there */
#define SSH_MS 300000    /* … until there must be SSH */

/* What QEMU calls it, and what it is here. What is not in the table is found out by SSH. */
static const struct {
	const char *status;
	enum machine_state state;
	const char *message;
} statuses[] = {
	{"paused", STATE_PAUSED, NULL},
	{"suspended", STATE_PAUSED, "the machine sleeps"},
	{"prelaunch", STATE_STARTING, NULL},
	{"inmigrate", STATE_STARTING, NULL},
	{"restore-vm", STATE_STARTING, NULL},
	{"save-vm", STATE_SAVED, NULL},
	{"finish-migrate", STATE_SAVED, NULL},
	{"postmigrate", STATE_SAVED, NULL},
	{"shutdown", STATE_STOPPING, NULL},
	{"io-error", STATE_ERROR,
		"the machine's disk cannot be read or written (io-error); is this computer's "
		"full?"},
	{"internal-error", STATE_ERROR, "QEMU stopped the machine (internal-error)"},
	{"guest-panicked", STATE_ERROR, "the machine's kernel panicked"},
	{"watchdog", STATE_ERROR, "the machine's watchdog fired"},
};

static char *where_is(const struct md_machine *m)
{
	_cleanup_free_ char *address = address_of(m);

	return *address ? take(address)
			: lease_address(
				  md_state_str(m, "MACAddress"), md_state_str(m, "NetworkBridge"));
}

static void fill_addresses(const struct md_machine *m, struct md_report *out)
{
	_cleanup_free_ char *address = where_is(m);
	int ssh = (int)md_state_int(m, "SSHPort"), engine = (int)md_state_int(m, "EnginePort");

	out->ssh_user = xstrdup(md_state_str(m, "SSHUser"));
	if (!vm_is_old(m))
		out->ssh_key_path = md_file(m, "id_ed25519");
	if (*md_state_str(m, "HostKey"))
		strv_add(&out->ssh_host_keys, md_state_str(m, "HostKey"));
	out->ip = xstrdup(address);
	out->slow = is_emulated(m);
	out->engine_port = ENGINE_PORT;
	if (!ssh || !engine || !*address)
		return; /* not switched on yet, or without an address yet */
	out->ssh_host = xstrdup(address);
	out->ssh_port = ssh;
	out->url = md_url(address, engine);
}

bool boots_too_long(const struct md_machine *m, int64_t ms)
{
	int64_t since = md_state_int(m, BOOTING);

	return since && since != BOOTING_UNKNOWN && boot_time_ms() - since > ms;
}

static void off(const struct md_machine *m, struct md_report *out)
{
	bool made = md_state_bool(m, "Made") || vm_is_old(m);
	_cleanup_free_ char *disk = vm_is_old(m) ? xstrdup(md_state_str(m, "DiskPath"))
						 : md_file(m, DISK_FILE),
			    *words = NULL;

	if (!made || access(disk, F_OK) < 0) {
		out->state = STATE_ERROR;
		out->message = xstrdup(
			made ? "the machine's disk is gone" : "the machine is not made (yet)");
	} else if (md_state_int(m, BOOTING) && !boots_too_long(m, SSH_SLOW_MS)) {
		words = vm_last_words(m);
		out->state = STATE_ERROR;
		out->message = xasprintf("QEMU ended while the machine was booting%s%s (see %s "
					 "and %s in %s)",
			*words ? ": " : "", words, LOG_FILE, CONSOLE_FILE, m->dir);
	} else {
		out->state = STATE_STOPPED;
	}
}

static char *late_message(const struct md_machine *m)
{
	_cleanup_free_ char *path = md_file(m, CONSOLE_FILE), *said = md_log_tail(path);

	return xasprintf(
		"there is no SSH in the machine %d s after it was switched on; what it said "
		"last on its console (%s):\n%s",
		(is_emulated(m) ? SSH_SLOW_MS : SSH_MS) / 1000, path, *said ? said : "nothing");
}

/* The greeting decides: QEMU itself accepts connections before there is a server in the machine. */
static void ask_ssh(const struct md_machine *m, struct md_report *out)
{
	bool late = boots_too_long(m, is_emulated(m) ? SSH_SLOW_MS : SSH_MS);

	if (late)
		out->message = late_message(m);
	if (!out->ssh_host) {
		out->state = late ? STATE_ERROR : STATE_STARTING;
		return;
	}
	out->probe_tcp = md_host_port(out->ssh_host, out->ssh_port);
	out->probe_greeting = xstrdup(GREETING);
	out->probe_open = STATE_RUNNING;
	out->probe_closed = late ? STATE_ERROR : STATE_STARTING;
	out->probe_timeout_ms =
		is_emulated(m) && md_state_int(m, BOOTING) ? PROBE_SLOW_MS : PROBE_MS;
}

static int ask_qemu(const struct md_machine *m, char **ret, struct err *err)
{
	_cleanup_json_ struct json *value = NULL;
	_cleanup_qmp_ struct qmp *q = NULL;

	if (vm_qmp(m, QMP_STATE_MS, &q, err) < 0 ||
		qmp_command(q, "query-status", NULL, &value, err) < 0)
		return -1;
	*ret = xstrdup(json_str(json_get(value, "status"), ""));
	return 0;
}

/* A process without a monitor can only be killed. */
static void deaf(const struct md_machine *m, const char *why, struct md_report *out)
{
	if (md_state_int(m, BOOTING) && !boots_too_long(m, MONITOR_MS)) {
		out->state = STATE_STARTING;
		return;
	}
	out->state = STATE_ERROR;
	out->message = xasprintf(
		"QEMU runs and does not answer (%s); \"machine kill %s\" ends it", why, m->name);
}

int qemu_state(struct md_request *rq, struct md_machine *m, struct md_report *out, struct err *err)
{
	_cleanup_err_ struct err e = ERR_INIT;
	_cleanup_free_ char *status = NULL;

	fill_addresses(m, out);
	if (!vm_find(m)) {
		off(m, out);
		return 0;
	}
	if (ask_qemu(m, &status, &e) < 0) {
		if (!vm_find(m)) {
			off(m, out);
			return 0;
		}
		md_log(rq, LOG_LEVEL_DEBUG, "%s", err_msg(&e));
		deaf(m, err_msg(&e), out);
		return 0;
	}
	for (size_t i = 0; status && i < ARRAY_SIZE(statuses); i++) {
		if (streq(status, statuses[i].status)) {
			out->state = statuses[i].state;
			out->message = xstrdup(statuses[i].message);
			return 0;
		}
	}
	ask_ssh(m, out);
	return 0;
}
