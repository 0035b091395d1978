/* ip, url, status, version: one answer on standard output. */
#include "cli.h"

#include "config.h"
#include "log.h"
#include "mem.h"
#include "output.h"
#include "query_json.h"

#include <string.h>

/* of the commands that have no flag but this */
static const struct cli_flag flags[] = {FLAG_JSON};

static bool wants_json(const struct cli *cli)
{
	return parsed_bool(&cli->args, "json");
}

struct addresses {
	struct cli *cli;
	const struct strv *names;
	char **ips;
	struct err *errs;
};

/* An empty line would pass for an address in a script. A machine without a driver may have none. */
static int check_ip(const struct host *h, const struct machine_report *r, struct err *err)
{
	bool why = r->message && *r->message;

	if ((r->ip && *r->ip) || streq(record_driver_name(h->rec), "none"))
		return 0;
	return err_set(err, ERR_NOT_RUNNING, "the machine has no address; its state is %s%s%s",
		r->state == STATE_NONE ? "unknown" : machine_state_name(r->state), why ? ": " : "",
		why ? r->message : "");
}

static int ip_of(struct co *co, struct host *h, char **ret, struct err *err)
{
	struct machine_report r = {0};
	int rc = host_report(co, h, &r, err);

	if (rc == 0)
		rc = check_ip(h, &r, err);
	if (rc == 0)
		*ret = output_clean(r.ip);
	machine_report_finish(&r);
	return rc < 0 ? err_wrap(err, "Error getting IP address") : 0;
}

static void ip_one(struct co *co, size_t i, void *arg)
{
	struct addresses *a = arg;
	struct host *h;

	if (cli_open_host(co, a->cli, a->names->items[i], &h, &a->errs[i]) < 0)
		return;
	ip_of(co, h, &a->ips[i], &a->errs[i]);
	host_close(co, h);
}

static int run_ip(struct co *co, struct cli *cli, struct err *err)
{
	_cleanup_strv_ struct strv names = STRV_INIT;

	if (wants_json(cli))
		return query_json(co, cli, "ip", ip_of, err);
	if (cli_names(cli, &names, err) < 0 || cli_check_all(cli, &names, err) < 0)
		return -1;
	struct addresses a = {cli, &names, xcalloc(names.n, sizeof(char *)),
		xcalloc(names.n, sizeof(struct err))};
	int r = co_each(co, names.n, CLI_AT_ONCE, ip_one, &a);
	int rc = cli_join_errors(a.errs, &names, err);
	if (rc == 0 && r < 0)
		rc = co_err(r, err);
	for (size_t i = 0; i < names.n; i++) {
		if (a.ips[i])
			puts(a.ips[i]);
		free(a.ips[i]);
		err_finish(&a.errs[i]);
	}
	free(a.ips);
	free(a.errs);
	return rc;
}

const struct command cmd_ip = {
	.name = "ip",
	.args = "[arg...]",
	.summary = "Get the IP address of a machine",
	.description = "Argument(s) are one or more machine names.",
	.flags = flags,
	.n_flags = ARRAY_SIZE(flags),
	.talk = TALK_STDERR,
	.only_asks = true,
	.run = run_ip,
};

static int with_one(struct co *co, struct cli *cli, const char *key, query_fn fn, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	const char *name;
	struct host *h;

	if (wants_json(cli))
		return query_json(co, cli, key, fn, err);
	if (cli_one_name(cli, &name, err) < 0 || cli_open_host(co, cli, name, &h, err) < 0)
		return -1;
	int rc = fn(co, h, &text, err);
	host_close(co, h);
	if (rc < 0)
		return -1;
	_cleanup_free_ char *shown = output_clean(text);
	puts(shown);
	return 0;
}

static int run_url(struct co *co, struct cli *cli, struct err *err)
{
	return with_one(co, cli, "url", host_url, err);
}

const struct command cmd_url = {
	.name = "url",
	.args = "[arg...]",
	.summary = "Get the URL of a machine",
	.description = "Argument is a machine name.",
	.flags = flags,
	.n_flags = ARRAY_SIZE(flags),
	.talk = TALK_STDERR,
	.only_asks = true,
	.run = run_url,
};

static int state_of(struct co *co, struct host *h, char **ret, struct err *err)
{
	struct machine_report r = {0};

	if (host_report(co, h, &r, err) < 0)
		return err_wrap(err, "error getting state for host %s", h->rec->name);
	*ret = xstrdup(machine_state_name(r.state));
	if (r.message && *r.message)
		log_warn("%s: %s", h->rec->name, r.message);
	machine_report_finish(&r);
	return 0;
}

static int run_status(struct co *co, struct cli *cli, struct err *err)
{
	return with_one(co, cli, "state", state_of, err);
}

const struct command cmd_status = {
	.name = "status",
	.args = "[arg...]",
	.summary = "Get the status of a machine",
	.description = "Argument is a machine name.",
	.flags = flags,
	.n_flags = ARRAY_SIZE(flags),
	.talk = TALK_STDERR,
	.only_asks = true,
	.run = run_status,
};

static void print_own_json(const char *prog)
{
	_cleanup_json_ struct json *list = json_array();
	struct json *o = json_object();

	json_set(o, "name", json_null());
	json_set_str(o, "program", prog);
	json_set_str(o, "version", MACHINE_VERSION);
	json_set(o, "error", json_null());
	json_add(list, o);
	json_print(list);
}

static int run_version(struct co *co, struct cli *cli, struct err *err)
{
	if (!cli->args.args.n && wants_json(cli)) {
		print_own_json(cli->prog);
		return 0;
	}
	if (!cli->args.args.n) {
		printf("%s version %s\n", cli->prog, MACHINE_VERSION_TEXT);
		return 0;
	}
	return with_one(co, cli, "version", host_engine_version, err);
}

const struct command cmd_version = {
	.name = "version",
	.args = "[arg...]",
	.summary = "Show the Docker Machine version or a machine docker version",
	.flags = flags,
	.n_flags = ARRAY_SIZE(flags),
	.talk = TALK_STDERR,
	.only_asks = true,
	.run = run_version,
};
