/* Loading and ordering the rows, and which of them the environment means. */
#include "ls.h"

#include "docker_context.h"
#include "mem.h"
#include "tcp.h"

#include <ctype.h>
#include <string.h>

static void load(struct store *s, const char *name, struct row *r)
{
	r->name = xstrdup(name);
	if (record_load(s, name, &r->rec, &r->load_error) < 0)
		r->rec = NULL;
	else
		record_only_read(r->rec);
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

void row_finish(struct row *r)
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
	free(rows->engine_meant);
	*rows = (struct rows){0};
}

void rows_keep(struct rows *rows, const struct filters *f,
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

int rows_load(struct store *s, struct rows *rows, struct err *err)
{
	_cleanup_strv_ struct strv names = STRV_INIT;

	if (store_list(s, &names, err) < 0)
		return -1;
	rows->items = xcalloc(names.n + 1, sizeof(*rows->items));
	rows->n = names.n;
	rows->engine_meant = docker_context_engine();
	for (size_t i = 0; i < names.n; i++) {
		load(s, names.items[i], &rows->items[i]);
		rows->items[i].engine_meant = rows->engine_meant;
	}
	find_masters(rows);
	return 0;
}

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

void rows_sort(struct rows *rows)
{
	qsort(rows->items, rows->n, sizeof(*rows->items), by_name);
}

bool row_url_known(const struct row *r)
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

enum machine_state row_state(const struct row *r)
{
	if (r->timed_out)
		return STATE_TIMEOUT;
	if (!r->rec || !r->reported || r->driver_missing || r->report.failed)
		return STATE_ERROR;
	return r->report.state;
}

const char *row_state_text(const struct row *r)
{
	return machine_state_name(row_state(r));
}

const char *row_active_text(const struct row *r)
{
	const char *docker_host = r->engine_meant;

	if (!r->rec || r->timed_out)
		return "";
	if (!docker_host || !row_url_known(r) || r->report.state != STATE_RUNNING)
		return "-";
	if (streq(r->report.url, docker_host))
		return "*";
	return is_swarm_active(r, docker_host) ? "* (swarm)" : "-";
}
