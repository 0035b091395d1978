#include "ls.h"

#include "docker_context.h"
#include "mem.h"

#include <stdlib.h>
#include <string.h>

static const struct cli_flag flags[] = {
	FLAG_I("timeout", "t", 10, NULL, "Timeout in seconds, default to 10s"),
};

static const char *first_active(const struct rows *rows, bool *ret_timed_out)
{
	for (size_t i = 0; i < rows->n; i++) {
		const struct row *r = &rows->items[i];
		*ret_timed_out |= r->timed_out;
		if (*row_active_text(r) == '*')
			return r->name;
	}
	return NULL;
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

static int find_active(
	struct co *co, struct cli *cli, struct rows *rows, const char *docker_host, struct err *err)
{
	uint64_t ends = loop_now(cli->app.loop) + rows_timeout_ms(cli);
	size_t n = likely_first(rows, docker_host);
	struct rows parts[] = {{rows->items, n, NULL}, {rows->items + n, rows->n - n, NULL}};
	bool timed_out = false;

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		uint64_t now = loop_now(cli->app.loop);
		if (rows_ask(co, &cli->app, &parts[i], ends > now ? ends - now : 1, false, err) < 0)
			return -1;
		rows_sort(&parts[i]);
		const char *name = first_active(&parts[i], &timed_out);
		if (name) {
			puts(name);
			return 0;
		}
	}
	return err_set(err, ERR_NOT_FOUND, "%s",
		timed_out ? "Error getting active host: timeout" : "No active host found");
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
