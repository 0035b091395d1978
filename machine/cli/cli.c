/* From argv to a running command: global flags, the store, the loop, signals, the one place where
 * errors are printed. */
#include "cli.h"

#include "buf.h"
#include "config.h"
#include "exit_signal.h"
#include "interrupt.h"
#include "log.h"
#include "mem.h"
#include "output.h"
#include "plugin.h"

#include <string.h>

const struct cli_flag cli_globals[] = {
	FLAG_B("debug", "D", NULL, "Enable debug mode"),
	FLAG_S("storage-path", "s", "", "MACHINE_STORAGE_PATH", "Configures storage path"),
	FLAG_S("tls-ca-cert", NULL, "", "MACHINE_TLS_CA_CERT", "CA to verify remotes against"),
	FLAG_S("tls-ca-key", NULL, "", "MACHINE_TLS_CA_KEY",
		"Private key to generate certificates"),
	FLAG_S("tls-client-cert", NULL, "", "MACHINE_TLS_CLIENT_CERT",
		"Client cert to use for TLS"),
	FLAG_S("tls-client-key", NULL, "", "MACHINE_TLS_CLIENT_KEY",
		"Private key used in client TLS auth"),
	FLAG_S("github-api-token", NULL, "", "MACHINE_GITHUB_API_TOKEN",
		"Token to use for requests to the Github API"),
	FLAG_B("native-ssh", NULL, "MACHINE_NATIVE_SSH", "Use the built-in SSH implementation"),
	FLAG_S("bugsnag-api-token", NULL, "", "MACHINE_BUGSNAG_API_TOKEN",
		"Accepted for compatibility; nothing is ever reported"),
	FLAG_B("version", "v", NULL, "print the version"),
};
const size_t cli_n_globals = ARRAY_SIZE(cli_globals) - 1; /* help shows version by itself */

const struct command *const cli_commands[] = {&cmd_active, &cmd_completion, &cmd_config,
	&cmd_context, &cmd_create, &cmd_driver, &cmd_env, &cmd_image, &cmd_inspect, &cmd_ip,
	&cmd_kill, &cmd_ls, &cmd_provision, &cmd_regenerate_certs, &cmd_restart, &cmd_rm, &cmd_ssh,
	&cmd_scp, &cmd_mount, &cmd_start, &cmd_status, &cmd_stop, &cmd_update_labels, &cmd_upgrade,
	&cmd_url, &cmd_version, &cmd_help, &cmd_complete, NULL};

const struct command *cli_find_command(const char *name)
{
	for (size_t i = 0; cli_commands[i]; i++) {
		const struct command *c = cli_commands[i];
		if (streq(c->name, name) || (c->alias && streq(c->alias, name)))
			return c;
	}
	return NULL;
}

/* Talk goes to stdout for the commands whose progress programs read there, to stderr for those
 * whose stdout is a result, and outside of commands. */
static void command_sink(void *userdata, enum log_level level, const char *line)
{
	const struct cli *cli = userdata;

	if (cli->progress)
		progress_line(cli->progress, level, loop_tag(cli->app.loop), line);
	else
		fprintf(stderr, "%s\n", line);
}

/* As the original has it, also after the command. But the words of ssh belong to somebody else. */
static bool debug_wanted(const struct parsed *globals)
{
	if (parsed_bool(globals, "debug"))
		return true;
	if (globals->args.n && streq(globals->args.items[0], "ssh"))
		return false;
	strv_foreach (a, &globals->args)
		if (streq(a, "-D") || streq(a, "--debug") || streq(a, "-debug"))
			return true;
	return false;
}

static int set_debug(const struct cli *cli, struct err *err)
{
	const char *env = getenv("MACHINE_DEBUG");
	bool on = debug_wanted(&cli->globals);

	if (env && *env && !go_parse_bool(env, &on))
		return err_set(err, ERR_USER,
			"Error parsing boolean value from MACHINE_DEBUG: strconv.ParseBool: "
			"parsing \"%s\": invalid syntax",
			env);
	log_set_debug(on);
	return 0;
}

char *cli_store_path(const struct cli *cli)
{
	bool parsed = cli->globals.values; /* not so in the help after wrong flags */
	const char *path =
		parsed ? parsed_str(&cli->globals, "storage-path") : getenv("MACHINE_STORAGE_PATH");
	const char *home = getenv("HOME");

	if (path && *path)
		return xstrdup(path);
	return home && *home ? xasprintf("%s/.docker/machine", home) : xstrdup("");
}

static int open_store(struct cli *cli, struct err *err)
{
	_cleanup_free_ char *path = cli_store_path(cli);

	if (!*path)
		return err_set(err, ERR_USER,
			"HOME is not set: name the store with --storage-path or "
			"MACHINE_STORAGE_PATH");
	return store_open(path, &cli->app.store, err);
}

/* Where HOME is not set, these still have an answer. */
static bool needs_store(const struct cli *cli)
{
	bool unset = cli->cmd == &cmd_env && parsed_bool(&cli->args, "unset");

	return !unset && cli->cmd != &cmd_help && cli->cmd != &cmd_driver &&
	       cli->cmd != &cmd_completion && cli->cmd != &cmd_complete &&
	       (cli->cmd != &cmd_version || cli->args.args.n);
}

static int parse_command(struct co *co, struct cli *cli, const struct strv *rest, struct err *err)
{
	const struct command *c = cli->cmd;

	if (c->prepare)
		return c->prepare(co, cli, rest, err);
	if (c->raw) {
		strv_extend(&cli->args.args, rest);
		if (rest->n && (streq(rest->items[0], "-h") || streq(rest->items[0], "--help") ||
				       streq(rest->items[0], "-help")))
			cli->args.help = true;
		return 0;
	}
	if (flags_parse(c->flags, c->n_flags, rest, true, &cli->args, err) < 0) {
		puts("Incorrect Usage.\n");
		help_command(c, c->flags, c->n_flags, stdout);
		return -1;
	}
	return 0;
}

struct job {
	struct cli *cli;
	struct strv rest;
	int rc;
	struct err err;
};

static void run_command(struct co *co, void *arg)
{
	struct job *j = arg;
	struct cli *cli = j->cli;

	cli->app.only_asks = cli->cmd->only_asks;
	cli->app.drivers = driver_set_new(cli->app.only_asks);
	j->rc = parse_command(co, cli, &j->rest, &j->err);
	if (j->rc == 0 && cli->args.help) {
		help_command(cli->cmd, cli->args.n ? cli->args.flags : cli->cmd->flags,
			cli->args.n ? cli->args.n : cli->cmd->n_flags, stdout);
	} else if (j->rc == 0) {
		if (needs_store(cli))
			j->rc = open_store(cli, &j->err);
		if (j->rc == 0 && parsed_has(&cli->args, "progress"))
			j->rc = progress_set_mode(
				cli->progress, parsed_str(&cli->args, "progress"), &j->err);
		if (j->rc == 0)
			j->rc = cli->cmd->run(co, cli, &j->err);
	}
	driver_set_close(co, cli->app.drivers);
}

static int run_on_loop(struct cli *cli, struct job *j, struct err *err)
{
	if (loop_new(&cli->app.loop, err) < 0)
		return -1;
	struct interrupts *in =
		interrupts_watch(cli->app.loop, cli->plugin ? plugin_connect() : -1, cli->plugin);
	cli->progress = progress_new(&cli->app, cli->cmd->talk == TALK_STDOUT);
	co_spawn(cli->app.loop, cli->cmd->name, run_command, j);
	loop_run(cli->app.loop);
	progress_free(take(cli->progress));
	cli->interrupted = interrupts_end(in);
	loop_free(cli->app.loop);
	if (j->rc < 0)
		err_move(err, &j->err);
	return j->rc;
}

static int dispatch(struct cli *cli, struct err *err)
{
	struct job j = {.cli = cli};
	const struct strv *words = &cli->globals.args;

	if (cli->globals.help || (!words->n && !parsed_bool(&cli->globals, "version"))) {
		help_app(cli, stdout);
		return 0;
	}
	if (parsed_bool(&cli->globals, "version")) {
		printf("%s version %s\n", cli->prog, MACHINE_VERSION_TEXT);
		return 0;
	}
	const char *name = words->items[0];
	cli->cmd = cli_find_command(name);
	if (!cli->cmd)
		return err_set(err, ERR_USER, "%s: '%s' is not a %s command. See '%s --help'.",
			cli->prog, name, cli->prog, cli->arg0);
	cli->app.native_ssh = parsed_bool(&cli->globals, "native-ssh");
	for (size_t i = 1; i < words->n; i++)
		strv_add(&j.rest, words->items[i]);
	int rc = run_on_loop(cli, &j, err);
	strv_finish(&j.rest);
	return rc;
}

/* Parts of the text may come from a driver or a host: none of it shall steer a terminal. */
static void print_error(const struct err *err)
{
	_cleanup_free_ char *text = xstrdup(err_msg(err));

	log_clean(text);
	output_flush();
	fprintf(stderr, "%s\n", text);
}

static int exit_status(const struct cli *cli, const struct err *err)
{
	if (cli->interrupted)
		return 128 + cli->interrupted;
	return create_failed_precheck(err) ? 3 : 1;
}

/* What it is called in texts, and the words after that. */
static void name_program(struct cli *cli, struct strv *ret_words)
{
	size_t own = plugin_take(&cli->argv);
	struct strv name = STRV_INIT;

	cli->plugin = own > 1;
	for (size_t i = 0; i < cli->argv.n; i++)
		strv_add(i < own ? &name : ret_words, cli->argv.items[i]);
	cli->called = strv_join(&name, " ");
	cli->arg0 = cli->called;
	const char *slash = strrchr(cli->arg0, '/');
	cli->prog = slash ? slash + 1 : cli->arg0;
	strv_finish(&name);
}

static int run_words(struct cli *cli, struct err *err)
{
	_cleanup_strv_ struct strv words = STRV_INIT;

	if (plugin_asked(&cli->argv)) {
		plugin_describe();
		return 0;
	}
	name_program(cli, &words);
	log_set_sink(command_sink, cli);
	if (flags_parse(cli_globals, ARRAY_SIZE(cli_globals), &words, false, &cli->globals, err) <
		0) {
		puts("Incorrect Usage.\n");
		help_app(cli, stdout);
		return -1;
	}
	if (set_debug(cli, err) < 0)
		return -1;
	return dispatch(cli, err);
}

int cli_main(int argc, char **argv)
{
	_cleanup_err_ struct err err = ERR_INIT;
	struct cli cli = {0};

	output_guard();
	strv_add(&cli.argv, argc ? argv[0] : "docker-machine");
	for (int i = 1; i < argc; i++)
		strv_add(&cli.argv, argv[i]);
	int rc = run_words(&cli, &err);
	if (rc == 0)
		rc = output_check(!cli.cmd || cli.cmd->talk == TALK_STDERR, &err);
	if (rc < 0) {
		cli.status = exit_status(&cli, &err);
		print_error(&err);
	}
	free(cli.called);
	parsed_finish(&cli.args);
	free(cli.create.flags);
	free(cli.create.driver);
	free(cli.create.why);
	parsed_finish(&cli.globals);
	store_free(cli.app.store);
	strv_finish(&cli.argv);
	if (rc < 0 && cli.interrupted && !cli.plugin)
		exit_by_signal(cli.interrupted);
	return cli.status;
}
