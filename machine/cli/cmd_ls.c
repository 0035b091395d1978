#include "ls.h"

#include "mem.h"
#include "query_json.h"

#include <stdio.h>

static const struct cli_flag flags[] = {
	FLAG_B("quiet", "q", NULL, "Enable quiet mode"),
	FLAG_L("filter", NULL, NULL, "Filter output based on conditions provided"),
	FLAG_I("timeout", "t", 10, NULL, "Timeout in seconds, default to 10s"),
	FLAG_S("format", "f", NULL, NULL, "Pretty-print machines using a Go template"),
	FLAG_JSON,
};

static int ask(struct co *co, struct cli *cli, const struct filters *f, enum ls_needs needs,
	struct rows *rows, struct err *err)
{
	if (needs == LS_NEEDS_RECORDS && !filters_need_state(f)) {
		rows_find_drivers(rows);
		return 0;
	}
	if (rows_ask(co, &cli->app, rows, rows_timeout_ms(cli), needs == LS_NEEDS_VERSIONS, err) <
		0)
		return -1;
	rows_keep(rows, f, filters_match_state);
	return 0;
}

/* format NULL and not json: names only */
static int list(struct co *co, struct cli *cli, const struct filters *f,
	const struct ls_format *format, bool json, struct rows *rows, struct err *err)
{
	if (rows_load(cli->app.store, rows, err) < 0)
		return -1;
	rows_keep(rows, f, filters_match);
	if (json) {
		if (ask(co, cli, f, LS_NEEDS_VERSIONS, rows, err) < 0)
			return -1;
		rows_sort(rows);
		rows_print_json(rows);
		return 0;
	}
	if (format) {
		if (ask(co, cli, f, ls_format_needs(format), rows, err) < 0)
			return -1;
		rows_sort(rows);
		return ls_format_print(format, rows, err);
	}
	if (filters_need_state(f) && ask(co, cli, f, LS_NEEDS_STATES, rows, err) < 0)
		return -1;
	for (size_t i = 0; i < rows->n; i++)
		if (rows->items[i].rec)
			puts(rows->items[i].name);
	return 0;
}

static int run_ls(struct co *co, struct cli *cli, struct err *err)
{
	struct rows rows = {0};
	struct ls_format *format = NULL;
	struct filters *f;
	bool json;

	if (ls_wants_json(cli, parsed_str(&cli->args, "format"), &json, err) < 0 ||
		filters_parse(parsed_value(&cli->args, "filter"), &f, err) < 0)
		return -1;
	int rc = 0;
	if (!json && !parsed_bool(&cli->args, "quiet")) /* with -q it is not even looked at */
		rc = ls_format_parse(parsed_str(&cli->args, "format"), &format, err);
	if (rc == 0)
		rc = list(co, cli, f, format, json, &rows, err);
	rows_finish(&rows);
	ls_format_free(format);
	filters_free(f);
	return rc;
}

const struct command cmd_ls = {
	.name = "ls",
	.args = "[arg...]",
	.summary = "List machines",
	.flags = flags,
	.n_flags = ARRAY_SIZE(flags),
	.talk = TALK_STDERR,
	.only_asks = true,
	.run = run_ls,
};
