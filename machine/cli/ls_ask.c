/*
 * Asking about many machines: one batched question per driver; as each answer comes, that machine's
 * engine is asked by one of a bounded set of coroutines. Each machine has its own deadline, so one
 * that hangs delays nobody else.
 */
#include "ls.h"

#include "mem.h"
#include "record_engine.h"
#include "registry.h"

#include <errno.h>
#include <string.h>

#define ENGINES_AT_ONCE 128u
#define TIMEOUT_MAX_S (365 * 24 * 3600)

struct asking {
	struct app *app;
	struct rows *rows;
	uint64_t began, ends; /* loop time */
	bool versions;
	struct co *waiter;
	size_t *queue; /* rows whose engine is to be asked */
	size_t n_queue, next;
	unsigned workers;
};

struct driver_rows { /* the rows of one driver */
	struct asking *a;
	const char *name;
	size_t *rows;
	size_t n;
	struct machine_report *reports;
};

static void set_error(struct row *r, const char *text)
{
	free(r->error);
	r->error = xstrdup(text);
}

static void note_time(const struct asking *a, struct row *r)
{
	r->response_ms = MIN(loop_now(a->app->loop), a->ends) - a->began;
}

static void ask_engine(struct co *co, struct asking *a, struct row *r)
{
	_cleanup_err_ struct err err = ERR_INIT;
	uint64_t now = loop_now(a->app->loop);
	uint64_t left = a->ends > now ? a->ends - now : 1;
	struct co_deadline d;

	co_deadline_begin(co, &d, left);
	int rc = record_engine_version(
		co, a->app->store, r->rec, r->report.url, left, &r->version, &err);
	co_deadline_end(co, &d);
	if (rc < 0 && err.code == ERR_TIMEOUT)
		r->timed_out = true;
	else if (rc < 0) {
		_cleanup_free_ char *text =
			xasprintf("Unable to query docker version: %s", err_msg(&err));
		set_error(r, text);
	}
	note_time(a, r);
}

static void engine_worker(struct co *co, void *arg)
{
	struct asking *a = arg;

	while (a->next < a->n_queue)
		ask_engine(co, a, &a->rows->items[a->queue[a->next++]]);
	if (--a->workers == 0)
		co_wake(a->waiter);
}

static void enqueue(struct asking *a, size_t row)
{
	a->queue[a->n_queue++] = row;
	if (a->workers < ENGINES_AT_ONCE) {
		a->workers++;
		co_spawn(a->app->loop, "engine version", engine_worker, a);
	}
}

static void on_report(void *userdata, size_t i)
{
	struct driver_rows *d = userdata;
	struct row *r = &d->a->rows->items[d->rows[i]];
	const struct machine_report *p = &r->report;

	r->report = d->reports[i];
	r->reported = true;
	note_time(d->a, r);
	if (p->failed) {
		if (p->error.code == ERR_TIMEOUT)
			r->timed_out = true;
		else
			set_error(r, err_msg(&p->error));
		return;
	}
	if (p->state == STATE_ERROR && p->message && *p->message)
		set_error(r, p->message);
	if (d->a->versions && p->url && *p->url && (p->state == STATE_RUNNING || p->url_always))
		enqueue(d->a, d->rows[i]);
}

static void set_missing(struct row *r, const char *driver)
{
	_cleanup_free_ char *text = xasprintf(
		"Driver \"%s\" not found. Do you have the plugin binary accessible in your PATH?",
		driver);

	r->driver_missing = true;
	set_error(r, text);
}

static void fail_all(struct driver_rows *d, const struct err *e)
{
	for (size_t i = 0; i < d->n; i++) {
		struct row *r = &d->a->rows->items[d->rows[i]];
		if (r->reported)
			continue;
		note_time(d->a, r);
		if (e->code == ERR_TIMEOUT)
			r->timed_out = true;
		else if (e->code == ERR_NOT_FOUND)
			set_missing(r, d->name);
		else
			set_error(r, err_msg(e));
	}
}

static void ask_driver(struct co *co, size_t i, void *arg)
{
	struct driver_rows *d = (struct driver_rows *)arg + i;
	struct app *app = d->a->app;
	_cleanup_err_ struct err err = ERR_INIT;
	struct machine_ref *refs = xcalloc(d->n, sizeof(*refs));
	char **dirs = xcalloc(d->n, sizeof(*dirs));
	uint64_t now = loop_now(app->loop);
	struct driver *driver;
	struct co_deadline limit;

	d->reports = xcalloc(d->n, sizeof(*d->reports));
	co_deadline_begin(co, &limit, d->a->ends > now ? d->a->ends - now : 1);
	int rc = driver_set_get(co, app->drivers, d->name, &driver, &err);
	if (rc == 0) {
		for (size_t k = 0; k < d->n; k++)
			refs[k] =
				record_ref(app->store, d->a->rows->items[d->rows[k]].rec, &dirs[k]);
		rc = driver_states(co, driver, refs, d->n, d->reports, on_report, d, &err);
	}
	co_deadline_end(co, &limit);
	if (rc < 0)
		fail_all(d, &err);
	for (size_t k = 0; k < d->n; k++)
		free(dirs[k]);
	free(dirs);
	free(refs);
	free(d->reports);
}

/* Groups the loaded rows by driver. Few drivers: a linear search is enough. */
static size_t group(const struct rows *rows, struct asking *a, struct driver_rows **ret)
{
	struct driver_rows *list = NULL;
	size_t n = 0;

	for (size_t i = 0; i < rows->n; i++) {
		const struct row *r = &rows->items[i];
		if (!r->rec)
			continue;
		const char *name = record_driver_name(r->rec);
		size_t k = 0;
		while (k < n && !streq(list[k].name, name))
			k++;
		if (k == n) {
			list = xrealloc(list, n + 1, sizeof(*list));
			list[n++] = (struct driver_rows){
				a, name, xcalloc(rows->n, sizeof(size_t)), 0, NULL};
		}
		list[k].rows[list[k].n++] = i;
	}
	*ret = list;
	return n;
}

static void groups_free(struct driver_rows *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(list[i].rows);
	free(list);
}

void rows_find_drivers(struct rows *rows)
{
	struct driver_rows *list;
	size_t n = group(rows, NULL, &list);

	for (size_t i = 0; i < n; i++) {
		_cleanup_err_ struct err err = ERR_INIT;
		struct registry_entry found = {0};
		if (registry_find(list[i].name, &found, &err) == 0) {
			registry_entry_finish(&found);
			continue;
		}
		for (size_t k = 0; k < list[i].n; k++)
			set_missing(&rows->items[list[i].rows[k]], list[i].name);
	}
	groups_free(list, n);
}

uint64_t rows_timeout_ms(const struct cli *cli)
{
	int64_t seconds = parsed_int(&cli->args, "timeout");

	return (uint64_t)MAX(MIN(seconds, (int64_t)TIMEOUT_MAX_S), (int64_t)1) * 1000;
}

int rows_ask(struct co *co, struct app *app, struct rows *rows, uint64_t timeout_ms, bool versions,
	struct err *err)
{
	struct asking a = {
		.app = app,
		.rows = rows,
		.began = loop_now(app->loop),
		.ends = loop_now(app->loop) + timeout_ms,
		.versions = versions,
		.waiter = co,
		.queue = xcalloc(rows->n + 1, sizeof(size_t)),
	};
	struct driver_rows *list;
	size_t n = group(rows, &a, &list);

	int r = co_each(co, n, 0, ask_driver, list);
	while (a.workers) { /* they end by themselves, at their deadlines or when cancelled */
		co_mask(co);
		co_wait(co);
		co_unmask(co);
	}
	groups_free(list, n);
	free(a.queue);
	return r < 0 || co_cancelled(co) ? co_err(r < 0 ? r : -ECANCELED, err) : 0;
}
