#include "create_many.h"

#include "mem.h"
#include "outcomes.h"

#include <string.h>

#define FLOWS_PER_WORKER 32u /* a machine being made waits, most of the time */
#define FLOWS_MAX 256u

struct one {
	bool begun;
	struct create_end end;
	uint64_t ms;
	struct err err;
};

struct run {
	const struct create_many *what;
	struct one *all;
};

void create_advise(const char *name, enum create_left left, struct err *err)
{
	_cleanup_free_ char *why = xstrdup(err_msg(err));

	if (left == CREATE_LEFT_REMOVED)
		err_set(err, err->code, "%s\nThe machine was removed again.", why);
	else if (left == CREATE_LEFT_HALF)
		err_set(err, err->code,
			"%s\nThe machine is kept: \"docker-machine create --resume %s\" goes on "
			"where it ended, \"docker-machine rm %s\" removes it.",
			why, name, name);
}

static void make_one(struct co *co, size_t i, void *arg)
{
	struct run *r = arg;
	struct one *one = &r->all[i];
	struct cli *cli = r->what->cli;
	const char *name = r->what->names->items[i];
	uint64_t began = loop_now(cli->app.loop);

	co_tag(co, name);
	one->begun = true;
	one->end.remove_failed = r->what->remove_failed;
	progress_start(cli->progress, name, "prepare");
	r->what->make(co, cli, name, &one->end, &one->err);
	one->ms = loop_now(cli->app.loop) - began;
	progress_end(cli->progress, name, &one->err);
}

/* [1]: by an interrupt */
static const char *const failures[][2] = {
	[CREATE_LEFT_NOTHING] = {"failed, nothing left", "interrupted, nothing left"},
	[CREATE_LEFT_HALF] = {"failed, half-made", "interrupted, half-made"},
	[CREATE_LEFT_REMOVED] = {"failed, removed", "failed, removed"},
	[CREATE_LEFT_WHOLE] = {"created, but not all done", "created, but not all done"},
	[CREATE_LEFT_OTHERS] = {"failed, not touched", "interrupted, not touched"},
};

static const char *outcome_text(const struct one *one)
{
	if (!one->begun)
		return "not begun";
	if (one->err.code == ERR_NONE)
		return "created";
	return failures[one->end.left][one->err.code == ERR_CANCELED];
}

/* One text for one machine's advice: how to go on with what is half-made. */
static const char *advice(const struct run *r)
{
	for (size_t i = 0; i < r->what->names->n; i++)
		if (r->all[i].err.code && r->all[i].end.left == CREATE_LEFT_HALF)
			return "What is half-made is kept: \"docker-machine create --resume NAME\" "
			       "goes on where it ended, \"docker-machine rm NAME\" removes it.\n";
	return "";
}

static void print_table(const struct run *r)
{
	size_t n = r->what->names->n;
	struct outcome *rows = xcalloc(n, sizeof(*rows));

	for (size_t i = 0; i < n; i++)
		rows[i] = (struct outcome){outcome_text(&r->all[i]), r->all[i].ms, &r->all[i].err};
	outcomes_print(r->what->names, rows, advice(r));
	free(rows);
}

/* How all of it came out: the first failure's code, and the counts in words. */
static int sum_up(const struct run *r, struct err *err)
{
	size_t n = r->what->names->n, missing = 0, unfinished = 0;
	enum err_code code = ERR_NONE;

	for (size_t i = 0; i < n; i++) {
		const struct one *one = &r->all[i];
		if (one->begun && !one->err.code)
			continue;
		bool whole = one->begun && one->end.left == CREATE_LEFT_WHOLE;
		unfinished += whole;
		missing += !whole;
		code = code ? code : one->begun ? one->err.code : ERR_CANCELED;
	}
	if (missing)
		return err_set(err, code, "Error creating machines: %zu of %zu were not created",
			missing, n);
	if (unfinished)
		return err_set(err, code,
			"Error creating machines: of %zu, %zu are created, but not all is done", n,
			unfinished);
	return 0;
}

/* That of the first that is there; whoever resumes machines of several drivers at once says how
 * many. */
static int usual_driver(
	const struct cli *cli, const struct strv *names, char **ret, struct err *err)
{
	if (!parsed_given(&cli->args, "resume")) {
		*ret = xstrdup(parsed_str(&cli->args, "driver"));
		return 0;
	}
	strv_foreach (name, names) {
		_cleanup_record_ struct record *rec = NULL;
		_cleanup_err_ struct err e = ERR_INIT;

		if (record_load(cli->app.store, name, &rec, &e) == 0) {
			err_finish(err);
			*ret = xstrdup(record_driver_name(rec));
			return 0;
		}
		if (err->code == ERR_NONE)
			err_move(err, &e);
	}
	return -1;
}

/* As many at once as the driver says, or as keep its workers busy. */
static int usual_parallel(
	struct co *co, struct cli *cli, const struct strv *names, unsigned *ret, struct err *err)
{
	_cleanup_free_ char *name = NULL;
	struct driver *d;

	if (usual_driver(cli, names, &name, err) < 0)
		return -1;
	if (driver_set_get(co, cli->app.drivers, name, &d, err) < 0)
		return -1;
	const struct driver_info *info = driver_info(d);
	*ret = info->machines_at_once ? info->machines_at_once
				      : MIN(FLOWS_MAX, info->max_workers * FLOWS_PER_WORKER);
	return 0;
}

int create_many(struct co *co, const struct create_many *what, struct err *err)
{
	size_t n = what->names->n;
	struct run r = {what, NULL};
	unsigned parallel;

	if (usual_parallel(co, what->cli, what->names, &parallel, err) < 0 ||
		cli_parallel(what->cli, parallel, &parallel, err) < 0)
		return -1;
	r.all = xcalloc(n, sizeof(struct one));
	progress_name_lines(what->cli->progress);
	cli_begin(what->cli, n);
	co_each(co, n, parallel, make_one, &r);
	print_table(&r);
	int rc = sum_up(&r, err);
	for (size_t i = 0; i < n; i++)
		err_finish(&r.all[i].err);
	free(r.all);
	return rc;
}
