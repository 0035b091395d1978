#include "outcomes.h"

#include "buf.h"
#include "mem.h"
#include "output.h"
#include "tabwriter.h"

#include <errno.h>
#include <stdio.h>

static void add_row(struct buf *table, const char *name, const struct outcome *o)
{
	bool failed = o->err && o->err->code != ERR_NONE;
	_cleanup_free_ char *error = output_clean(failed ? err_msg(o->err) : "-");

	buf_addf(table, "%s\t%s\t%llu.%llus\t%s\n", name, o->text,
		(unsigned long long)(o->ms / 1000), (unsigned long long)(o->ms / 100 % 10), error);
}

void outcomes_print(const struct strv *names, const struct outcome *all, const char *after)
{
	_cleanup_buf_ struct buf table = BUF_INIT, out = BUF_INIT;

	buf_adds(&table, "MACHINE\tOUTCOME\tTIME\tERROR\n");
	for (size_t i = 0; i < names->n; i++)
		add_row(&table, names->items[i], &all[i]);
	tabwriter_format(buf_str(&table), 0, 3, ' ', &out);
	buf_adds(&out, after);
	output_flush();
	fputs(buf_str(&out), stderr);
	fflush(stderr);
}

/* A command that ends early has left these as they are. */
static int tell_not_begun(const struct strv *names, const struct ending *all, struct err *err)
{
	_cleanup_strv_ struct strv left = STRV_INIT;

	for (size_t i = 0; i < names->n; i++)
		if (!all[i].begun)
			strv_add(&left, names->items[i]);
	if (!left.n)
		return -1;
	_cleanup_free_ char *text = xstrdup(err_msg(err)), *words = strv_join(&left, ", ");
	return err_set(err, err->code, "%s\nnot begun: %s", text, words);
}

static int tell_lines(const struct strv *names, const struct ending *all, struct err *err)
{
	struct err *errs = xcalloc(names->n, sizeof(*errs));

	for (size_t i = 0; i < names->n; i++)
		errs[i] = all[i].err;
	if (cli_join_errors(errs, names, err) == 0)
		co_err(-ECANCELED, err);
	free(errs);
	return tell_not_begun(names, all, err);
}

static const char *outcome_of(const struct ending *e, const char *done)
{
	if (!e->begun)
		return "not begun";
	if (e->err.code == ERR_NONE)
		return e->done ? e->done : done;
	return e->err.code == ERR_CANCELED ? "interrupted" : "failed";
}

static int tell_table(const struct cli *cli, const struct strv *names, const struct ending *all,
	const char *done, size_t failed, struct err *err)
{
	struct outcome *rows = xcalloc(names->n, sizeof(*rows));
	enum err_code code = ERR_NONE;

	for (size_t i = 0; i < names->n; i++) {
		code = code ? code : all[i].begun ? all[i].err.code : ERR_CANCELED;
		rows[i] = (struct outcome){outcome_of(&all[i], done), all[i].ms, &all[i].err};
	}
	outcomes_print(names, rows, "");
	free(rows);
	return err_set(err, code, "Error: %s: %zu of %zu machines were not %s", cli->cmd->name,
		failed, names->n, done);
}

int outcomes_tell(const struct cli *cli, const struct strv *names, struct ending *take_all,
	const char *done, struct err *err)
{
	size_t failed = 0;
	int rc = 0;

	for (size_t i = 0; i < names->n; i++)
		failed += !take_all[i].begun || take_all[i].err.code != ERR_NONE;
	if (failed && (names->n == 1 || cli_old_name(cli)))
		rc = tell_lines(names, take_all, err);
	else if (failed)
		rc = tell_table(cli, names, take_all, done, failed, err);
	for (size_t i = 0; i < names->n; i++)
		err_finish(&take_all[i].err);
	free(take_all);
	return rc;
}
