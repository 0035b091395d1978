/* driver ls | describe NAME | test EXECUTABLE: for those who write and install drivers. */
#include "cli.h"

#include "buf.h"
#include "conform.h"
#include "mem.h"
#include "output.h"
#include "query_json.h"
#include "registry.h"
#include "tabwriter.h"

#include <errno.h>
#include <string.h>

struct described {
	struct registry_list *list;
	struct driver **drivers;
	struct err *errs;
};

static void open_one(struct co *co, size_t i, void *arg)
{
	struct described *d = arg;
	struct driver_options opt = {.file = d->list->items[i].file};

	driver_open(co, d->list->items[i].name, &opt, &d->drivers[i], &d->errs[i]);
}

static void add_line(struct buf *b, const struct registry_entry *e, const struct driver *d,
	const struct err *err)
{
	_cleanup_free_ char *version = output_clean(d ? driver_info(d)->version : "-");
	_cleanup_free_ char *text = output_clean(d ? driver_info(d)->description : err_msg(err));

	buf_addf(b, "%s\t%s\t%s\t%s\t%s\n", e->name, version, driver_origin_name(e->origin),
		e->file, text);
}

static struct json *entry_json(
	const struct registry_entry *e, const struct driver *d, const struct err *err)
{
	struct json *o = json_object();

	json_set_str(o, "name", e->name);
	json_set(o, "version", json_text(d ? driver_info(d)->version : NULL));
	json_set_str(o, "origin", driver_origin_name(e->origin));
	json_set_str(o, "executable", e->file);
	json_set(o, "description", json_text(d ? driver_info(d)->description : NULL));
	json_set(o, "error", d ? json_null() : json_string(err_msg(err)));
	return o;
}

static int driver_ls(struct co *co, struct cli *cli, const struct strv *args, struct err *err)
{
	struct registry_list list = {0};
	_cleanup_buf_ struct buf text = BUF_INIT, aligned = BUF_INIT;
	_cleanup_json_ struct json *all = json_array();
	bool json =
		args->n == 1 && (streq(args->items[0], "--json") || streq(args->items[0], "-json"));

	(void)cli;
	if (args->n && !json)
		return err_set(err, ERR_USER, "Error: driver ls takes no arguments but --json");
	registry_scan(&list);
	struct described d = {&list, xcalloc(list.n + 1, sizeof(struct driver *)),
		xcalloc(list.n + 1, sizeof(struct err))};
	int r = co_each(co, list.n, 8, open_one, &d);
	r = r == 0 && co_cancelled(co) ? -ECANCELED : r;
	buf_adds(&text, "NAME\tVERSION\tORIGIN\tEXECUTABLE\tDESCRIPTION\n");
	for (size_t i = 0; i < list.n; i++) {
		add_line(&text, &list.items[i], d.drivers[i], &d.errs[i]);
		json_add(all, entry_json(&list.items[i], d.drivers[i], &d.errs[i]));
		driver_close(co, d.drivers[i]);
		err_finish(&d.errs[i]);
	}
	free(d.drivers);
	free(d.errs);
	registry_list_finish(&list);
	if (r < 0)
		return co_err(r, err);
	tabwriter_format(buf_str(&text), 5, 3, ' ', &aligned);
	if (json)
		json_print(all);
	else
		fputs(buf_str(&aligned), stdout);
	return 0;
}

static void print_flags(const struct driver_info *info)
{
	_cleanup_buf_ struct buf text = BUF_INIT, aligned = BUF_INIT;

	buf_adds(&text, "FLAG\tTYPE\tVARIABLE\tDEFAULT\tNOTES\tUSAGE\n");
	for (size_t i = 0; i < info->flags.n; i++) {
		const struct flagspec *f = &info->flags.items[i];
		_cleanup_json_ struct json *def = flagspec_default(f);
		_cleanup_free_ char *text_def = json_to_string(def, JSON_COMPACT);
		_cleanup_free_ char *shown = output_clean(text_def);
		_cleanup_free_ char *usage = output_clean(f->usage ? f->usage : "");
		buf_addf(&text, "--%s\t%s\t%s\t%s\t%s%s%s\t%s\n", f->name, flag_type_name(f->type),
			f->env && *f->env ? f->env : "-", f->secret ? "-" : shown,
			f->required ? "required" : "", f->required && f->secret ? ", " : "",
			f->secret ? "secret" : "", usage);
	}
	tabwriter_format(buf_str(&text), 5, 3, ' ', &aligned);
	fputs(buf_str(&aligned), stdout);
}

static void print_names(const char *title, const struct json *names)
{
	printf("%-14s", title);
	for (size_t i = 0; json_at(names, i); i++) {
		_cleanup_free_ char *name = output_clean(json_str(json_at(names, i), "?"));
		printf(" %s", name);
	}
	puts(json_at(names, 0) ? "" : " -");
}

static int driver_describe(struct co *co, struct cli *cli, const struct strv *args, struct err *err)
{
	struct driver *d;

	if (args->n != 1)
		return err_set(err, ERR_USER, "Error: Expected one driver name as an argument");
	if (driver_set_get(co, cli->app.drivers, args->items[0], &d, err) < 0)
		return -1;
	const struct driver_info *i = driver_info(d);
	_cleanup_free_ char *version = output_clean(i->version);
	_cleanup_free_ char *description = output_clean(i->description);
	printf("%-14s %s\n%-14s %s\n%-14s %s\n%-14s %s (%s)\n", "Name:", i->name,
		"Version:", version, "Description:", description, "Executable:", i->file,
		driver_origin_name(i->origin));
	printf("%-14s %s\n%-14s %u\n%-14s %u\n", "Provisioned:", i->provision ? "yes" : "no",
		"Max workers:", i->max_workers, "States batch:", i->states_batch);
	if (i->machines_at_once)
		printf("%-14s %u\n", "At once:", i->machines_at_once);
	print_names("Group by:", i->group_by);
	print_names("Environment:", i->environment);
	putchar('\n');
	print_flags(i);
	return 0;
}

static int driver_test(struct co *co, struct cli *cli, const struct strv *args, struct err *err)
{
	struct conform_result r = {0};
	_cleanup_strv_ struct strv flags = STRV_INIT;

	(void)co;
	(void)cli;
	if (!args->n)
		return err_set(err, ERR_USER, "Error: Expected an executable as an argument");
	for (size_t i = 1; i < args->n; i++)
		strv_add(&flags, args->items[i]);
	if (conform_run(args->items[0], &flags, stdout, &r, err) < 0)
		return -1;
	cli->status = r.failed ? 1 : 0;
	return 0;
}

static const struct {
	const char *name;
	int (*run)(struct co *co, struct cli *cli, const struct strv *args, struct err *err);
} subcommands[] = {
	{"ls", driver_ls},
	{"describe", driver_describe},
	{"test", driver_test},
};

static int run_driver(struct co *co, struct cli *cli, struct err *err)
{
	_cleanup_strv_ struct strv rest = STRV_INIT;
	const struct strv *args = &cli->args.args;

	if (args->n > 1 && (streq(args->items[1], "-h") || streq(args->items[1], "--help"))) {
		help_command(cli->cmd, NULL, 0, stdout);
		return 0;
	}
	for (size_t i = 1; i < args->n; i++)
		strv_add(&rest, args->items[i]);
	for (size_t i = 0; args->n && i < ARRAY_SIZE(subcommands); i++)
		if (streq(args->items[0], subcommands[i].name))
			return subcommands[i].run(co, cli, &rest, err);
	return cli_usage(cli, err,
		"Error: Expected one of: driver ls, driver describe NAME, "
		"driver test EXECUTABLE [flags]");
}

const struct command cmd_driver = {
	.name = "driver",
	.args = "ls [--json] | describe NAME | test EXECUTABLE [flags]",
	.summary = "List, describe and test machine drivers",
	.description = "ls: every machine-driver-NAME that is found, with version and origin.\n"
		       "   describe NAME: its flags and capabilities.\n"
		       "   test EXECUTABLE [flags]: runs it through the driver protocol; one line "
		       "per rule.",
	.talk = TALK_STDERR,
	.raw = true,
	.run = run_driver,
};
