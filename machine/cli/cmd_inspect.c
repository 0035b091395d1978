#include "cli.h"

#include "log.h"
#include "mem.h"
#include "query_json.h"
#include "template.h"

#include <string.h>
#include <unistd.h>

static const struct cli_flag flags[] = {
	FLAG_S("format", "f", NULL, NULL, "Format the output using the given go template."),
	FLAG_JSON,
};

static void print(struct buf *b)
{
	if (isatty(STDOUT_FILENO)) /* what a driver said is shown there, not obeyed */
		log_clean(b->data);
	fwrite(b->data, 1, b->len, stdout);
}

static int print_formatted(const struct record *rec, const char *format, struct err *err)
{
	_cleanup_template_ struct template *t = NULL;
	_cleanup_buf_ struct buf text = BUF_INIT;

	if (template_parse(format, strlen(format), TEMPLATE_NUMBERS_MEET, &t, err) < 0)
		return err_wrap(err, "template parsing error");
	int rc = template_execute(t, tmpl_json(rec->doc), &text, err);
	if (rc == 0)
		buf_addc(&text, '\n');
	if (text.len)
		print(&text);
	return rc;
}

static int run_inspect(struct co *co, struct cli *cli, struct err *err)
{
	_cleanup_record_ struct record *rec = NULL;
	const char *name, *format = parsed_str(&cli->args, "format");
	bool json = parsed_bool(&cli->args, "json"), word = streq(format, "json");

	(void)co;
	if (json && *format && !word)
		return err_set(err, ERR_USER, "Error: --format and --json exclude each other");
	if (json || word)
		return inspect_json(cli, err);
	if (cli->args.args.n > 1)
		return cli_usage(cli, err, "Error: Expected one machine name as an argument");
	if (cli_one_name(cli, &name, err) < 0 || record_load(cli->app.store, name, &rec, err) < 0)
		return -1;
	if (*format)
		return print_formatted(rec, format, err);
	_cleanup_free_ char *text = json_to_string(rec->doc, JSON_STORE);
	puts(text);
	return 0;
}

const struct command cmd_inspect = {
	.name = "inspect",
	.args = "[arg...]",
	.summary = "Inspect information about a machine",
	.description = "Argument is a machine name.",
	.flags = flags,
	.n_flags = ARRAY_SIZE(flags),
	.talk = TALK_STDERR,
	.only_asks = true,
	.run = run_inspect,
};
