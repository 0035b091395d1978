/* On and off, the end, and what the machine's state is. */
#include "cgroup.h"
#include "fault.h"
#include "host.h"
#include "launch.h"
#include "names.h"
#include "network.h"
#include "plan.h"
#include "registry.h"
#include "running.h"
#include "tree.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define POLL_MS 100u  /* of the program, while a host starts or ends */
#define LOOK_MS 20u   /* of ours, for what ends at once */
#define DEAD_MS 20000 /* until a killed host must be gone */
#define PROBE_MS 2000u
#define FAILED_MAX 4096u

static void wait_for(struct md_outcome *out, enum machine_state state, const char *message)
{
	out->status = MD_WAIT;
	out->wait_for = state;
	out->retry_after_ms = POLL_MS;
	out->message = xstrdup(message);
}

static int is_running(const struct md_machine *m, struct err *err)
{
	_cleanup_free_ char *lock = host_file(m, FILE_LOCK);

	return running_held(lock, err);
}

static struct registry_machine self_of(const struct md_machine *m)
{
	return (struct registry_machine){m->dir, m->name, md_state_str(m, STATE_MACHINE_ID)};
}

/* The plan, and the files that are new at every start. */
static int prepare_start(
	struct md_request *rq, struct md_machine *m, struct plan *ret, struct err *err)
{
	struct registry_machine self = self_of(m);
	struct md_watch w = md_watch_request(rq);
	_cleanup_registry_ struct registry r = {.lock = -1};
	_cleanup_free_ char *failed = host_file(m, FILE_FAILED), *path = host_file(m, FILE_PLAN);
	_cleanup_free_ char *network_path = host_file(m, FILE_NETWORK), *network = NULL;
	const struct json *binds = json_get(m->state, STATE_BINDS);

	if (host_image(rq, m, err) < 0 || registry_open(&r, &w, err) < 0 ||
		registry_reserve(&r, &self, md_state_str(m, "IPAddress"),
			md_state_str(m, STATE_SUBNET), &ret->number, err) < 0 ||
		registry_wipe(&r, ret->number, err) < 0)
		return -1;
	network = network_file_now(&r.subnet, ret->number);
	ret->hostname = plan_hostname(m->name);
	ret->tree = host_tree(m);
	ret->cpus = (unsigned)json_int_or(json_get(m->state, STATE_CPUS), 0);
	ret->memory = (uint64_t)json_int_or(json_get(m->state, STATE_MEMORY), 0) << 20;
	for (size_t i = 0; json_at(binds, i); i++)
		strv_add(&ret->binds, json_str(json_at(binds, i), ""));
	if (unlink(failed) < 0 && errno != ENOENT)
		return err_errno(err, errno, "remove %s", failed);
	if (md_write_file(network_path, network, strlen(network), 0644, err) < 0)
		return -1;
	return plan_save(ret, path, err);
}

int host_start(struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err)
{
	_cleanup_free_ char *dir = host_file(m, ""), *lock_path = host_file(m, FILE_LOCK);
	_cleanup_plan_ struct plan p = {0};
	_cleanup_err_ struct err taken = ERR_INIT;
	_cleanup_close_ int lock = -1;

	if (host_need_root(err) < 0)
		return -1;
	if (running_take(lock_path, &lock, &taken) < 0)
		return taken.code == ERR_EXISTS ? 0 : err_move(err, &taken);
	nspawn_fault("start.locked");
	if (prepare_start(rq, m, &p, err) < 0)
		return -1;
	nspawn_fault("start.prepared");
	dir[strlen(dir) - 1] = 0; /* its slash */
	if (launch(rq, dir, &p, lock, err) < 0)
		return -1;
	nspawn_fault("start.launched");
	wait_for(out, STATE_RUNNING, "the host is booting");
	return 0;
}

/* After its end, whoever caused it: what a supervisor that was killed has left. */
static int tidy(struct md_request *rq, struct md_machine *m, bool release, struct err *err)
{
	struct registry_machine self = self_of(m);
	struct md_watch w = md_watch_request(rq);
	_cleanup_registry_ struct registry r = {.lock = -1};
	const struct registry_entry *own;

	if (access(NSPAWN_REGISTRY, F_OK) < 0)
		return 0;
	if (registry_open(&r, &w, err) < 0)
		return -1;
	own = registry_find(&r, &self);
	if (!own) /* of a copy, what runs is another machine's */
		return 0;
	if (release)
		return registry_release(&r, &self, err);
	return registry_wipe(&r, own->number, err);
}

static int forget_failure(const struct md_machine *m, struct err *err)
{
	_cleanup_free_ char *failed = host_file(m, FILE_FAILED);

	if (unlink(failed) < 0 && errno != ENOENT && errno != ENOTDIR)
		return err_errno(err, errno, "remove %s", failed);
	return 0;
}

int host_stop(struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err)
{
	_cleanup_free_ char *lock = host_file(m, FILE_LOCK);
	int running, signalled;

	if (host_need_root(err) < 0 || (running = is_running(m, err)) < 0)
		return -1;
	if (!running)
		return forget_failure(m, err) < 0 ? -1 : tidy(rq, m, false, err);
	signalled = running_signal(lock, RUNNING_INIT, SIGTERM, err);
	if (signalled < 0)
		return -1;
	/* with nobody to be told it is about to start or to end: ask again */
	wait_for(out, signalled ? STATE_STOPPED : STATE_NONE, "the host is shutting down");
	return 0;
}

/* What is frozen in the host does not end before it is thawed. */
static void thaw(const struct md_machine *m)
{
	_cleanup_strv_ struct strv groups = STRV_INIT;
	_cleanup_err_ struct err none = ERR_INIT;
	_cleanup_free_ char *name = NULL;
	struct subnet s;

	if (!subnet_parse(md_state_str(m, STATE_SUBNET), &s))
		return;
	name = xasprintf(NSPAWN_GROUP, subnet_number(&s, md_state_str(m, "IPAddress")));
	if (cgroup_of_name(name, &groups, &none) == 0)
		cgroup_thaw(&groups);
}

/* Until nothing of the host runs. */
static int power_cut(struct md_request *rq, struct md_machine *m, struct err *err)
{
	_cleanup_free_ char *lock = host_file(m, FILE_LOCK);

	for (int waited = 0;; waited += (int)LOOK_MS) {
		int running = is_running(m, err), signalled;

		if (running <= 0)
			return running;
		signalled = running_signal(lock, RUNNING_INIT, SIGKILL, err);
		if (signalled == 0 && waited > DEAD_MS / 2)
			signalled = running_signal(lock, RUNNING_SUPERVISOR, SIGKILL, err);
		if (signalled < 0)
			return -1;
		thaw(m);
		if (waited > DEAD_MS)
			return err_set(err, ERR_TIMEOUT,
				"the host's processes survive SIGKILL for %d s", DEAD_MS / 1000);
		if (md_sleep(rq, LOOK_MS, err) < 0)
			return -1;
	}
}

int host_kill(struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err)
{
	if (host_need_root(err) < 0 || power_cut(rq, m, err) < 0 || forget_failure(m, err) < 0)
		return -1;
	return tidy(rq, m, false, err);
}

int host_restart(
	struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err)
{
	int running;

	if (host_need_root(err) < 0 || (running = is_running(m, err)) < 0)
		return -1;
	if (!running)
		return host_start(rq, m, out, err);
	out->status = MD_RUN;
	out->command = xstrdup("sudo systemctl reboot");
	out->disconnects = true;
	return 0;
}

int host_remove(
	struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err)
{
	_cleanup_free_ char *dir = host_file(m, ""), *id = host_file(m, FILE_ID);

	if (!*md_state_str(m, STATE_MACHINE_ID) && access(dir, F_OK) < 0)
		return 0; /* nothing was made */
	if (host_need_root(err) < 0 || power_cut(rq, m, err) < 0)
		return -1;
	nspawn_fault("remove.off");
	/* a create or start that goes on somewhere reserves nothing any more */
	if (unlink(id) < 0 && errno != ENOENT && errno != ENOTDIR)
		return err_errno(err, errno, "remove %s", id);
	if (tidy(rq, m, true, err) < 0)
		return -1;
	nspawn_fault("remove.released");
	dir[strlen(dir) - 1] = 0; /* its slash */
	return tree_remove(dir, err);
}

static void report_addresses(const struct md_machine *m, struct md_report *out)
{
	const char *address = md_state_str(m, "IPAddress");

	if (!*address)
		return;
	out->ip = xstrdup(address);
	out->url = md_url(address, ENGINE_PORT);
	out->ssh_host = xstrdup(address);
	out->ssh_port = SSH_PORT;
	out->ssh_user = xstrdup(md_state_str(m, "SSHUser"));
	out->ssh_key_path = md_file(m, "id_ed25519");
	if (*md_state_str(m, STATE_HOST_KEY))
		strv_add(&out->ssh_host_keys, md_state_str(m, STATE_HOST_KEY));
}

static void report_failure(const struct md_machine *m, const char *failed, struct md_report *out)
{
	_cleanup_free_ char *log = host_file(m, FILE_LOG), *why = NULL, *said = NULL;
	_cleanup_err_ struct err none = ERR_INIT;
	size_t len;

	if (md_read_file(failed, FAILED_MAX, &why, &len, &none) < 0)
		return;
	out->state = STATE_ERROR;
	said = md_log_tail(log);
	out->message =
		xasprintf("%s; what it said last (%s):\n%s", why, log, *said ? said : "nothing");
}

static int report(struct md_machine *m, struct md_report *out, struct err *err)
{
	_cleanup_free_ char *upper = host_file(m, DIR_UPPER), *failed = host_file(m, FILE_FAILED);
	int running = is_running(m, err);

	if (running < 0)
		return -1;
	report_addresses(m, out);
	if (running) {
		out->probe_tcp = md_host_port(md_state_str(m, "IPAddress"), SSH_PORT);
		out->probe_open = STATE_RUNNING;
		out->probe_closed = STATE_STARTING;
		out->probe_timeout_ms = PROBE_MS;
		return 0;
	}
	out->state = STATE_STOPPED;
	if (access(upper, F_OK) < 0) {
		if (errno != ENOENT && errno != ENOTDIR)
			return err_errno(err, errno, "%s", upper);
		out->state = STATE_ERROR;
		out->message = xstrdup("the machine's files do not exist (any more)");
		return 0;
	}
	report_failure(m, failed, out);
	return 0;
}

int host_states(struct md_request *rq, struct md_machine *machines, size_t n,
	struct md_report *reports, struct err *errs, struct err *err)
{
	for (size_t i = 0; i < n; i++)
		(void)!report(&machines[i], &reports[i], &errs[i]);
	return 0;
}
