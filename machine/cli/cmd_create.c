/* create: the driver is found first, because its flags belong to the command line. */
#include "cli.h"

#include "buf.h"
#include "create_many.h"
#include "create_names.h"
#include "create_options.h"
#include "default_driver.h"
#include "host_context.h"
#include "log.h"
#include "mem.h"
#include "names.h"

#include <string.h>
#include <unistd.h>

#define INSTALL_URL "https://get.docker.com"
#define CONTEXT_FLAG "docker-context"

static const struct cli_flag shared_flags[] = {
	FLAG_S("driver", "d", "", "MACHINE_DRIVER", "Driver to create machine with."),
	FLAG_S("engine-install-url", NULL, INSTALL_URL, "MACHINE_DOCKER_INSTALL_URL",
		"Custom URL to use for engine installation; file:PATH runs a local script, none "
		"skips"),
	FLAG_L("engine-opt", NULL, NULL,
		"Specify arbitrary flags to include with the created engine in the form "
		"flag=value"),
	FLAG_L("engine-insecure-registry", NULL, NULL,
		"Specify insecure registries to allow with the created engine"),
	FLAG_L("engine-registry-mirror", NULL, "ENGINE_REGISTRY_MIRROR",
		"Specify registry mirrors to use"),
	FLAG_L("engine-label", NULL, NULL, "Specify labels for the created engine"),
	FLAG_S("engine-storage-driver", NULL, "", NULL,
		"Specify a storage driver to use with the engine"),
	FLAG_L("engine-env", NULL, NULL, "Specify environment variables to set in the engine"),
	FLAG_B("swarm", NULL, NULL, "Configure Machine to join a Swarm cluster"),
	FLAG_S("swarm-image", NULL, "swarm:latest", "MACHINE_SWARM_IMAGE",
		"Specify Docker image to use for Swarm"),
	FLAG_B("swarm-master", NULL, NULL, "Configure Machine to be a Swarm master"),
	FLAG_S("swarm-discovery", NULL, "", NULL, "Discovery service to use with Swarm"),
	FLAG_S("swarm-strategy", NULL, "spread", NULL,
		"Define a default scheduling strategy for Swarm"),
	FLAG_L("swarm-opt", NULL, NULL, "Define arbitrary flags for Swarm master"),
	FLAG_L("swarm-join-opt", NULL, NULL, "Define arbitrary flags for Swarm join"),
	FLAG_S("swarm-host", NULL, "tcp://0.0.0.0:3376", NULL,
		"ip/socket to listen on for Swarm master"),
	FLAG_S("swarm-addr", NULL, "", NULL,
		"addr to advertise for Swarm (default: detect and use the machine IP)"),
	FLAG_B("swarm-experimental", NULL, NULL, "Enable Swarm experimental features"),
	FLAG_L("tls-san", NULL, NULL, "Support extra SANs for TLS certs"),
	FLAG_B(CONTEXT_FLAG, NULL, "MACHINE_DOCKER_CONTEXT",
		"Also make it a context of the docker client, by the machine's name"),
	FLAG_S("resume", NULL, "", NULL,
		"Continue the creation of the named machine where it ended"),
	FLAG_S(NAME_FLAG, NULL, "", NULL,
		"Name of the machine, instead of an argument; with --count, {n} is the number"),
	FLAG_I("count", NULL, 0, NULL, "Create so many machines, named by --name"),
	FLAG_S("on-failure", NULL, "keep", NULL,
		"What to do with a machine that could not be completed: keep or remove"),
	FLAG_PARALLEL,
	FLAG_PROGRESS,
};

/* As the original looks for it: anywhere in argv; the last counts, as with any flag. NULL: nobody
 * says which. */
static const char *driver_of(const struct strv *argv, char **store)
{
	static const char *const forms[] = {"-d", "--driver", "-driver", "--d"};
	const char *env = getenv("MACHINE_DRIVER");

	for (size_t i = argv->n; i-- > 0;) {
		for (size_t k = 0; k < ARRAY_SIZE(forms); k++) {
			const char *a = argv->items[i];
			size_t len = strlen(forms[k]);
			if (streq(a, forms[k]) && i + 1 < argv->n)
				return argv->items[i + 1];
			if (strncmp(a, forms[k], len) == 0 && a[len] == '=')
				return *store = xstrdup(a + len + 1);
		}
	}
	return env && *env ? env : NULL;
}

/* Before the flags can be parsed: --NAME or -NAME, with a value or without. */
static bool mentions(const struct strv *rest, const char *flag)
{
	size_t len = strlen(flag);

	strv_foreach (a, rest) {
		const char *name = a + (*a == '-') + (a[0] == '-' && a[1] == '-');
		if (name != a && strncmp(name, flag, len) == 0 && (!name[len] || name[len] == '='))
			return true;
	}
	return false;
}

static int by_help_line(const void *a, const void *b)
{
	const struct cli_flag *x = a, *y = b;

	return strcmp(x->spec.name, y->spec.name);
}

static int check_clash(const struct driver_info *info, struct err *err)
{
	for (size_t i = 0; i < info->flags.n; i++)
		for (size_t k = 0; k < ARRAY_SIZE(shared_flags); k++)
			if (streq(info->flags.items[i].name, shared_flags[k].spec.name))
				return err_set(err, ERR_PROTOCOL,
					"driver \"%s\" declares the flag --%s, which is create's "
					"own (G1)",
					info->name, shared_flags[k].spec.name);
	return 0;
}

/* The driver's flags are not known, so what is a name and what a flag's value cannot be told; by
 * custom the name comes last. */
static int blame_start(const struct strv *rest, const char *driver, struct err *err)
{
	const char *last = rest->n ? rest->items[rest->n - 1] : "";

	if (!strstr(err_msg(err), driver))
		err_wrap(err, "driver \"%s\"", driver);
	if (machine_name_valid(last) && !streq(last, driver)) /* create -d DRIVER, and no name */
		err_wrap(err, "%s", last);
	return err_wrap(err, "Error getting new host");
}

static int blame_default(const struct cli *cli, struct err *err)
{
	_cleanup_free_ char *text = xstrdup(err_msg(err));

	if (cli->create.chosen)
		return -1;
	return err_set(err, err->code, "%s\nNo driver was given, and no local one works here (%s).",
		text, cli->create.why);
}

static int find_driver(struct co *co, struct cli *cli, const struct strv *rest,
	const struct driver_info **ret, struct err *err)
{
	_cleanup_free_ char *from_argv = NULL;
	const char *name = driver_of(&cli->argv, &from_argv);
	struct driver *d;

	cli->create.chosen = name != NULL;
	cli->create.driver = default_driver_choose(geteuid(), &cli->create.why);
	name = name ? name : cli->create.driver;
	if (driver_set_get(co, cli->app.drivers, name, &d, err) < 0)
		return err->code == ERR_NOT_FOUND ? blame_default(cli, err)
						  : blame_start(rest, name, err);
	*ret = driver_info(d);
	return check_clash(*ret, err);
}

/* create's own, and those of a driver (NULL: none); sorted as help shows them. */
static struct cli_flag *join_flags(const struct driver_info *info, const char *usual, size_t *ret_n)
{
	size_t n = ARRAY_SIZE(shared_flags), extra = info ? info->flags.n : 0;
	struct cli_flag *flags = xcalloc(n + extra, sizeof(*flags));

	memcpy(flags, shared_flags, sizeof(shared_flags));
	for (size_t i = 0; i < extra; i++)
		flags[n + i].spec = info->flags.items[i];
	flags[0].spec.def_str = usual; /* --driver */
	qsort(flags, n + extra, sizeof(*flags), by_help_line);
	*ret_n = n + extra;
	return flags;
}

struct cli_flag *create_flags(
	struct co *co, struct cli *cli, const struct strv *words, size_t *ret_n)
{
	_cleanup_free_ char *from_words = NULL, *why = NULL, *usual = NULL;
	_cleanup_err_ struct err e = ERR_INIT;
	const char *name = driver_of(words, &from_words);
	struct driver *d;

	if (!name)
		usual = default_driver_choose(geteuid(), &why);
	if (driver_set_get(co, cli->app.drivers, name ? name : usual, &d, &e) < 0)
		return join_flags(NULL, "", ret_n);
	return join_flags(driver_info(d), "", ret_n);
}

static int prepare_create(struct co *co, struct cli *cli, const struct strv *rest, struct err *err)
{
	const struct driver_info *info = NULL;
	size_t n;

	cli->create.chosen = true; /* a machine that is resumed has one */
	if (!mentions(rest, "resume") && find_driver(co, cli, rest, &info, err) < 0)
		return -1;
	struct cli_flag *all = join_flags(info, cli->create.driver ? cli->create.driver : "", &n);
	cli->create.flags = all;
	if (flags_parse(all, n, rest, true, &cli->args, err) < 0) {
		puts("Incorrect Usage.\n");
		help_command(cli->cmd, all, n, stdout);
		return -1;
	}
	return 0;
}

/* All flags but what is nothing to a driver. */
static struct json *driver_flags(const struct cli *cli)
{
	struct json *values = json_object();

	for (size_t i = 0; i < cli->args.n; i++) {
		const char *name = cli->args.flags[i].spec.name;

		if (!streq(name, CONTEXT_FLAG) && !create_flag_is_ours(name))
			json_set(values, name, json_copy(cli->args.values[i]));
	}
	return values;
}

static int check_swarm(const struct cli *cli, struct err *err)
{
	const char *discovery = parsed_str(&cli->args, "swarm-discovery");

	if (*discovery && !strstr(discovery, "://"))
		return err_set(err, ERR_USER,
			"Error parsing swarm discovery: Swarm Discovery URL was in the wrong "
			"format: %s",
			discovery);
	if (parsed_bool(&cli->args, "swarm") || parsed_bool(&cli->args, "swarm-master"))
		return err_set(err, ERR_NOT_SUPPORTED,
			"Classic Swarm is gone: its image and its discovery service no longer "
			"exist. Create the machines "
			"without --swarm and use swarm mode: docker swarm init on the first, "
			"docker swarm join on the others.");
	return 0;
}

static int check_required(const struct cli *cli, struct err *err)
{
	for (size_t i = 0; i < cli->args.n; i++) {
		const struct flagspec *s = &cli->args.flags[i].spec;
		const struct json *v = cli->args.values[i];
		bool empty = json_is(v, JSON_STRING) ? !v->n : json_is(v, JSON_ARRAY) && !v->n;
		if (s->required && empty && !cli->args.given[i])
			return err_set(err, ERR_USER,
				"Error setting machine configuration from flags provided: --%s is "
				"required%s%s%s",
				s->name, s->env ? " (or the variable " : "", s->env ? s->env : "",
				s->env ? ")" : "");
	}
	return 0;
}

/* Before anything is made: the name that the context shall have is free. */
static int check_context(struct cli *cli, const char *name, struct err *err)
{
	enum context_owner owner = CONTEXT_NONE;

	if (!parsed_bool(&cli->args, CONTEXT_FLAG))
		return 0;
	if (docker_context_look(cli->app.store, name, &owner, err) < 0)
		return -1;
	return owner == CONTEXT_FOREIGN ? docker_context_taken(name, err) : 0;
}

static int check_contexts(struct cli *cli, const struct strv *names, struct err *err)
{
	strv_foreach (name, names)
		if (check_context(cli, name, err) < 0)
			return -1;
	return 0;
}

/* The machine is complete: it stays whatever becomes of its context. */
static int make_context(
	struct co *co, struct cli *cli, const char *name, struct create_end *end, struct err *err)
{
	end->left = CREATE_LEFT_WHOLE;
	if (!end->context || cli_act(co, cli, name, host_context_make, err) == 0)
		return 0;
	return err_wrap(err,
		"Docker machine \"%s\" is ready, but has no docker context (\"docker-machine "
		"context %s\" tries again)",
		name, name);
}

static int make_new(
	struct co *co, struct cli *cli, const char *name, struct create_end *end, struct err *err)
{
	_cleanup_json_ struct json *values = driver_flags(cli);
	const char *driver = parsed_str(&cli->args, "driver");
	_cleanup_json_ struct json *options = NULL;

	end->left = CREATE_LEFT_NOTHING;
	end->context = parsed_bool(&cli->args, CONTEXT_FLAG);
	if (create_options(cli, name, &options, err) < 0 ||
		create_machine(co, &cli->app, name, driver, values, take(options), end, err) < 0)
		return -1;
	return make_context(co, cli, name, end, err);
}

static int go_on(
	struct co *co, struct cli *cli, const char *name, struct create_end *end, struct err *err)
{
	if (create_resume(co, &cli->app, name, end, err) < 0)
		return -1;
	if (parsed_given(&cli->args, CONTEXT_FLAG))
		end->context = parsed_bool(&cli->args, CONTEXT_FLAG);
	return make_context(co, cli, name, end, err);
}

/* One machine is made as ever: its lines, its error. */
static int make(
	struct co *co, struct cli *cli, const struct strv *names, create_fn fn, struct err *err)
{
	bool remove_failed = streq(parsed_str(&cli->args, "on-failure"), "remove");
	store_sweep(cli->app.store);
	struct create_many many = {cli, names, remove_failed, fn};

	if (names->n > 1)
		return create_many(co, &many, err);
	const char *name = names->items[0];
	co_tag(co, name);
	struct create_end end = {.remove_failed = remove_failed};
	int rc = fn(co, cli, name, &end, err);
	if (rc < 0)
		create_advise(name, end.left, err);
	progress_end(cli->progress, name, rc < 0 ? err : NULL);
	co_tag(co, NULL);
	return rc;
}

static int check_new(struct cli *cli, const struct strv *names, struct err *err)
{
	if (names->n == 1 && create_check_name(names->items[0], err) < 0)
		return -1;
	if (check_swarm(cli, err) < 0)
		return -1;
	if (names->n > 1 && create_check_names(cli, names, err) < 0)
		return -1;
	if (store_exists(cli->app.store, names->items[0]))
		return err_set(
			err, ERR_EXISTS, "Docker machine \"%s\" already exists", names->items[0]);
	return check_required(cli, err) < 0 ? -1 : check_contexts(cli, names, err);
}

static int create_new(struct co *co, struct cli *cli, struct strv *ret_names, struct err *err)
{
	if (create_names(cli, ret_names, err) < 0 || check_new(cli, ret_names, err) < 0)
		return -1;
	if (!cli->create.chosen)
		log_info("No driver given: using \"%s\" (%s).", parsed_str(&cli->args, "driver"),
			cli->create.why);
	return make(co, cli, ret_names, make_new, err);
}

/* Of a range, some may be complete already. */
static int leave_out_complete(const struct cli *cli, struct strv *names, struct err *err)
{
	_cleanup_strv_ struct strv all = *names;

	*names = STRV_INIT;
	strv_foreach (name, &all) {
		_cleanup_record_ struct record *rec = NULL;
		_cleanup_err_ struct err ignored = ERR_INIT;

		if (record_load(cli->app.store, name, &rec, &ignored) == 0 &&
			record_is_complete(rec))
			log_info("(%s) is complete already", name);
		else
			strv_add(names, name);
	}
	if (names->n)
		return 0;
	return err_set(
		err, ERR_USER, "All these machines are complete: there is nothing to resume");
}

/* What the machine is to be was said at first, and is not changed by saying it again. */
static int check_resume_flags(const struct cli *cli, struct err *err)
{
	static const char *const fit[] = {"resume", "driver", CONTEXT_FLAG};

	for (size_t i = 0; i < cli->args.n; i++) {
		const char *name = cli->args.flags[i].spec.name;
		bool ours = create_flag_is_ours(name);

		for (size_t k = 0; k < ARRAY_SIZE(fit); k++)
			ours = ours || streq(name, fit[k]);
		if (cli->args.given[i] && !ours)
			return err_set(err, ERR_USER,
				"Error: --resume NAME goes on as create was told: --%s cannot be "
				"given",
				name);
	}
	return 0;
}

static int resume(struct co *co, struct cli *cli, struct strv *ret_names, struct err *err)
{
	_cleanup_strv_ struct strv words = STRV_INIT;

	if (cli->args.args.n || parsed_given(&cli->args, NAME_FLAG) ||
		parsed_given(&cli->args, "count"))
		return err_set(err, ERR_USER, "Error: --resume NAME takes no further arguments");
	strv_add(&words, parsed_str(&cli->args, "resume"));
	if (check_resume_flags(cli, err) < 0 || names_expand(&words, ret_names, err) < 0 ||
		(ret_names->n > 1 && leave_out_complete(cli, ret_names, err) < 0) ||
		check_contexts(cli, ret_names, err) < 0)
		return -1;
	return make(co, cli, ret_names, go_on, err);
}

static int check_on_failure(const struct cli *cli, struct err *err)
{
	const char *how = parsed_str(&cli->args, "on-failure");

	if (streq(how, "keep") || streq(how, "remove"))
		return 0;
	return err_set(err, ERR_USER, "Error: --on-failure is keep or remove, not \"%s\"", how);
}

static int run_create(struct co *co, struct cli *cli, struct err *err)
{
	_cleanup_strv_ struct strv names = STRV_INIT;
	unsigned parallel;

	if (check_on_failure(cli, err) < 0 || cli_parallel(cli, 0, &parallel, err) < 0)
		return -1;
	if ((parsed_given(&cli->args, "resume") ? resume : create_new)(co, cli, &names, err) < 0)
		return -1;
	log_info("To see how to connect your Docker Client to the Docker Engine running on this "
		 "virtual machine, run: %s env %s",
		cli->arg0, names.n == 1 ? names.items[0] : "NAME");
	return 0;
}

const struct command cmd_create = {
	.name = "create",
	.args = "[arg...]",
	.summary = "Create a machine",
	.description = "Run 'docker-machine create --driver name --help' to include the create "
		       "flags for that driver in the help text.",
	.flags = shared_flags,
	.n_flags = ARRAY_SIZE(shared_flags),
	.talk = TALK_STDOUT,
	.prepare = prepare_create,
	.run = run_create,
};
