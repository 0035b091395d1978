/* Which machines a command works on: names with ranges in them, filters, or "default". */
#include "cli.h"
#include "ls.h"
#include "names.h"

#include "mem.h"

#include <stdlib.h>
#include <string.h>

#define PARALLEL_MAX 1000

int cli_names(struct cli *cli, struct strv *ret, struct err *err)
{
	if (cli->args.args.n)
		return names_expand(&cli->args.args, ret, err);
	if (!store_exists(cli->app.store, "default"))
		return err_set(err, ERR_USER,
			"Error: No machine name(s) specified and no \"default\" machine exists");
	strv_add(ret, "default");
	return 0;
}

int cli_one_name(struct cli *cli, const char **ret, struct err *err)
{
	_cleanup_strv_ struct strv names = STRV_INIT;

	if (cli->args.args.n > 1)
		return err_set(err, ERR_USER, "Error: Expected one machine name as an argument");
	if (cli_names(cli, &names, err) < 0)
		return -1;
	if (names.n != 1)
		return err_set(err, ERR_USER, "Error: Expected one machine name as an argument");
	if (cli->args.args.n && !streq(cli->args.args.items[0], names.items[0])) {
		free(cli->args.args.items[0]); /* w{1..1} */
		cli->args.args.items[0] = xstrdup(names.items[0]);
	}
	*ret = cli->args.args.n ? cli->args.args.items[0] : "default";
	return 0;
}

static int no_match(const struct json *filters, struct err *err)
{
	_cleanup_strv_ struct strv words = STRV_INIT;

	for (size_t i = 0; json_at(filters, i); i++)
		strv_add(&words, json_str(json_at(filters, i), ""));
	_cleanup_free_ char *all = strv_join(&words, " --filter ");
	return err_set(err, ERR_NOT_FOUND,
		"Error: No machine matches --filter %s. Use \"docker-machine ls\" to list "
		"machines.",
		all);
}

/* Why nobody can tell a machine's state; NULL: it is known. One that cannot be loaded has none. */
static const char *state_unknown(const struct row *r)
{
	if (!r->rec)
		return NULL;
	if (r->timed_out)
		return "its driver did not answer in time";
	if (r->driver_missing || !r->reported)
		return r->error ? r->error : "its driver was not asked";
	return r->report.failed ? err_msg(&r->report.error) : NULL;
}

/* ls shows Error or Timeout for a machine that could not be asked about. Here something is done to
 * those that match, and that a driver crashed says nothing of its machines. */
static int check_states_known(const struct rows *rows, struct err *err)
{
	const struct row *first = NULL;
	size_t others = 0;

	for (size_t i = 0; i < rows->n; i++) {
		if (!state_unknown(&rows->items[i]))
			continue;
		others += first != NULL;
		first = first ? first : &rows->items[i];
	}
	if (!first)
		return 0;
	_cleanup_free_ char *more = others ? xasprintf(" (and %zu more)", others) : xstrdup("");
	return err_set(err, ERR_UNAVAILABLE, "the state of %s%s is not known: %s", first->name,
		more, state_unknown(first));
}

static int add_matching(struct co *co, struct cli *cli, const struct filters *f, struct rows *rows,
	struct strv *ret, struct err *err)
{
	if (rows_load(cli->app.store, rows, err) < 0)
		return -1;
	rows_keep(rows, f, filters_match);
	if (filters_need_state(f)) {
		rows_sort(rows);
		if (rows_ask(co, &cli->app, rows, DRIVER_STATES_MS, false, err) < 0 ||
			check_states_known(rows, err) < 0)
			return -1;
		rows_keep(rows, f, filters_match_state);
	}
	rows_sort(rows);
	for (size_t i = 0; i < rows->n; i++)
		strv_add(ret, rows->items[i].name);
	return 0;
}

int cli_choose(struct co *co, struct cli *cli, bool usual, struct strv *ret, struct err *err)
{
	const struct json *list = parsed_value(&cli->args, "filter");
	struct rows rows = {0};
	struct filters *f;

	if (!parsed_given(&cli->args, "filter")) {
		if (usual || cli->args.args.n)
			return cli_names(cli, ret, err);
		return 0;
	}
	if (cli->args.args.n)
		return err_set(err, ERR_USER, "Error: Give machine names or --filter, not both");
	if (filters_parse(list, &f, err) < 0)
		return -1;
	int rc = add_matching(co, cli, f, &rows, ret, err);
	rows_finish(&rows);
	filters_free(f);
	if (rc == 0 && !ret->n)
		return no_match(list, err);
	return rc;
}

int cli_parallel(const struct cli *cli, unsigned usual, unsigned *ret, struct err *err)
{
	int64_t n = parsed_has(&cli->args, "parallel") ? parsed_int(&cli->args, "parallel") : 0;

	if (n < 0 || n > PARALLEL_MAX)
		return err_set(err, ERR_USER,
			"Error: --parallel is a number from 1 to %d, or 0 for the usual one",
			PARALLEL_MAX);
	*ret = n ? (unsigned)n : usual;
	return 0;
}
