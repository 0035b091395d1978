/* A machine's one SSH connection: where it goes, waiting for it, keeping it. */
#include "host.h"

#include "log.h"
#include "mem.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CLOCK_OFF_S 240      /* certificates begin five minutes in the past */
#define AUTH_GRACE_MS 15000u /* a machine that just booted may still be installing our key */
#define RETRY_FIRST_MS 100u
#define RETRY_MAX_MS 2000u
#define RETRY_DENIED_MS 4000u /* a few refused logins more, and a watchful host locks us out */
#define PLACE_OLD_MS 10000u   /* then the driver is asked again, */
#define PLACE_GATHER_MS 500u  /* by all who wait at that time at once */

void ssh_place_finish(struct ssh_place *p)
{
	machine_report_finish(&p->report);
	free(p->known_hosts);
	*p = (struct ssh_place){0};
}

/* known_hosts and the rest, from the report in *ret, which is empty after a failure. */
static int complete_place(struct host *h, struct ssh_place *ret, struct err *err)
{
	struct ssh_place p = *ret;

	if (!p.report.ssh.host || !*p.report.ssh.host) {
		ssh_place_finish(ret);
		return err_set(err, ERR_NOT_SUPPORTED,
			"driver \"%s\" knows no SSH address for machine \"%s\"",
			record_driver_name(h->rec), h->rec->name);
	}
	p.known_hosts = store_machine_file(h->app->store, h->rec->name, "known_hosts");
	p.target = (struct ssh_target){
		.machine = h->rec->name,
		.host = p.report.ssh.host,
		.port = p.report.ssh.port,
		.user = p.report.ssh.user,
		.key_path = p.report.ssh.key_path,
		.known_hosts = p.known_hosts,
		.host_keys = p.report.ssh.host_keys.items,
		.native = h->app->native_ssh,
	};
	*ret = p;
	return 0;
}

int host_ssh_place(struct co *co, struct host *h, struct ssh_place *ret, struct err *err)
{
	struct ssh_place p = {0};

	if (host_report(co, h, &p.report, err) < 0)
		return -1;
	/* in the clouds what is off has no address, and that it is off says more */
	if (p.report.state == STATE_RUNNING && complete_place(h, &p, err) < 0)
		return -1;
	*ret = p;
	return 0;
}

void host_drop_ssh(struct co *co, struct host *h)
{
	ssh_close(co, take(h->ssh));
}

/* Where a machine is while its SSH is waited for. Many machines wait, each tries every other
 * second: the provider is asked for all of them, every ten. */
struct known_place {
	struct ssh_place place;
	bool known;
	bool asked_before;
	uint64_t turn; /* of those ten seconds, which all who wait have in common */
};

static void forget_place(struct known_place *k)
{
	ssh_place_finish(&k->place);
	k->known = false;
}

static int find_place(struct co *co, struct host *h, struct known_place *k, struct err *err)
{
	unsigned gather_ms = k->asked_before ? PLACE_GATHER_MS : 0;

	if (k->known && k->turn == loop_now(co_loop(co)) / PLACE_OLD_MS)
		return 0;
	forget_place(k);
	k->asked_before = true;
	if (host_location(co, h, gather_ms, &k->place.report, err) < 0 ||
		complete_place(h, &k->place, err) < 0)
		return -1;
	k->known = true;
	k->turn = loop_now(co_loop(co)) / PLACE_OLD_MS;
	return 0;
}

static int try_ssh(struct co *co, struct host *h, struct known_place *k, struct err *err)
{
	if (find_place(co, h, k, err) < 0)
		return -1;
	if (ssh_open(co, &k->place.target, &h->ssh, err) == 0)
		return 0;
	host_forget_location(h);
	return -1;
}

static bool may_answer_yet(struct co *co, const struct err *e)
{
	return e->code == ERR_UNAVAILABLE || e->code == ERR_NOT_RUNNING ||
	       e->code == ERR_THROTTLED || e->retryable ||
	       (e->code == ERR_TIMEOUT && co_deadline_left(co) > 0);
}

static int wait_ssh(
	struct co *co, struct host *h, struct known_place *k, struct err *last, struct err *err)
{
	uint64_t pause = RETRY_FIRST_MS, denied_since = 0;

	for (;;) {
		_cleanup_err_ struct err e = ERR_INIT;

		if (try_ssh(co, h, k, &e) == 0)
			return 0;
		uint64_t now = loop_now(co_loop(co));
		bool again = may_answer_yet(co, &e);
		if (e.code == ERR_AUTH) {
			if (!denied_since)
				denied_since = now;
			again = now - denied_since < AUTH_GRACE_MS;
			pause = RETRY_DENIED_MS;
		}
		if (!again)
			return err_move(err, &e);
		log_debug("(%s) SSH: %s", h->rec->name, err_msg(&e));
		app_status(h->app, h->rec->name, "waiting for SSH: %s", err_msg(&e));
		err_move(last, &e);
		int rc = co_sleep(co, pause);
		if (rc < 0)
			return co_err(rc, err);
		pause = MIN(pause * 2, (uint64_t)RETRY_MAX_MS);
	}
}

int host_wait_ssh(struct co *co, struct host *h, uint64_t timeout_ms, struct err *err)
{
	_cleanup_err_ struct err last = ERR_INIT;
	struct known_place k = {0};
	struct co_deadline d;

	if (h->ssh)
		return 0;
	driver_deadline_begin(co, &d, h->driver, host_patience(h, timeout_ms));
	int rc = wait_ssh(co, h, &k, &last, err);
	co_deadline_end(co, &d);
	forget_place(&k);
	if (rc < 0 && err->code == ERR_TIMEOUT)
		return err_set(err, ERR_TIMEOUT,
			"Too many retries waiting for SSH to be available.  Last error: %s",
			last.code ? err_msg(&last) : "timed out");
	return rc;
}

/* A certificate that was just made is not valid yet for a clock that is late. */
static void check_clock(struct host *h)
{
	long long off = (long long)h->system.clock - (long long)time(NULL);

	h->clock_off = h->system.clock && llabs(off) > CLOCK_OFF_S ? off : 0;
	if (h->clock_off)
		log_warn("(%s) the host's clock is %lld seconds %s: certificates may not be valid "
			 "there; set it, for example with \"timedatectl set-ntp true\"",
			h->rec->name, llabs(off), off < 0 ? "slow" : "fast");
}

int host_detect(struct co *co, struct host *h, struct err *err)
{
	log_info("Waiting for SSH to be available...");
	if (host_wait_ssh(co, h, 180000, err) < 0)
		return -1;
	log_info("Detecting the provisioner...");
	app_status(h->app, h->rec->name, "detecting the system");
	struct provision_host sys = {0};
	if (provision_detect(co, h->ssh, &sys, err) < 0)
		return -1;
	if (h->detected)
		provision_host_finish(&h->system);
	h->system = sys;
	h->detected = true;
	check_clock(h);
	return 0;
}
