/* What a machine's driver reports: asking once, and waiting for a state. */
#include "host_internal.h"

#include "log.h"
#include "mem.h"
#include "throttle.h"

#include <string.h>

#define POLL_MS 3000u
#define STOPPED_LOOKS 3u /* a machine that restarts itself is off for a moment */
#define SLOW_FACTOR 5u
#define GATHER_MS 20u  /* a poll waits so long for those of other machines */
#define SEEN_MS 10000u /* a machine that runs stays where it is for so long */

unsigned host_poll_ms(unsigned wanted)
{
	const char *env = getenv("MACHINE_POLL_MS"); /* so that tests need not wait */

	if (env && *env) {
		long ms = strtol(env, NULL, 10);
		if (ms > 0 && ms < 60000)
			return (unsigned)ms;
	}
	return wanted ? wanted : POLL_MS;
}

uint64_t host_patience(const struct host *h, uint64_t ms)
{
	return h->slow ? ms * SLOW_FACTOR : ms;
}

/* What is asked about a machine, and how. */
struct question {
	const char *about;
	int (*ask)(struct co *co, struct driver *d, const struct machine_ref *m, unsigned gather_ms,
		struct machine_report *ret, struct err *err);
	unsigned gather_ms;
};

static int ask(struct co *co, struct host *h, const struct question *q, struct machine_report *ret,
	struct err *err)
{
	_cleanup_free_ char *dir = NULL;
	struct machine_ref ref = record_ref(h->app->store, h->rec, &dir);

	if (q->ask(co, h->driver, &ref, q->gather_ms, ret, err) < 0)
		return host_blame(err, q->about, h->rec->name, record_driver_name(h->rec));
	h->slow = ret->slow;
	host_forget_location(h);
	if (ret->state == STATE_RUNNING) {
		h->seen = machine_report_copy(ret);
		h->seen_ms = loop_now(co_loop(co));
	}
	return 0;
}

void host_forget_location(struct host *h)
{
	machine_report_finish(&h->seen);
}

/* For who asks once and not in a loop: a provider that asks to slow down is asked again, as an
 * operation would be. A command that does nothing else tells its user at once. */
static int ask_patiently(struct co *co, struct host *h, const struct question *q,
	struct machine_report *ret, struct err *err)
{
	struct throttle_patience patience = {1, loop_now(co_loop(co))};
	bool patience_begins = true;

	for (;;) {
		_cleanup_err_ struct err e = ERR_INIT;

		if (ask(co, h, q, ret, &e) == 0)
			return 0;
		if (e.code != ERR_THROTTLED || h->app->only_asks ||
			!throttle_again(&patience, loop_now(co_loop(co)), e.retry_after_ms,
				co_deadline_left(co)))
			return err_move(err, &e);
		log_debug("(%s) %s; asking again", h->rec->name, err_msg(&e));
		if (patience_begins)
			log_info("(%s) The provider asks to slow down; waiting...", h->rec->name);
		patience_begins = false;
		app_status(h->app, h->rec->name, "waiting: the provider asks to slow down");
	}
}

int host_report(struct co *co, struct host *h, struct machine_report *ret, struct err *err)
{
	const struct question q = {"state of", driver_state, 0};

	return ask_patiently(co, h, &q, ret, err);
}

int host_location(struct co *co, struct host *h, unsigned gather_ms, struct machine_report *ret,
	struct err *err)
{
	const struct question q = {"address of", driver_address, gather_ms};

	if (h->seen.state == STATE_RUNNING && loop_now(co_loop(co)) - h->seen_ms < SEEN_MS) {
		*ret = machine_report_copy(&h->seen);
		return 0;
	}
	return ask_patiently(co, h, &q, ret, err);
}

int report_url(const struct machine_report *r, char **ret, struct err *err)
{
	if (!r->url_always && !r->unprobed && r->state != STATE_RUNNING)
		return err_set(err, ERR_NOT_RUNNING, "Host is not running");
	if (!r->url || !*r->url)
		return err_set(err, ERR_NOT_RUNNING, "the driver knows no engine URL");
	*ret = xstrdup(r->url);
	return 0;
}

int host_url(struct co *co, struct host *h, char **ret, struct err *err)
{
	struct machine_report r = {0};

	if (host_report(co, h, &r, err) < 0)
		return -1;
	int rc = report_url(&r, ret, err);
	machine_report_finish(&r);
	return rc;
}

/* What a wait has seen so far. */
struct looks {
	bool started;
	unsigned stopped; /* in a row, after it had started */
};

/* Can a machine in state `now` still come to state `want` by itself? One that is told to start may
 * count as stopped for a while; one that was on its way and is off now has ended. */
static bool may_become(enum machine_state now, enum machine_state want, struct looks *l)
{
	l->started = l->started || now == STATE_STARTING;
	l->stopped = l->started && now == STATE_STOPPED ? l->stopped + 1 : 0;
	if (now == STATE_ERROR)
		return want == STATE_ERROR;
	return want != STATE_RUNNING || l->stopped < STOPPED_LOOKS;
}

/* At least ms long (or almost, for who woke a little late), until a time that all who poll as often
 * have in common, so that one request serves them. */
static int sleep_to_poll(struct co *co, unsigned ms)
{
	unsigned left = ms - (unsigned)(loop_now(co_loop(co)) % ms);

	return co_sleep(co, left < ms - ms / 20 ? left + ms : left);
}

/* There is no report now; there may be one the next time. A driver that is late with it is asked
 * again while there is time. */
static bool ask_later(const struct err *e)
{
	return e->code == ERR_UNAVAILABLE || e->code == ERR_THROTTLED || e->code == ERR_TIMEOUT ||
	       e->retryable;
}

int host_poll_state(struct co *co, struct host *h, enum machine_state want, unsigned ms,
	bool polling, struct err *last, struct err *err)
{
	struct looks seen = {0};

	for (;; polling = true) {
		const struct question q = {"state of", driver_state, polling ? GATHER_MS : 0};
		_cleanup_err_ struct err e = ERR_INIT;
		struct machine_report r = {0};

		if (ask(co, h, &q, &r, &e) == 0) {
			enum machine_state now = r.state;
			err_finish(last);
			_cleanup_free_ char *why = xstrdup(r.message);
			machine_report_finish(&r);
			if (now == want)
				return 0;
			if (!may_become(now, want, &seen))
				return err_set(err, ERR_INTERNAL,
					"machine \"%s\" is in state %s%s%s (driver \"%s\")",
					h->rec->name, machine_state_name(now),
					why && *why ? ": " : "", why ? why : "",
					record_driver_name(h->rec));
			log_debug("(%s) state %s, waiting for %s", h->rec->name,
				machine_state_name(now), machine_state_name(want));
			app_status(h->app, h->rec->name, "waiting for the state %s, it is %s",
				machine_state_name(want), machine_state_name(now));
		} else if (!ask_later(&e)) {
			return err_move(err, &e);
		}
		if (e.code)
			log_debug("(%s) %s", h->rec->name, err_msg(&e));
		if (e.code && (!last->code || co_deadline_left(co) > 0)) /* else we cut it short */
			err_move(last, &e);
		/* who is told to ask later does; the pause of a whole driver is waited for there */
		unsigned pause = host_poll_ms(ms);
		int rc = e.code != ERR_THROTTLED && e.retry_after_ms > pause
				 ? co_sleep(co, e.retry_after_ms)
				 : sleep_to_poll(co, pause);
		if (rc < 0)
			return co_err(rc, err);
	}
}

int host_tell_last(struct err *err, const char *text)
{
	_cleanup_free_ char *msg = xstrdup(err_msg(err));

	if (err->code != ERR_TIMEOUT || !text || !*text || strstr(msg, text))
		return -1;
	return err_set(err, ERR_TIMEOUT, "%s: %s", msg, text);
}

int host_wait_state(struct co *co, struct host *h, enum machine_state want, uint64_t timeout_ms,
	struct err *err)
{
	_cleanup_err_ struct err last = ERR_INIT;
	struct co_deadline d;

	driver_deadline_begin(co, &d, h->driver, timeout_ms);
	int rc = host_poll_state(co, h, want, 0, false, &last, err);
	bool too_long = co_deadline_left(co) == 0; /* else it is the driver that was too slow */
	co_deadline_end(co, &d);
	if (rc == 0 || err->code != ERR_TIMEOUT || !too_long)
		return rc;
	err_set(err, ERR_TIMEOUT, "machine \"%s\" was not %s within %llu s (driver \"%s\")",
		h->rec->name, machine_state_name(want), (unsigned long long)(timeout_ms / 1000),
		record_driver_name(h->rec));
	return host_tell_last(err, last.code ? err_msg(&last) : NULL);
}
