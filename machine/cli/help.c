/* Help texts. Completion scripts parse their shape: three blanks, --name first, tabs before the
 * text. */
#include "cli.h"

#include "buf.h"
#include "config.h"
#include "mem.h"
#include "output.h"
#include "tabwriter.h"

#include <string.h>

static void add_names(struct buf *b, const struct cli_flag *f)
{
	const char *const names[] = {f->spec.name, f->alias};

	for (size_t i = 0; i < ARRAY_SIZE(names) && names[i]; i++)
		buf_addf(b, "%s%s%s", i ? ", " : "", names[i][1] ? "--" : "-", names[i]);
}

/* `--long, -s "default"<tab>text [$VAR]` */
static void add_flag(struct buf *b, const struct cli_flag *f)
{
	const struct flagspec *s = &f->spec;
	_cleanup_free_ char *usage = output_clean(s->usage ? s->usage : "");
	_cleanup_free_ char *def = output_clean(s->def_str ? s->def_str : "");
	const char *sep = "";

	switch (s->type) {
	case FLAG_BOOL:
		add_names(b, f);
		break;
	case FLAG_STRING:
		add_names(b, f);
		buf_adds(b, " ");
		if (*def)
			buf_addf(b, "\"%s\"", s->secret ? "…" : def);
		break;
	case FLAG_INT:
		add_names(b, f);
		buf_addf(b, " \"%lld\"", s->def_int);
		break;
	case FLAG_LIST:
		buf_addf(b, "--%s [", s->name);
		for (size_t i = 0; i < 2; i++, sep = " ")
			buf_addf(b, "%s--%s option", sep, s->name);
		buf_addc(b, ']');
		break;
	}
	buf_addf(b, "\t%s", usage);
	if (s->env && *s->env)
		buf_addf(b, " [$%s]", s->env);
}

void help_command(const struct command *cmd, const struct cli_flag *flags, size_t n, FILE *out)
{
	_cleanup_buf_ struct buf text = BUF_INIT, aligned = BUF_INIT;

	fprintf(out, "Usage: docker-machine %s%s %s\n\n%s\n", cmd->name, n ? " [OPTIONS]" : "",
		cmd->args, cmd->summary);
	if (cmd->description)
		fprintf(out, "\nDescription:\n   %s\n", cmd->description);
	if (!n)
		return;
	fputs("\nOptions:\n   \n", out);
	for (size_t i = 0; i < n; i++) {
		buf_adds(&text, "   ");
		add_flag(&text, &flags[i]);
		buf_addc(&text, '\n');
	}
	tabwriter_format(buf_str(&text), 0, 1, '\t', &aligned);
	fputs(buf_str(&aligned), out);
}

void help_app(const struct cli *cli, FILE *out)
{
	_cleanup_buf_ struct buf text = BUF_INIT, aligned = BUF_INIT;
	_cleanup_free_ char *store = cli_store_path(cli);

	fprintf(out,
		"Usage: %s [OPTIONS] COMMAND [arg...]\n\nCreate and manage machines running "
		"Docker.\n\n"
		"Version: %s\n\nAuthor:\n  The machine authors\n\nOptions:\n",
		cli->prog, MACHINE_VERSION);
	for (size_t i = 0; i < cli_n_globals; i++) {
		struct cli_flag f = cli_globals[i];
		if (streq(f.spec.name, "storage-path"))
			f.spec.def_str = store;
		buf_adds(&text, "  ");
		add_flag(&text, &f);
		buf_addc(&text, '\n');
	}
	buf_adds(&text, "  --help, -h\tshow help\n  --version, -v\tprint the version\n");
	tabwriter_format(buf_str(&text), 0, 1, '\t', &aligned);
	fprintf(out, "%s\nCommands:\n", buf_str(&aligned));
	buf_clear(&text);
	buf_clear(&aligned);
	for (size_t i = 0; cli_commands[i]; i++) {
		const struct command *c = cli_commands[i];
		if (c->hidden)
			continue;
		buf_addf(&text, "  %s%s%s\t%s\n", c->name, c->alias ? ", " : "",
			c->alias ? c->alias : "", c->summary);
	}
	tabwriter_format(buf_str(&text), 0, 1, '\t', &aligned);
	fprintf(out, "%s\nRun '%s COMMAND --help' for more information on a command.\n",
		buf_str(&aligned), cli->prog);
}

static int run_help(struct co *co, struct cli *cli, struct err *err)
{
	(void)co;
	if (!cli->args.args.n) {
		help_app(cli, stdout);
		return 0;
	}
	const char *name = cli->args.args.items[0];
	const struct command *cmd = cli_find_command(name);
	if (!cmd)
		return err_set(err, ERR_USER, "%s: '%s' is not a %s command. See '%s --help'.",
			cli->prog, name, cli->prog, cli->arg0);
	help_command(cmd, cmd->flags, cmd->n_flags, stdout);
	return 0;
}

const struct command cmd_help = {
	.name = "help",
	.alias = "h",
	.args = "[command]",
	.summary = "Shows a list of commands or help for one command",
	.talk = TALK_STDERR,
	.run = run_help,
};
