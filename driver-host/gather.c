/*
 * Questions about single machines that come at about the same time are asked together: many flows
 * that wait for their machines cost one request per poll, not one each.
 *
 * The first that asks starts a coroutine, which waits a moment for others, takes whoever has come,
 * and hands each its report as soon as that is final. Who cannot wait any longer leaves. When
 * nobody waits any more, whatever of the request is still under way is cancelled; the driver is not
 * closed before that has ended.
 */
#include "driver_internal.h"

#include "loop.h"
#include "mem.h"
#include "report.h"

#include <errno.h>
#include <stdlib.h>

/* One who asks; lives on his stack. */
struct asker {
	struct co *co;
	bool final;
	struct machine_report report;
};

struct gathered {
	struct asker *asker; /* NULL: has left */
	char *name, *id, *dir, *store_path;
	struct json *state;
};

struct gathering {
	struct driver *driver;
	struct gathering **place; /* where others find it while it is open; NULL: it has begun */
	bool no_probes;
	unsigned open_ms;
	struct co *co;
	struct gathered *items;
	size_t n;
	size_t waiting;
	struct machine_report *reports;
};

static void close_gathering(struct gathering *g)
{
	if (g->place)
		*g->place = NULL;
	g->place = NULL;
}

/* One waits no longer. */
static void drop_asker(struct gathering *g, size_t i)
{
	g->items[i].asker = NULL;
	if (--g->waiting > 0)
		return;
	close_gathering(g);
	co_cancel(g->co);
}

static void on_report(void *ud, size_t i)
{
	struct gathering *g = ud;
	struct asker *asker = g->items[i].asker;

	if (!asker)
		return;
	asker->report = g->reports[i];
	asker->final = true;
	g->reports[i] = (struct machine_report){0};
	drop_asker(g, i);
	co_wake(asker->co);
}

static void free_gathering(struct gathering *g)
{
	for (size_t i = 0; i < g->n; i++) {
		struct gathered *item = &g->items[i];

		machine_report_finish(&g->reports[i]);
		free(item->name);
		free(item->id);
		free(item->dir);
		free(item->store_path);
		json_free(item->state);
	}
	free(g->items);
	free(g->reports);
	free(g);
}

static void run_gathering(struct co *co, void *arg)
{
	struct gathering *g = arg;
	struct driver *d = g->driver;
	_cleanup_err_ struct err err = ERR_INIT;
	struct machine_ref *refs;
	struct co_deadline limit;

	co_tag(co, NULL); /* of all who ask */
	if (g->open_ms)
		co_sleep(co, g->open_ms);
	close_gathering(g);
	g->reports = xcalloc(g->n, sizeof(*g->reports));
	refs = xcalloc(g->n, sizeof(*refs));
	for (size_t i = 0; i < g->n; i++) {
		const struct gathered *item = &g->items[i];
		refs[i] = (struct machine_ref){
			item->name, item->id, item->dir, item->store_path, item->state};
	}
	co_deadline_begin(co, &limit, DRIVER_STATES_MS);
	if (!d->hasty) /* else somebody waits for nothing but this */
		pool_stops_deadline(d->pool, &limit);
	/* whatever becomes of it, each report is filled in */
	driver_ask(co, d, refs, g->n, g->no_probes, g->reports, on_report, g, &err);
	co_deadline_end(co, &limit);
	free(refs);
	free_gathering(g);
	d->gatherings--;
	if (d->closer)
		co_wake(d->closer);
}

static struct gathering *find_or_start(struct driver *d, bool no_probes, unsigned open_ms)
{
	struct gathering **place = &d->gathering[no_probes];
	struct gathering *g = *place;

	if (g)
		return g;
	g = *place = xcalloc(1, sizeof(*g));
	g->driver = d;
	g->place = place;
	g->no_probes = no_probes;
	g->open_ms = open_ms;
	d->gatherings++;
	g->co = co_spawn(d->loop, "states", run_gathering, g);
	return g;
}

static size_t join(struct gathering *g, struct asker *asker, const struct machine_ref *m)
{
	g->items = xrealloc(g->items, g->n + 1, sizeof(*g->items));
	g->items[g->n] = (struct gathered){
		.asker = asker,
		.name = xstrdup(m->name),
		.id = xstrdup(m->id),
		.dir = xstrdup(m->dir),
		.store_path = xstrdup(m->store_path),
		.state = m->state ? json_copy(m->state) : json_object(),
	};
	g->waiting++;
	return g->n++;
}

static int left_error(const struct driver *d, int reason, struct err *err)
{
	if (reason == -ETIMEDOUT)
		return err_set(err, ERR_TIMEOUT, "driver \"%s\" did not answer states in time",
			d->info.name);
	return co_err(reason, err);
}

static int ask_together(struct co *co, struct driver *d, const struct machine_ref *m,
	bool no_probes, unsigned open_ms, struct machine_report *ret, struct err *err)
{
	struct asker self = {.co = co};
	int r = co_interrupted(co);

	if (r < 0)
		return left_error(d, r, err);
	struct gathering *g = find_or_start(d, no_probes, open_ms);
	size_t i = join(g, &self, m);
	while (r == 0 && !self.final)
		r = co_wait(co);
	if (!self.final)
		drop_asker(g, i);
	if (r < 0)
		r = left_error(d, r, err);
	else if (self.report.failed)
		r = err_move(err, &self.report.error);
	if (r < 0)
		machine_report_finish(&self.report);
	else
		*ret = self.report;
	return r;
}

int driver_state(struct co *co, struct driver *d, const struct machine_ref *m, unsigned gather_ms,
	struct machine_report *ret, struct err *err)
{
	return ask_together(co, d, m, false, gather_ms, ret, err);
}

int driver_address(struct co *co, struct driver *d, const struct machine_ref *m, unsigned gather_ms,
	struct machine_report *ret, struct err *err)
{
	return ask_together(co, d, m, true, gather_ms, ret, err);
}

void driver_end_gatherings(struct co *co, struct driver *d)
{
	co_mask(co);
	d->closer = co;
	while (d->gatherings > 0)
		co_wait(co);
	co_unmask(co);
}
