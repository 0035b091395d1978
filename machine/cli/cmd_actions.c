/* start, stop, restart, kill, provision, upgrade, regenerate-certs: one action, many machines. */
#include "cli.h"

#include "log.h"
#include "mem.h"

#include <unistd.h>

static int over_names(struct co *co, struct cli *cli, action_fn fn, struct err *err)
{
	_cleanup_strv_ struct strv names = STRV_INIT;

	if (cli_choose(co, cli, true, &names, err) < 0)
		return -1;
	return cli_each(co, cli, &names, fn, err);
}

/* The address may have changed, and nothing in this shell knows. */
static int with_advice(struct co *co, struct cli *cli, action_fn fn, struct err *err)
{
	if (over_names(co, cli, fn, err) < 0)
		return -1;
	log_info("%s machines may have new IP addresses. You may need to re-run the "
		 "`docker-machine env` command.",
		cli->cmd == &cmd_start ? "Started" : "Restarted");
	return 0;
}

static int run_start(struct co *co, struct cli *cli, struct err *err)
{
	return with_advice(co, cli, action_start, err);
}

static int run_restart(struct co *co, struct cli *cli, struct err *err)
{
	return with_advice(co, cli, action_restart, err);
}

static int run_stop(struct co *co, struct cli *cli, struct err *err)
{
	return over_names(co, cli, action_stop, err);
}

static int run_kill(struct co *co, struct cli *cli, struct err *err)
{
	return over_names(co, cli, action_kill, err);
}

static int run_provision(struct co *co, struct cli *cli, struct err *err)
{
	return over_names(co, cli, action_provision, err);
}

static int run_upgrade(struct co *co, struct cli *cli, struct err *err)
{
	return over_names(co, cli, action_upgrade, err);
}

static const struct cli_flag regenerate_flags[] = {
	FLAG_B("force", "f", NULL, "Force rebuild and do not prompt"),
	FLAG_B("client-certs", NULL, NULL,
		"Also regenerate client certificates and CA (the CA only if it has expired)."),
	FLAG_FILTER,
	FLAG_PARALLEL,
	FLAG_PROGRESS,
};

/* The folders of machines that are not named have copies of the pair that was replaced. */
static void tell_old_copies(const struct cli *cli, const struct strv *names)
{
	_cleanup_strv_ struct strv all = STRV_INIT, others = STRV_INIT;
	_cleanup_err_ struct err ignored = ERR_INIT;

	if (store_list(cli->app.store, &all, &ignored) < 0)
		return;
	strv_foreach (name, &all) {
		_cleanup_free_ char *server =
			store_machine_file(cli->app.store, name, "server.pem");
		if (!strv_contains(names, name) && access(server, F_OK) == 0)
			strv_add(&others, name);
	}
	_cleanup_free_ char *words = strv_join(&others, " ");
	if (others.n)
		log_warn("Other machines keep copies of the old client certificate, which are of "
			 "use until it ends: \"docker-machine regenerate-certs %s\" replaces them.",
			words);
}

/* Not before it is sure that the machines get it, too. */
static int renew_client_certs(
	struct co *co, struct cli *cli, const struct strv *names, struct err *err)
{
	_cleanup_strv_ struct strv done = STRV_INIT; /* most machines have the same pair */
	unsigned parallel;

	if (cli_parallel(cli, 0, &parallel, err) < 0 || cli_check_all(cli, names, err) < 0)
		return -1;
	log_info("Regenerating local certificates");
	strv_foreach (name, names) {
		_cleanup_record_ struct record *rec = NULL;
		if (record_load(cli->app.store, name, &rec, err) < 0)
			return -1;
		const char *client = record_auth(rec, "ClientCertPath");
		if (create_certs(co, &cli->app, rec, names, !strv_contains(&done, client), err) < 0)
			return -1;
		strv_add(&done, client);
	}
	tell_old_copies(cli, names);
	return 0;
}

static int run_regenerate(struct co *co, struct cli *cli, struct err *err)
{
	_cleanup_strv_ struct strv names = STRV_INIT;
	bool yes;

	if (cli_choose(co, cli, true, &names, err) < 0)
		return -1;
	if (!parsed_bool(&cli->args, "force")) {
		if (cli_may_ask(cli, "-f", err) < 0)
			return -1;
		if (parsed_given(&cli->args, "filter")) {
			_cleanup_free_ char *all = strv_join(&names, ", ");
			log_info("About to regenerate the certificates of %s", all);
		}
		if (cli_confirm(co,
			    "Regenerate TLS machine certs?  Warning: this is irreversible. (y/n): ",
			    &yes, err) < 0)
			return -1;
		if (!yes)
			return 0;
	}
	log_info("Regenerating TLS certificates");
	if (parsed_bool(&cli->args, "client-certs") && renew_client_certs(co, cli, &names, err) < 0)
		return -1;
	return cli_each(co, cli, &names, action_regenerate_certs, err);
}

static const struct cli_flag action_flags[] = {FLAG_FILTER, FLAG_PARALLEL, FLAG_PROGRESS};

#define ACTION(id, n, d, s, fn)                                              \
	const struct command cmd_##id = {                                    \
		.name = n,                                                   \
		.args = "[arg...]",                                          \
		.summary = s,                                                \
		.done = d,                                                   \
		.description = "Argument(s) are one or more machine names.", \
		.flags = action_flags,                                       \
		.n_flags = ARRAY_SIZE(action_flags),                         \
		.talk = TALK_STDOUT,                                         \
		.run = fn,                                                   \
	}

ACTION(start, "start", "started", "Start a machine", run_start);
ACTION(stop, "stop", "stopped", "Stop a machine", run_stop);
ACTION(restart, "restart", "restarted", "Restart a machine", run_restart);
ACTION(kill, "kill", "killed", "Kill a machine", run_kill);
ACTION(provision, "provision", "provisioned", "Re-provision existing machines", run_provision);
ACTION(upgrade, "upgrade", "upgraded", "Upgrade a machine to the latest version of Docker",
	run_upgrade);

const struct command cmd_regenerate_certs = {
	.name = "regenerate-certs",
	.args = "[arg...]",
	.summary = "Regenerate TLS Certificates for a machine",
	.done = "given new certificates",
	.description = "Argument(s) are one or more machine names.",
	.flags = regenerate_flags,
	.n_flags = ARRAY_SIZE(regenerate_flags),
	.talk = TALK_STDOUT,
	.run = run_regenerate,
};
