/* machine-image: the base images in a store's cache. `machine image` starts it. */
#include "image_cli.h"

#include "buf.h"
#include "config.h"
#include "exit_signal.h"
#include "image.h"
#include "log.h"
#include "output.h"
#include "tabwriter.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct subcommand *const subcommands[] = {&cmd_ls, &cmd_import, &cmd_build, &cmd_rm};

static volatile sig_atomic_t signal_seen;

int interrupted(void)
{
	return signal_seen;
}

static void on_signal(int number)
{
	if (signal_seen) { /* ends us when the handler does */
		signal(number, SIG_DFL);
		raise(number);
	}
	signal_seen = number;
}

static void watch_signals(void)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction now, mine = {.sa_handler = on_signal};

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		/* nohup, and shells for what they run in the background, want it ignored */
		if (sigaction(numbers[i], NULL, &now) < 0 || now.sa_handler != SIG_IGN)
			sigaction(numbers[i], &mine, NULL);
}

static const struct cli_flag globals[] = {
	{.spec = {.name = "storage-path",
		 .type = FLAG_STRING,
		 .env = "MACHINE_STORAGE_PATH",
		 .usage = "the store"},
		.alias = "s"},
	{.spec = {.name = "debug", .type = FLAG_BOOL, .usage = "Enable debug mode"}, .alias = "D"},
};

static void help_all(void)
{
	_cleanup_buf_ struct buf text = BUF_INIT, aligned = BUF_INIT;

	puts("Usage: docker-machine image COMMAND [arg...]\n\n"
	     "Make, get, list and remove the base images of local machines.\n\nCommands:");
	for (size_t i = 0; i < ARRAY_SIZE(subcommands); i++)
		buf_addf(&text, "  %s\t%s\n", subcommands[i]->name, subcommands[i]->summary);
	tabwriter_format(buf_str(&text), 0, 1, '\t', &aligned);
	fputs(buf_str(&aligned), stdout);
}

static void print_description(const char *text)
{
	_cleanup_free_ char *known = image_known_names();
	const char *mark = strstr(text, "%s");

	if (mark)
		printf("\nDescription:\n   %.*s%s%s\n", (int)(mark - text), text, known, mark + 2);
	else
		printf("\nDescription:\n   %s\n", text);
}

static void help(const struct subcommand *cmd)
{
	_cleanup_buf_ struct buf text = BUF_INIT, aligned = BUF_INIT;

	printf("Usage: docker-machine image %s%s%s%s\n\n%s\n", cmd->name,
		cmd->n_flags ? " [OPTIONS]" : "", cmd->args ? " " : "", cmd->args ? cmd->args : "",
		cmd->summary);
	if (cmd->description)
		print_description(cmd->description);
	if (!cmd->n_flags)
		return;
	puts("\nOptions:\n   ");
	for (size_t i = 0; i < cmd->n_flags; i++) {
		const struct cli_flag *f = &cmd->flags[i];

		buf_addf(&text, "   --%s%s%s%s\t%s\n", f->spec.name, f->alias ? ", -" : "",
			f->alias ? f->alias : "", f->spec.type == FLAG_STRING ? " " : "",
			f->spec.usage);
	}
	tabwriter_format(buf_str(&text), 0, 1, '\t', &aligned);
	fputs(buf_str(&aligned), stdout);
}

static int usage(const struct subcommand *cmd, struct err *err)
{
	help(cmd);
	return err_set(err, ERR_USER, "Error: Expected %s", cmd->args ? cmd->args : "no arguments");
}

static int parse(struct image_cli *c, const struct strv *words, struct err *err)
{
	const struct subcommand *cmd = c->cmd;

	if (cmd->raw) {
		strv_extend(&c->args.args, words);
		return 0;
	}
	if (flags_parse(cmd->flags, cmd->n_flags, words, true, &c->args, err) < 0) {
		puts("Incorrect Usage.\n");
		help(cmd);
		return -1;
	}
	if (c->args.help)
		return 0;
	return c->args.args.n < cmd->min_args || c->args.args.n > cmd->max_args ? usage(cmd, err)
										: 0;
}

static int run_subcommand(struct image_cli *c, const struct strv *words, struct err *err)
{
	_cleanup_strv_ struct strv rest = STRV_INIT;

	for (size_t i = 1; i < words->n; i++)
		strv_add(&rest, words->items[i]);
	for (size_t i = 0; i < ARRAY_SIZE(subcommands); i++)
		if (streq(subcommands[i]->name, words->items[0]))
			c->cmd = subcommands[i];
	if (!c->cmd) {
		help_all();
		return err_set(
			err, ERR_USER, "Error: \"image %s\" is not a command", words->items[0]);
	}
	if (parse(c, &rest, err) < 0)
		return -1;
	if (c->args.help) {
		help(c->cmd);
		return 0;
	}
	int r = c->cmd->run(c, err);
	show_end();
	return r;
}

static int run(struct image_cli *c, const struct strv *words, struct err *err)
{
	struct parsed p = {0};

	if (flags_parse(globals, ARRAY_SIZE(globals), words, false, &p, err) < 0)
		return -1;
	_cleanup_free_ char *store = md_expand_path(parsed_str(&p, "storage-path"));
	int r = 0;
	c->store_path = store;
	if (parsed_bool(&p, "debug"))
		log_set_debug(true);
	if (p.help || !p.args.n)
		help_all();
	else if (!*store)
		r = err_set(err, ERR_USER, "Error: name the store with --storage-path");
	else
		r = run_subcommand(c, &p.args, err);
	parsed_finish(&p);
	parsed_finish(&c->args);
	return r;
}

static void print_error(const struct err *err)
{
	_cleanup_free_ char *text = xstrdup(err_msg(err));

	log_clean(text);
	fprintf(stderr, "%s\n", text);
}

int main(int argc, char **argv)
{
	_cleanup_err_ struct err err = ERR_INIT;
	_cleanup_strv_ struct strv words = STRV_INIT;
	struct md_watch w = show_watch();
	struct image_cli c = {.w = &w};

	output_guard();
	watch_signals();
	for (int i = 1; i < argc; i++)
		strv_add(&words, argv[i]);
	int r = run(&c, &words, &err);
	if (r == 0)
		r = output_check(true, &err);
	if (r < 0) {
		output_flush();
		print_error(&err);
		c.status = 1;
	}
	if (interrupted())
		exit_by_signal(interrupted());
	return c.status;
}
