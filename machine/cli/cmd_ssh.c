#include "cli.h"

#include "find_program.h"
#include "run_program.h"

static int run_client(const struct ssh_target *t, const struct strv *words, struct err *err)
{
	_cleanup_strv_ struct strv argv = STRV_INIT;

	if (ssh_client_check(t, err) < 0)
		return -1;
	ssh_client_args(t, &argv);
	strv_extend(&argv, words);
	return run_program(&argv, err);
}

static int run_ssh(struct co *co, struct cli *cli, struct err *err)
{
	_cleanup_strv_ struct strv words = STRV_INIT;
	const struct strv *args = &cli->args.args;
	const char *name = args->n ? args->items[0] : "default";
	struct ssh_place place = {0};
	struct host *h;

	if (!args->n && !store_exists(cli->app.store, name))
		return err_set(err, ERR_USER,
			"Error: No machine name(s) specified and no \"default\" machine exists");
	for (size_t i = 1; i < args->n; i++)
		strv_add(&words, args->items[i]);
	if (cli_open_host(co, cli, name, &h, err) < 0)
		return -1;
	int rc = host_ssh_place(co, h, &place, err);
	if (rc == 0 && place.report.state != STATE_RUNNING)
		rc = err_set(err, ERR_NOT_RUNNING,
			"Error: Cannot run SSH command: Host \"%s\" is not running", name);
	if (rc == 0 && (cli->app.native_ssh || !find_program("ssh"))) {
		int status = 0;
		rc = ssh_interactive_native(co, &place.target, &words, &status, err);
		if (rc == 0 && status != 0)
			rc = err_set(err, ERR_USER, "Process exited with status %d", status);
	} else if (rc == 0 && (rc = ssh_first_contact(co, &place.target, err)) == 0) {
		driver_set_close(co, cli->app.drivers); /* no driver waits while a person types */
		cli->app.drivers = NULL;
		h->driver = NULL;
		rc = run_client(&place.target, &words, err);
	}
	ssh_place_finish(&place);
	host_close(co, h);
	return rc;
}

const struct command cmd_ssh = {
	.name = "ssh",
	.args = "[arg...]",
	.summary = "Log into or run a command on a machine with SSH.",
	.description = "Arguments are [machine-name] [command]",
	.talk = TALK_STDERR,
	.raw = true,
	.only_asks = true,
	.run = run_ssh,
};
