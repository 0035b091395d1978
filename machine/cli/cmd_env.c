/* env and config: how a client reaches a machine's engine. */
#include "cli.h"

#include "buf.h"
#include "host_context.h"
#include "log.h"
#include "mem.h"
#include "quote.h"
#include "record_engine.h"
#include "tcp.h"

#include <stdlib.h>
#include <string.h>

#define TLS_MS 20000u

/* Syntax of each shell: around name and value when setting, around the name when unsetting, the
 * hint, and what within a value must not be taken for syntax. */
static const struct shell {
	const char *name;
	const char *set, *set_mid, *set_end;
	const char *unset, *unset_mid, *unset_end;
	const char *hint;           /* %s: the command line */
	const char *special;        /* characters of a value that are wrapped */
	const char *before, *after; /* in these */
} shells[] = {
	{"bash", "export ", "=\"", "\"\n", "unset ", "", "\n",
		"# Run this command to configure your shell: \n# eval $(%s)\n", "\"\\$`", "\\", ""},
	{"fish", "set -gx ", " \"", "\";\n", "set -e ", "", ";\n",
		"# Run this command to configure your shell: \n# eval (%s)\n", "\"\\$", "\\", ""},
	{"powershell", "$Env:", " = \"", "\"\n", "Remove-Item Env:\\\\", "", "\n",
		"# Run this command to configure your shell: \n# & %s | Invoke-Expression\n",
		"\"$`", "`", ""},
	{"cmd", "SET ", "=", "\n", "SET ", "=", "\n",
		"REM Run this command to configure your shell: \n"
		"REM \t@FOR /f \"tokens=*\" %%i IN ('%s') DO @%%i\n",
		"", "", ""},
	{"tcsh", "setenv ", " \"", "\";\n", "unsetenv ", "", ";\n",
		": Run this command to configure your shell: \n: eval `%s`\n", "\"$`!", "\"'",
		"'\""},
	{"emacs", "(setenv \"", "\" \"", "\")\n", "(setenv \"", "\" nil", ")\n",
		";; Run this command to configure your shell: \n"
		";; (with-temp-buffer (shell-command \"%s\" (current-buffer)) (eval-buffer))\n",
		"\"\\", "\\", ""},
};

static const struct {
	const char *alias, *name;
} shell_aliases[] = {{"csh", "tcsh"}, {"pwsh", "powershell"}};

static const struct shell *find_shell(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(shell_aliases); i++)
		if (streq(name, shell_aliases[i].alias))
			name = shell_aliases[i].name;
	for (size_t i = 0; i < ARRAY_SIZE(shells); i++)
		if (streq(name, shells[i].name))
			return &shells[i];
	return &shells[0]; /* sh, zsh, ksh and whatever else is new: Bourne syntax */
}

static int choose_shell(const struct cli *cli, const struct shell **ret, struct err *err)
{
	const char *name = parsed_str(&cli->args, "shell");
	const char *env = getenv("SHELL");

	if (!*name) {
		if ((!env || !*env) && parsed_bool(&cli->args, "unset")) {
			env = "sh"; /* what is unset is spelled alike in most shells */
		} else if (!env || !*env) {
			log_warn("The default lines below are for a sh/bash shell, you can specify "
				 "the "
				 "shell you're using, with the --shell flag.");
			return err_set(err, ERR_USER, "Error: Unknown shell");
		}
		const char *slash = strrchr(env, '/');
		name = slash ? slash + 1 : env;
	}
	*ret = find_shell(name);
	return 0;
}

static void add_set(struct buf *b, const struct shell *s, const char *name, const char *value)
{
	buf_addf(b, "%s%s%s", s->set, name, s->set_mid);
	for (const char *p = value; *p; p++) {
		bool special = strchr(s->special, *p) != NULL;
		buf_addf(b, "%s%c%s", special ? s->before : "", *p, special ? s->after : "");
	}
	buf_adds(b, s->set_end);
}

static void add_unset(struct buf *b, const struct shell *s, const char *name)
{
	buf_addf(b, "%s%s%s%s", s->unset, name, s->unset_mid, s->unset_end);
}

static void add_hint(struct buf *b, const struct cli *cli, const struct shell *s)
{
	_cleanup_free_ char *line = strv_join(&cli->argv, " ");
	_cleanup_buf_ struct buf words = BUF_INIT;

	if (strpbrk(cli->argv.items[0], " \\"))
		buf_addf(&words, "\"%s\"%s", cli->argv.items[0], line + strlen(cli->argv.items[0]));
	else
		buf_adds(&words, line);
	/* the table's hints have one %s and escaped %% */
	for (const char *p = s->hint; *p; p++) {
		if (p[0] == '%' && p[1] == 's') {
			buf_adds(b, buf_str(&words));
			p++;
		} else if (p[0] == '%' && p[1] == '%') {
			buf_addc(b, '%');
			p++;
		} else {
			buf_addc(b, *p);
		}
	}
}

static const char *no_proxy_name(const char **ret_value)
{
	const char *lower = getenv("no_proxy"), *upper = getenv("NO_PROXY");

	if (lower && *lower)
		return *ret_value = lower, "no_proxy";
	*ret_value = upper ? upper : "";
	return "NO_PROXY";
}

static void add_no_proxy(struct buf *b, const struct shell *s, const char *ip)
{
	const char *old, *name = no_proxy_name(&old);
	_cleanup_strv_ struct strv entries = STRV_INIT;

	strv_split(&entries, old, ',');
	if (!*ip || strv_contains(&entries, ip)) {
		add_set(b, s, name, old);
		return;
	}
	_cleanup_free_ char *all = *old ? xasprintf("%s,%s", old, ip) : xstrdup(ip);
	add_set(b, s, name, all);
}

/* What the checks of env and config find out. */
struct boilerplate {
	char *url;
	char *ip;
	char *dir;
};

static void boilerplate_finish(struct boilerplate *p)
{
	free(p->url);
	free(p->ip);
	free(p->dir);
}

static int swarm_url(struct host *h, char **url, struct err *err)
{
	_cleanup_free_ char *engine_host = NULL, *swarm_host = NULL;
	const char *swarm = json_str(record_swarm(h->rec, "Host"), "");
	const char *from = strstr(*url, "://"), *to = strstr(swarm, "://");
	int port;

	if (!json_bool_or(record_swarm(h->rec, "Master"), false))
		return err_set(err, ERR_USER,
			"\"%s\" is not a swarm master. The --swarm flag is intended for use with "
			"swarm masters",
			h->rec->name);
	if (!from || !to || tcp_split(from + 3, &engine_host, &port, err) < 0 ||
		tcp_split(to + 3, &swarm_host, &port, err) < 0)
		return err->code ? -1 : err_set(err, ERR_USER, "no swarm address is known");
	_cleanup_free_ char *joined = tcp_join(engine_host, port);
	free(*url);
	*url = xasprintf("tcp://%s", joined);
	return 0;
}

static int check(
	struct co *co, struct host *h, bool swarm, struct boilerplate *ret, struct err *err)
{
	struct machine_report r = {0};

	if (host_report(co, h, &r, err) < 0)
		return -1;
	ret->dir = xstrdup(h->dir);
	ret->ip = xstrdup(r.ip);
	int rc = report_url(&r, &ret->url, err);
	machine_report_finish(&r);
	if (rc < 0)
		return -1;
	if (record_check_tls(co, h->app->store, h->rec, ret->url, TLS_MS, err) < 0)
		return host_advise_certs(ret->url, err);
	host_warn_certs(h);
	if (!swarm)
		return 0;
	if (swarm_url(h, &ret->url, err) < 0)
		return -1;
	struct engine_tls tls = record_tls(h->rec);
	if (engine_check_tls(co, ret->url, &tls, TLS_MS, err) < 0)
		return err_set(err, ERR_UNAVAILABLE,
			"Connection to Swarm cannot be checked but the certs are valid. Maybe "
			"swarm is not started");
	return 0;
}

/* That a machine cannot be loaded is told as it is; `what` is what else goes wrong. */
static int check_name(struct co *co, struct cli *cli, const char *name, const char *what,
	struct boilerplate *ret, struct err *err)
{
	struct host *h;

	if (cli_open_host(co, cli, name, &h, err) < 0)
		return -1;
	int rc = check(co, h, parsed_bool(&cli->args, "swarm"), ret, err);
	host_close(co, h);
	if (rc < 0 && err->code != ERR_NOT_FOUND && err->code != ERR_NOT_RUNNING)
		err_wrap(err, "%s", what);
	return rc;
}

static const char *const engine_variables[] = {
	"DOCKER_TLS_VERIFY", "DOCKER_HOST", "DOCKER_CERT_PATH"};

static void add_unset_engine(struct buf *b, const struct shell *s)
{
	for (size_t i = 0; i < ARRAY_SIZE(engine_variables); i++)
		add_unset(b, s, engine_variables[i]);
}

static int run_unset(struct cli *cli, const struct shell *s, struct err *err)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	const char *value;

	if (cli->args.args.n)
		return err_set(err, ERR_USER,
			"Error: Expected no machine name when the -u flag is present");
	add_unset_engine(&b, s);
	if (parsed_bool(&cli->args, "context"))
		add_unset(&b, s, "DOCKER_CONTEXT");
	add_unset(&b, s, "DOCKER_MACHINE_NAME");
	if (parsed_bool(&cli->args, "no-proxy"))
		add_unset(&b, s, no_proxy_name(&value));
	add_hint(&b, cli, s);
	fputs(buf_str(&b), stdout);
	return 0;
}

static void add_engine(struct buf *b, const struct shell *s, const struct boilerplate *p)
{
	const char *const values[] = {"1", p->url, p->dir};

	for (size_t i = 0; i < ARRAY_SIZE(values); i++)
		add_set(b, s, engine_variables[i], values[i]);
}

/* The variables for an engine have more to say than a context's, so they go. */
static int add_context(struct co *co, struct cli *cli, struct buf *b, const struct shell *s,
	const char *machine, struct err *err)
{
	_cleanup_strv_ struct strv names = STRV_INIT;
	_cleanup_free_ char *context = docker_context_name(machine);

	strv_add(&names, machine);
	if (cli_each(co, cli, &names, host_context_make, err) < 0)
		return -1;
	add_unset_engine(b, s);
	add_set(b, s, "DOCKER_CONTEXT", context);
	return 0;
}

static int run_env(struct co *co, struct cli *cli, struct err *err)
{
	__attribute__((cleanup(boilerplate_finish))) struct boilerplate p = {0};
	_cleanup_buf_ struct buf b = BUF_INIT;
	const struct shell *s;
	const char *name;

	if (choose_shell(cli, &s, err) < 0)
		return -1;
	if (parsed_bool(&cli->args, "unset"))
		return run_unset(cli, s, err);
	if (parsed_bool(&cli->args, "context") && parsed_bool(&cli->args, "swarm"))
		return err_set(err, ERR_USER, "Error: --context and --swarm exclude each other");
	if (cli_one_name(cli, &name, err) < 0)
		return -1;
	if (check_name(co, cli, name, "Error checking TLS connection", &p, err) < 0)
		return -1;
	if (!parsed_bool(&cli->args, "context"))
		add_engine(&b, s, &p);
	else if (add_context(co, cli, &b, s, name, err) < 0)
		return -1;
	add_set(&b, s, "DOCKER_MACHINE_NAME", name);
	if (parsed_bool(&cli->args, "no-proxy"))
		add_no_proxy(&b, s, p.ip);
	add_hint(&b, cli, s);
	fputs(buf_str(&b), stdout);
	return 0;
}

static const struct cli_flag env_flags[] = {
	FLAG_B("swarm", NULL, NULL, "Display the Swarm config instead of the Docker daemon"),
	FLAG_S("shell", NULL, "", NULL,
		"Force environment to be configured for a specified shell: [fish, cmd, powershell, "
		"tcsh, emacs], default is auto-detect"),
	FLAG_B("unset", "u", NULL, "Unset variables instead of setting them"),
	FLAG_B("no-proxy", NULL, NULL, "Add machine IP to NO_PROXY environment variable"),
	FLAG_B("context", NULL, NULL,
		"Set DOCKER_CONTEXT to a context of the docker client, which is made for it"),
};

const struct command cmd_env = {
	.name = "env",
	.args = "[arg...]",
	.summary = "Display the commands to set up the environment for the Docker client",
	.description = "Argument is a machine name.",
	.flags = env_flags,
	.n_flags = ARRAY_SIZE(env_flags),
	.talk = TALK_STDERR,
	.only_asks = true,
	.run = run_env,
};

static void print_file(const char *flag, const char *dir, const char *file)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", dir, file);
	_cleanup_free_ char *quoted = go_quote(path);

	printf("--%s=%s\n", flag, quoted);
}

static int run_config(struct co *co, struct cli *cli, struct err *err)
{
	__attribute__((cleanup(boilerplate_finish))) struct boilerplate p = {0};
	const char *name;

	if (cli_one_name(cli, &name, err) < 0)
		return -1;
	if (check_name(co, cli, name, "Error running connection boilerplate", &p, err) < 0)
		return -1;
	puts("--tlsverify");
	print_file("tlscacert", p.dir, "ca.pem");
	print_file("tlscert", p.dir, "cert.pem");
	print_file("tlskey", p.dir, "key.pem");
	printf("-H=%s\n", p.url);
	return 0;
}

static const struct cli_flag config_flags[] = {
	FLAG_B("swarm", NULL, NULL, "Display the Swarm config instead of the Docker daemon"),
};

const struct command cmd_config = {
	.name = "config",
	.args = "[arg...]",
	.summary = "Print the connection config for machine",
	.description = "Argument is a machine name.",
	.flags = config_flags,
	.n_flags = ARRAY_SIZE(config_flags),
	.talk = TALK_STDERR,
	.only_asks = true,
	.run = run_config,
};
