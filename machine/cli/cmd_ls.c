#include "ls.h"

#include "buf.h"
#include "mem.h"
#include "output.h"
#include "tabwriter.h"

#include <stdio.h>
#include <string.h>

#define HEADER "NAME\tACTIVE\tDRIVER\tSTATE\tURL\tSWARM\tDOCKER\tERRORS\n"

static const struct cli_flag flags[] = {
	FLAG_B("quiet", "q", NULL, "Enable quiet mode"),
	FLAG_L("filter", NULL, NULL, "Filter output based on conditions provided"),
	FLAG_I("timeout", "t", 10, NULL, "Timeout in seconds, default to 10s"),
};

static void keep(struct rows *rows, const struct filters *f,
	bool (*match)(const struct filters *, const struct row *))
{
	size_t n = 0;

	for (size_t i = 0; i < rows->n; i++) {
		if (match(f, &rows->items[i]))
			rows->items[n++] = rows->items[i];
		else
			row_finish(&rows->items[i]);
	}
	rows->n = n;
}

static char *version_text(const struct row *r)
{
	if (r->version)
		return xasprintf("v%s", r->version);
	return xstrdup(!r->rec || r->timed_out ? "" : "Unknown");
}

static char *swarm_text(const struct row *r)
{
	if (!r->swarm_master || r->timed_out)
		return xstrdup("");
	return streq(r->swarm_master, r->name) ? xasprintf("%s (master)", r->name)
					       : xstrdup(r->swarm_master);
}

static const char *error_text(const struct row *r)
{
	if (!r->rec)
		return err_msg(&r->load_error);
	return r->error && !r->timed_out ? r->error : "";
}

static const char *driver_text(const struct row *r)
{
	if (!r->rec)
		return "not found";
	return r->driver_missing ? "not-found" : record_driver_name(r->rec);
}

static void add_row(struct buf *b, const struct row *r)
{
	_cleanup_free_ char *version = version_text(r), *swarm = swarm_text(r);
	const char *url = row_url_known(r) && !r->timed_out ? r->report.url : "";
	const char *const texts[] = {r->name, row_active_text(r), driver_text(r), row_state_text(r),
		url, swarm, version, error_text(r)};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		_cleanup_free_ char *text = output_clean(texts[i]);
		buf_addf(b, "%s%s", i ? "\t" : "", text);
	}
	buf_addc(b, '\n');
}

static void print_table(struct rows *rows)
{
	_cleanup_buf_ struct buf text = BUF_INIT, aligned = BUF_INIT;

	rows_sort(rows);
	buf_adds(&text, HEADER);
	for (size_t i = 0; i < rows->n; i++)
		add_row(&text, &rows->items[i]);
	tabwriter_format(buf_str(&text), 5, 3, ' ', &aligned);
	fputs(buf_str(&aligned), stdout);
}

static int list(
	struct co *co, struct cli *cli, const struct filters *f, struct rows *rows, struct err *err)
{
	bool quiet = parsed_bool(&cli->args, "quiet");

	if (rows_load(cli->app.store, rows, err) < 0)
		return -1;
	keep(rows, f, filters_match);
	if ((!quiet || filters_need_state(f)) &&
		rows_ask(co, &cli->app, rows, rows_timeout_ms(cli), !quiet, err) < 0)
		return -1;
	keep(rows, f, filters_match_state);
	if (!quiet) {
		print_table(rows);
		return 0;
	}
	for (size_t i = 0; i < rows->n; i++)
		if (rows->items[i].rec)
			puts(rows->items[i].name);
	return 0;
}

static int run_ls(struct co *co, struct cli *cli, struct err *err)
{
	struct rows rows = {0};
	struct filters *f;

	if (filters_parse(parsed_value(&cli->args, "filter"), &f, err) < 0)
		return -1;
	int rc = list(co, cli, f, &rows, err);
	rows_finish(&rows);
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
