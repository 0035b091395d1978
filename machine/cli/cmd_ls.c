#include "ls.h"

#include "buf.h"
#include "mem.h"
#include "tabwriter.h"
#include "tcp.h"

#include <ctype.h>
#include <string.h>

#define HEADER "NAME\tACTIVE\tDRIVER\tSTATE\tURL\tSWARM\tDOCKER\tERRORS\n"

static const struct cli_flag flags[] = {
	FLAG_B("quiet", "q", NULL, "Enable quiet mode"),
	FLAG_L("filter", NULL, NULL, "Filter output based on conditions provided"),
	FLAG_I("timeout", "t", 10, NULL, "Timeout in seconds, default to 10s"),
};

static void load(struct store *s, const char *name, struct row *r)
{
	r->name = xstrdup(name);
	if (record_load(s, name, &r->rec, &r->load_error) < 0)
		r->rec = NULL;
}

static const char *discovery(const struct row *r)
{
	return r->rec ? json_str(record_swarm(r->rec, "Discovery"), "") : "";
}

static void find_masters(struct rows *rows)
{
	for (size_t m = 0; m < rows->n; m++) {
		const struct row *master = &rows->items[m];
		if (!*discovery(master) ||
			!json_bool_or(record_swarm(master->rec, "Master"), false))
			continue;
		for (size_t i = 0; i < rows->n; i++) {
			struct row *r = &rows->items[i];
			if (!r->swarm_master && streq(discovery(r), discovery(master)))
				r->swarm_master = xstrdup(master->name);
		}
	}
}

static void row_finish(struct row *r)
{
	free(r->name);
	record_free(r->rec);
	err_finish(&r->load_error);
	machine_report_finish(&r->report);
	free(r->version);
	free(r->error);
	free(r->swarm_master);
}

void rows_finish(struct rows *rows)
{
	for (size_t i = 0; i < rows->n; i++)
		row_finish(&rows->items[i]);
	free(rows->items);
	*rows = (struct rows){0};
}

static int load_rows(struct store *s, struct rows *rows, struct err *err)
{
	_cleanup_strv_ struct strv names = STRV_INIT;

	if (store_list(s, &names, err) < 0)
		return -1;
	rows->items = xcalloc(names.n + 1, sizeof(*rows->items));
	rows->n = names.n;
	for (size_t i = 0; i < names.n; i++)
		load(s, names.items[i], &rows->items[i]);
	find_masters(rows);
	return 0;
}

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

/* Compares runs of digits as numbers, everything else byte by byte, digits first. */
int natural_compare(const char *a, const char *b)
{
	while (*a && *b) {
		if (isdigit((unsigned char)*a) && isdigit((unsigned char)*b)) {
			const char *x = a, *y = b;
			size_t la, lb;
			while (*x == '0')
				x++;
			while (*y == '0')
				y++;
			la = strspn(x, "0123456789");
			lb = strspn(y, "0123456789");
			if (la != lb)
				return la < lb ? -1 : 1;
			int c = strncmp(x, y, la);
			if (c)
				return c;
			if (x - a != y - b) /* fewer leading zeros first */
				return x - a < y - b ? -1 : 1;
			a = x + la;
			b = y + lb;
			continue;
		}
		int da = isdigit((unsigned char)*a), db = isdigit((unsigned char)*b);
		if (!da != !db)
			return da ? -1 : 1;
		int ca = tolower((unsigned char)*a), cb = tolower((unsigned char)*b);
		if (ca != cb)
			return ca - cb;
		a++;
		b++;
	}
	return (unsigned char)*a - (unsigned char)*b;
}

static int by_name(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	int c = natural_compare(x->name, y->name);

	return c ? c : strcmp(x->name, y->name);
}

static bool url_known(const struct row *r)
{
	return r->reported && !r->report.failed && r->report.url && *r->report.url &&
	       (r->report.state == STATE_RUNNING || r->report.url_always);
}

static bool is_swarm_active(const struct row *r, const char *docker_host)
{
	_cleanup_err_ struct err e = ERR_INIT;
	_cleanup_free_ char *host = NULL, *swarm = NULL, *joined = NULL;
	const char *engine = strstr(r->report.url, "://");
	const char *at = strstr(json_str(record_swarm(r->rec, "Host"), ""), "://");
	int port;

	if (!json_bool_or(record_swarm(r->rec, "Master"), false) || !engine || !at ||
		tcp_split(engine + 3, &host, &port, &e) < 0 ||
		tcp_split(at + 3, &swarm, &port, &e) < 0)
		return false;
	joined = tcp_join(host, port);
	return strncmp(docker_host, "tcp://", 6) == 0 && streq(docker_host + 6, joined);
}

static const char *active_text(const struct row *r)
{
	const char *docker_host = getenv("DOCKER_HOST");

	if (!r->rec || r->timed_out)
		return "";
	if (!docker_host || !*docker_host || !url_known(r) || r->report.state != STATE_RUNNING)
		return "-";
	if (streq(r->report.url, docker_host))
		return "*";
	return is_swarm_active(r, docker_host) ? "* (swarm)" : "-";
}

static const char *state_text(const struct row *r)
{
	if (r->timed_out)
		return "Timeout";
	if (!r->rec || r->driver_missing || r->report.failed)
		return "Error";
	return machine_state_name(r->report.state);
}

static void add_row(struct buf *b, const struct row *r)
{
	_cleanup_free_ char *version = NULL, *swarm = NULL, *load_error = NULL;
	const char *error = r->error ? r->error : "";
	const char *driver = !r->rec             ? "not found"
			     : r->driver_missing ? "not-found"
						 : record_driver_name(r->rec);

	if (!r->rec) {
		load_error = xstrdup(err_msg(&r->load_error));
		for (char *p = load_error; *p; p++)
			if (*p == '\n' || *p == '\t')
				*p = ' ';
		error = load_error;
	}
	version = r->version ? xasprintf("v%s", r->version)
			     : xstrdup(!r->rec || r->timed_out ? "" : "Unknown");
	if (r->swarm_master && !r->timed_out)
		swarm = streq(r->swarm_master, r->name) ? xasprintf("%s (master)", r->name)
							: xstrdup(r->swarm_master);
	buf_addf(b, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r->name, active_text(r), driver,
		state_text(r), url_known(r) && !r->timed_out ? r->report.url : "",
		swarm ? swarm : "", version, r->timed_out ? "" : error);
}

static void print_table(struct rows *rows)
{
	_cleanup_buf_ struct buf text = BUF_INIT, aligned = BUF_INIT;

	qsort(rows->items, rows->n, sizeof(*rows->items), by_name);
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
	int64_t seconds = parsed_int(&cli->args, "timeout");

	if (seconds <= 0)
		seconds = 1;
	if (load_rows(cli->app.store, rows, err) < 0)
		return -1;
	keep(rows, f, filters_match);
	if ((!quiet || filters_need_state(f)) &&
		rows_ask(co, &cli->app, rows, (uint64_t)seconds * 1000, !quiet, err) < 0)
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

static const struct cli_flag active_flags[] = {
	FLAG_I("timeout", "t", 10, NULL, "Timeout in seconds, default to 10s"),
};

static int find_active(struct co *co, struct cli *cli, struct rows *rows, struct err *err)
{
	int64_t seconds = parsed_int(&cli->args, "timeout");
	const char *docker_host = getenv("DOCKER_HOST");
	bool timed_out = false;

	if (!docker_host || !*docker_host)
		return err_set(err, ERR_NOT_FOUND, "No active host found");
	if (load_rows(cli->app.store, rows, err) < 0 ||
		rows_ask(co, &cli->app, rows, (uint64_t)MAX(seconds, (int64_t)1) * 1000, false,
			err) < 0)
		return -1;
	qsort(rows->items, rows->n, sizeof(*rows->items), by_name);
	for (size_t i = 0; i < rows->n; i++) {
		const struct row *r = &rows->items[i];
		timed_out |= r->timed_out;
		if (*active_text(r) == '*') {
			puts(r->name);
			return 0;
		}
	}
	return err_set(err, ERR_NOT_FOUND, "%s",
		timed_out ? "Error getting active host: timeout" : "No active host found");
}

static int run_active(struct co *co, struct cli *cli, struct err *err)
{
	struct rows rows = {0};

	if (cli->args.args.n)
		return err_set(err, ERR_USER, "Error: Too many arguments given");
	int rc = find_active(co, cli, &rows, err);
	rows_finish(&rows);
	return rc;
}

const struct command cmd_active = {
	.name = "active",
	.args = "[arg...]",
	.summary = "Print which machine is active",
	.flags = active_flags,
	.n_flags = ARRAY_SIZE(active_flags),
	.talk = TALK_STDERR,
	.only_asks = true,
	.run = run_active,
};
