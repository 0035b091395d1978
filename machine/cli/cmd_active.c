#include "ls.h"

#include "docker_context.h"
#include "mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ALONE_MS 2000u /* the likely machines are asked alone for so long, at most */

static const struct cli_flag flags[] = {
	FLAG_I("timeout", "t", 10, NULL, "Timeout in seconds, default to 10s"),
};

static const char *first_active(const struct rows *rows)
{
	for (size_t i = 0; i < rows->n; i++)
		if (*row_active_text(&rows->items[i]) == '*')
			return rows->items[i].name;
	return NULL;
}

static bool any_timed_out(const struct rows *rows)
{
	for (size_t i = 0; i < rows->n; i++)
		if (rows->items[i].timed_out)
			return true;
	return false;
}

static bool mentions(const struct record *rec, const char *host)
{
	json_foreach (m, record_driver_state(rec))
		if (strstr(json_str(m->value, ""), host))
			return true;
	return false;
}

/* Where the engine's host is a part of the driver's state, that machine is asked first: mostly it
 * is the one, and nobody else need be asked. Returns how many there are. */
static size_t likely_first(struct rows *rows, const char *docker_host)
{
	const char *after = strstr(docker_host, "://");
	const char *begin = after ? after + 3 : docker_host, *end = strrchr(begin, ':');
	_cleanup_free_ char *host = xstrndup(begin, end ? (size_t)(end - begin) : strlen(begin));
	size_t n = 0;

	for (size_t i = 0; i < rows->n; i++) {
		struct row r = rows->items[i];
		if (!r.rec || !mentions(r.rec, host))
			continue;
		rows->items[i] = rows->items[n];
		rows->items[n++] = r;
	}
	return n;
}

struct search {
	struct cli *cli;
	struct rows parts[2]; /* the likely machines; the others */
	uint64_t ends;        /* loop time */
	bool likely_done;
	struct co *others; /* waits for the likely ones */
};

/* The others wait for the likely ones, but not until their time is over: one of those may hang. */
static void ask_part(struct co *co, size_t i, void *arg)
{
	struct search *s = arg;
	struct app *app = &s->cli->app;
	_cleanup_err_ struct err err = ERR_INIT; /* cancelled: our caller is, too */

	if (i > 0 && !s->likely_done) {
		s->others = co;
		co_wait_ms(co, MIN(rows_timeout_ms(s->cli) / 2, (uint64_t)ALONE_MS));
		s->others = NULL;
	}
	if (first_active(&s->parts[0]))
		return;
	uint64_t now = loop_now(app->loop);
	rows_ask(co, app, &s->parts[i], s->ends > now ? s->ends - now : 1, false, &err);
	s->likely_done = true;
	if (s->others)
		co_wake(s->others);
}

static int find_active(
	struct co *co, struct cli *cli, struct rows *rows, const char *docker_host, struct err *err)
{
	size_t n = likely_first(rows, docker_host);
	struct search s = {
		.cli = cli,
		.parts = {{rows->items, n, NULL}, {rows->items + n, rows->n - n, NULL}},
		.ends = loop_now(cli->app.loop) + rows_timeout_ms(cli),
	};

	int r = co_each(co, ARRAY_SIZE(s.parts), 0, ask_part, &s);
	if (r < 0 || co_cancelled(co))
		return co_err(r < 0 ? r : -ECANCELED, err);
	for (size_t i = 0; i < ARRAY_SIZE(s.parts); i++) {
		rows_sort(&s.parts[i]);
		const char *name = first_active(&s.parts[i]);
		if (name) {
			puts(name);
			return 0;
		}
	}
	return err_set(err, ERR_NOT_FOUND, "%s",
		any_timed_out(rows) ? "Error getting active host: timeout"
				    : "No active host found");
}

static int run_active(struct co *co, struct cli *cli, struct err *err)
{
	_cleanup_free_ char *engine = docker_context_engine();
	struct rows rows = {0};

	if (cli->args.args.n)
		return err_set(err, ERR_USER, "Error: Too many arguments given");
	if (!engine)
		return err_set(err, ERR_NOT_FOUND, "No active host found");
	if (rows_load(cli->app.store, &rows, err) < 0)
		return -1;
	int rc = find_active(co, cli, &rows, engine, err);
	rows_finish(&rows);
	return rc;
}

const struct command cmd_active = {
	.name = "active",
	.args = "[arg...]",
	.summary = "Print which machine is active",
	.flags = flags,
	.n_flags = ARRAY_SIZE(flags),
	.talk = TALK_STDERR,
	.only_asks = true,
	.run = run_active,
};
