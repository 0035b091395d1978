#include "create_many.h"

#include "buf.h"
#include "mem.h"
#include "output.h"
#include "tabwriter.h"

#include <string.h>

struct one {
	bool begun, kept, removed;
	uint64_t ms;
	struct err err;
};

struct run {
	const struct create_many *what;
	struct one *all;
};

/* Nobody has gone on with it since. */
static bool is_half_made(const struct cli *cli, const char *name)
{
	_cleanup_record_ struct record *rec = NULL;
	_cleanup_err_ struct err ignored = ERR_INIT;

	if (record_load(cli->app.store, name, &rec, &ignored) < 0)
		return true;
	return !record_is_complete(rec);
}

bool create_undo(struct co *co, struct cli *cli, const char *name, struct err *err)
{
	_cleanup_err_ struct err driver_err = ERR_INIT, e = ERR_INIT;
	_cleanup_free_ char *why = xstrdup(err_msg(err));

	if (err->code == ERR_CANCELED || co_cancelled(co) || !is_half_made(cli, name))
		return false;
	if (remove_machine(co, &cli->app, name, false, &driver_err, &e) == 0)
		return true;
	err_set(err, err->code, "%s\nRemoving it failed, too: %s", why, err_msg(&e));
	return false;
}

void create_advise(const char *name, bool removed, struct err *err)
{
	_cleanup_free_ char *why = xstrdup(err_msg(err));

	if (removed)
		err_set(err, err->code, "%s\nThe machine was removed again.", why);
	else
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
	progress_start(cli->progress, name, "prepare");
	if (r->what->make(co, cli, name, &one->kept, &one->err) < 0 && one->kept &&
		r->what->remove_failed)
		one->removed = create_undo(co, cli, name, &one->err);
	one->ms = loop_now(cli->app.loop) - began;
	progress_end(cli->progress, name, &one->err);
}

static const char *outcome(const struct one *one)
{
	bool ended = one->err.code == ERR_CANCELED;

	if (!one->begun)
		return "not begun";
	if (one->err.code == ERR_NONE)
		return "created";
	if (one->removed)
		return "failed, removed";
	if (one->kept)
		return ended ? "interrupted, half-made" : "failed, half-made";
	return ended ? "interrupted, nothing left" : "failed, nothing left";
}

static void add_row(struct buf *table, const char *name, const struct one *one)
{
	_cleanup_free_ char *error = output_clean(one->err.code ? err_msg(&one->err) : "-");

	buf_addf(table, "%s\t%s\t%llu.%llus\t%s\n", name, outcome(one),
		(unsigned long long)(one->ms / 1000), (unsigned long long)(one->ms / 100 % 10),
		one->begun ? error : "-");
}

/* One text for one machine's advice: how to go on with what is half-made. */
static void add_advice(struct buf *out, const struct run *r)
{
	const struct create_many *w = r->what;

	for (size_t i = 0; i < w->names->n; i++)
		if (r->all[i].kept && !r->all[i].removed) {
			buf_addf(out,
				"What is half-made is kept: \"docker-machine create --resume "
				"NAME\" goes on where it ended, \"docker-machine rm NAME\" removes "
				"it.\n");
			return;
		}
}

static void print_table(const struct run *r)
{
	_cleanup_buf_ struct buf table = BUF_INIT, out = BUF_INIT;

	buf_adds(&table, "MACHINE\tOUTCOME\tTIME\tERROR\n");
	for (size_t i = 0; i < r->what->names->n; i++)
		add_row(&table, r->what->names->items[i], &r->all[i]);
	tabwriter_format(buf_str(&table), 0, 3, ' ', &out);
	add_advice(&out, r);
	output_flush();
	fputs(buf_str(&out), stderr);
	fflush(stderr);
}

static enum err_code worst(const struct run *r, size_t *ret_failed)
{
	enum err_code code = ERR_NONE;

	for (size_t i = 0; i < r->what->names->n; i++) {
		const struct one *one = &r->all[i];
		if (one->begun && !one->err.code)
			continue;
		++*ret_failed;
		code = code ? code : one->begun ? one->err.code : ERR_CANCELED;
	}
	return code;
}

int create_many(struct co *co, const struct create_many *what, struct err *err)
{
	size_t n = what->names->n, failed = 0;
	struct run r = {what, xcalloc(n, sizeof(struct one))};

	progress_name_lines(what->cli->progress);
	progress_begin(what->cli->progress, n);
	co_each(co, n, what->parallel, make_one, &r);
	print_table(&r);
	enum err_code code = worst(&r, &failed);
	if (code)
		err_set(err, code, "Error creating machines: %zu of %zu were not created", failed,
			n);
	for (size_t i = 0; i < n; i++)
		err_finish(&r.all[i].err);
	free(r.all);
	return code ? -1 : 0;
}
