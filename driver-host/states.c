/*
 * The batched question. Machines are sorted by what the driver groups by, cut into batches, and
 * each batch is a coroutine that asks one worker; the pool bounds how many ask at once, so a single
 * batch needs a single process. A batch over which the driver crashes is asked again in halves, so
 * that a machine that its driver cannot bear hides no other. Reports with a probe are handed to a
 * set of probing coroutines as soon as their batch is answered: a slow batch does not hold up the
 * connects of another.
 */
#include "driver_internal.h"

#include "co_group.h"
#include "frame.h"
#include "loop.h"
#include "mem.h"
#include "report.h"
#include "tcp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PROBES_AT_ONCE 256u
#define BATCHES_AT_ONCE 64u
#define BATCH_BYTES (FRAME_MAX_BODY / 2)
#define SPLITS_MAX 32u    /* of one question's batches, in halves */
#define SPLITS_IN_VAIN 6u /* before any answer: the driver is broken, not a machine */

struct item {
	size_t index; /* in refs and reports */
	char *group;
	struct probe probe;
	bool final;
};

struct batch {
	size_t first, n; /* in items */
};

struct question {
	struct driver *driver;
	const struct machine_ref *refs;
	struct machine_report *reports;
	void (*on_report)(void *ud, size_t i);
	void *ud;
	struct item *items;
	size_t n;
	bool no_probes;
	struct batch *batches;
	size_t n_batches;
	unsigned splits;
	bool answered;  /* a batch, at least */
	size_t *probes; /* items whose probe has not begun: a queue */
	size_t first_probe, n_probes;
	struct co_group probers;
};

static void settle(struct question *q, struct item *item)
{
	item->final = true;
	if (q->on_report)
		q->on_report(q->ud, item->index);
}

static void fail(struct question *q, struct item *item, const struct err *err)
{
	report_fail(&q->reports[item->index], err);
	settle(q, item);
}

/* --- cutting into batches --- */

static char *group_of(const struct json *names, const struct json *state)
{
	struct buf key = BUF_INIT;

	for (size_t i = 0; names && i < names->n; i++) {
		const struct json *value = json_get(state, json_str(names->items[i], ""));

		if (value)
			json_write(value, JSON_COMPACT, &key);
		buf_addc(&key, '\n');
	}
	return buf_steal(&key);
}

static int by_group(const void *a, const void *b)
{
	const struct item *x = a, *y = b;
	int r = strcmp(x->group, y->group);

	return r ? r : x->index < y->index ? -1 : 1;
}

static void make_items(struct question *q)
{
	const struct json *names = q->driver->info.group_by;
	size_t n = 0;

	q->items = xcalloc(q->n, sizeof(*q->items));
	for (size_t i = 0; i < q->n; i++) {
		_cleanup_err_ struct err err = ERR_INIT;
		struct item *item = &q->items[n];

		item->index = i;
		if (q->refs[i].state && driver_state_check(q->refs[i].state, &err) < 0) {
			fail(q, item, &err); /* no request could carry it */
			continue;
		}
		item->group = group_of(names, q->refs[i].state);
		item->final = false;
		n++;
	}
	q->n = n;
	if (names)
		qsort(q->items, q->n, sizeof(*q->items), by_group);
}

/* Roughly what a machine adds to a request; its state makes the difference. */
static size_t size_of(const struct machine_ref *ref)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	driver_write_ref(&b, ref);
	return b.len;
}

static void make_batches(struct question *q)
{
	struct batch *b = NULL;
	size_t bytes = 0;

	for (size_t i = 0; i < q->n; i++) {
		const struct item *item = &q->items[i];
		size_t size = size_of(&q->refs[item->index]);

		if (!b || b->n == q->driver->info.states_batch || bytes > BATCH_BYTES ||
			!streq(item->group, q->items[b->first].group)) {
			q->batches = xrealloc(q->batches, q->n_batches + 1, sizeof(*q->batches));
			b = &q->batches[q->n_batches++];
			*b = (struct batch){.first = i};
			bytes = 0;
		}
		bytes += size;
		b->n++;
	}
}

/* --- probes --- */

static void probe(struct co *co, struct question *q, struct item *item)
{
	_cleanup_err_ struct err err = ERR_INIT;
	const struct probe *p = &item->probe;
	struct machine_report *report = &q->reports[item->index];
	int r = tcp_probe(co, p->host, p->port, p->greeting, p->timeout_ms, &err);

	if (r < 0 && co_interrupted(co) < 0) {
		err_finish(&err);
		co_err(co_interrupted(co), &err);
		fail(q, item, &err);
		return;
	}
	report->state = r < 0 ? p->closed : p->open;
	/* what the driver says is about one that is closed */
	if (r == 0 || !*report->message) {
		free(report->message);
		report->message = xstrdup(r < 0 ? err_msg(&err) : "");
	}
	settle(q, item);
}

static void run_prober(struct co *co, void *arg)
{
	struct question *q = arg;

	while (q->first_probe < q->n_probes && co_interrupted(co) == 0)
		probe(co, q, &q->items[q->probes[q->first_probe++]]);
}

static void add_probe(struct question *q, const struct item *item)
{
	q->probes[q->n_probes++] = (size_t)(item - q->items);
	if (q->probers.n < PROBES_AT_ONCE)
		co_group_spawn(&q->probers, "probe", run_prober, q);
}

/* --- batches --- */

/* Only who was told to stop says so, and we told it past our deadline: there is no report, and
 * finish() has the reason. */
static bool was_stopped(struct co *co, const struct machine_report *r)
{
	return r->error.code == ERR_CANCELED && co_interrupted(co) < 0;
}

/* began: when it was sent */
static void take_answer(
	struct co *co, struct question *q, struct batch b, const struct json *list, uint64_t began)
{
	bool throttled = false;
	uint32_t told_ms = 0;

	q->answered = true;
	for (size_t i = 0; i < b.n; i++) {
		struct item *item = &q->items[b.first + i];

		report_read(json_at(list, i), &q->reports[item->index], &item->probe);
		if (was_stopped(co, &q->reports[item->index])) {
			machine_report_finish(&q->reports[item->index]);
			continue;
		}
		const struct err *e = &q->reports[item->index].error;
		throttled = throttled || e->code == ERR_THROTTLED;
		told_ms = e->code == ERR_THROTTLED ? MAX(told_ms, e->retry_after_ms) : told_ms;
		if (item->probe.host && !q->no_probes) {
			add_probe(q, item);
			continue;
		}
		q->reports[item->index].unprobed = item->probe.host != NULL;
		settle(q, item);
	}
	if (throttled)
		pool_slow(q->driver->pool, began, told_ms);
	else
		pool_ease(q->driver->pool, began);
}

static int ask_once(
	struct co *co, struct question *q, struct batch b, enum repeat repeat, struct err *err)
{
	_cleanup_buf_ struct buf params = BUF_INIT;
	_cleanup_json_ struct json *result = NULL;
	struct driver_observer about = {
		.machine = b.n == 1 ? q->refs[q->items[b.first].index].name : NULL};
	uint64_t began;
	const struct json *list;

	for (size_t i = 0; i < b.n; i++) {
		buf_adds(&params, i ? "," : "{\"machines\":[");
		driver_write_ref(&params, &q->refs[q->items[b.first + i].index]);
	}
	buf_adds(&params, "]}");
	if (driver_call(co, q->driver, "states", &params, &about, repeat, &began, &result, err) < 0)
		return -1;
	list = json_get(result, "machines");
	if (!json_is(list, JSON_ARRAY) || list->n != b.n) {
		err_set(err, ERR_PROTOCOL, "%u reports for %zu machines (S1)",
			json_is(list, JSON_ARRAY) ? list->n : 0, b.n);
		return driver_bad_answer(q->driver, "states", err);
	}
	take_answer(co, q, b, list, began);
	return 0;
}

static bool worth_halving(const struct question *q, struct batch b, const struct err *err)
{
	return b.n > 1 && (err->code == ERR_CRASHED || err->code == ERR_PROTOCOL) &&
	       q->splits < (q->answered ? SPLITS_MAX : SPLITS_IN_VAIN);
}

/* A crash may be an accident. Of a half it is none. */
static void ask(struct co *co, struct question *q, struct batch b, enum repeat repeat)
{
	_cleanup_err_ struct err err = ERR_INIT;

	if (ask_once(co, q, b, repeat, &err) == 0)
		return;
	if (worth_halving(q, b, &err)) {
		size_t half = b.n / 2;

		q->splits++;
		ask(co, q, (struct batch){b.first, half}, REPEAT_THROTTLED);
		ask(co, q, (struct batch){b.first + half, b.n - half}, REPEAT_THROTTLED);
		return;
	}
	for (size_t i = 0; i < b.n; i++)
		fail(q, &q->items[b.first + i], &err);
}

static void run_batch(struct co *co, size_t i, void *arg)
{
	struct question *q = arg;

	ask(co, q, q->batches[i], REPEAT_FAILED);
}

/* Whoever has no report by now gets the reason of the whole. */
static int finish(struct question *q, int reason, struct err *err)
{
	int r = reason < 0 ? co_err(reason, err) : 0;

	for (size_t i = 0; i < q->n; i++) {
		if (!q->items[i].final)
			fail(q, &q->items[i], err);
		free(q->items[i].group);
		free(q->items[i].probe.host);
		free(q->items[i].probe.greeting);
	}
	free(q->batches);
	free(q->items);
	free(q->probes);
	return r;
}

static int run(struct co *co, struct question *q, struct err *err)
{
	int r;

	make_items(q);
	make_batches(q);
	q->probes = xcalloc(q->n, sizeof(*q->probes));
	co_group_init(&q->probers, co);
	r = co_each(co, q->n_batches, BATCHES_AT_ONCE, run_batch, q);
	co_group_finish(&q->probers);
	if (r == 0)
		r = co_interrupted(co);
	return finish(q, r, err);
}

int driver_ask(struct co *co, struct driver *d, const struct machine_ref *refs, size_t n,
	bool no_probes, struct machine_report *reports, void (*on_report)(void *ud, size_t i),
	void *ud, struct err *err)
{
	struct question q = {
		.driver = d,
		.refs = refs,
		.reports = reports,
		.on_report = on_report,
		.ud = ud,
		.n = n,
		.no_probes = no_probes,
	};

	return n ? run(co, &q, err) : 0;
}

int driver_states(struct co *co, struct driver *d, const struct machine_ref *refs, size_t n,
	struct machine_report *reports, void (*on_report)(void *ud, size_t i), void *ud,
	struct err *err)
{
	return driver_ask(co, d, refs, n, false, reports, on_report, ud, err);
}
