#include "create_names.h"

#include "buf.h"
#include "mem.h"
#include "names.h"

#include <string.h>

static const char *const own_flags[] = {NAME_FLAG, "count", "on-failure", "parallel", "progress"};

bool create_flag_is_ours(const char *flag)
{
	for (size_t i = 0; i < ARRAY_SIZE(own_flags); i++)
		if (streq(flag, own_flags[i]))
			return true;
	return false;
}

#define NAME_MAX_BYTES 63u /* the name becomes the host's own: longer is none for DNS */

int create_check_name(const char *name, struct err *err)
{
	if (!machine_name_valid(name))
		return err_set(err, ERR_USER,
			"Error creating machine: Invalid hostname specified. Allowed hostname "
			"chars are: 0-9a-zA-Z . -");
	if (strlen(name) > NAME_MAX_BYTES)
		return err_set(err, ERR_USER,
			"Error creating machine: Invalid hostname specified. \"%.70s\" is longer "
			"than %u characters",
			name, NAME_MAX_BYTES);
	return 0;
}

static int extra_arguments(const struct strv *args, struct err *err)
{
	_cleanup_strv_ struct strv extra = STRV_INIT;

	for (size_t i = 1; i < args->n; i++)
		strv_add(&extra, args->items[i]);
	_cleanup_free_ char *all = strv_join(&extra, " ");
	return err_set(err, ERR_USER, "Invalid command line. Found extra arguments [%s]", all);
}

/* The words are names of machines, not what is left of a command line with an error in it. By its
 * old name the program takes several only where something says that they are meant. */
static bool names_are_meant(const struct cli *cli, const struct strv *words)
{
	bool told = false, valid = true;

	for (size_t i = 0; i < ARRAY_SIZE(own_flags); i++)
		told = told || parsed_given(&cli->args, own_flags[i]);
	strv_foreach (word, words) {
		if (word[0] == '-')
			return false;
		told = told || names_is_range(word);
		valid = valid && machine_name_valid(word);
	}
	return told || (valid && !cli_old_name(cli));
}

static int counted_names(const struct cli *cli, struct strv *ret, struct err *err)
{
	const char *text = parsed_str(&cli->args, NAME_FLAG);
	_cleanup_strv_ struct strv words = STRV_INIT;

	if (cli->args.args.n)
		return err_set(err, ERR_USER,
			"Error: Give machine names or --name (with --count), not both");
	if (parsed_given(&cli->args, "count"))
		return names_count(text, parsed_int(&cli->args, "count"), ret, err);
	strv_add(&words, text);
	return names_expand(&words, ret, err);
}

int create_names(struct cli *cli, struct strv *ret, struct err *err)
{
	const struct strv *args = &cli->args.args;

	if (parsed_given(&cli->args, NAME_FLAG) || parsed_given(&cli->args, "count"))
		return counted_names(cli, ret, err);
	if (args->n > 1 && !names_are_meant(cli, args))
		return extra_arguments(args, err);
	if (!args->n) {
		help_command(cli->cmd, cli->args.flags, cli->args.n, stdout);
		return err_set(err, ERR_USER, "Error: No machine name specified");
	}
	return names_expand(args, ret, err);
}

int create_check_names(const struct cli *cli, const struct strv *names, struct err *err)
{
	_cleanup_strv_ struct strv sorted = STRV_INIT;
	_cleanup_buf_ struct buf all = BUF_INIT;

	strv_extend(&sorted, names);
	strv_sort(&sorted);
	for (size_t i = 0; i < sorted.n; i++) {
		_cleanup_err_ struct err e = ERR_INIT;
		const char *name = sorted.items[i];

		if (i && streq(name, sorted.items[i - 1]))
			err_set(&e, ERR_USER, "the name is given twice");
		else if (create_check_name(name, &e) == 0 && store_exists(cli->app.store, name))
			err_set(&e, ERR_EXISTS, "Docker machine \"%s\" already exists", name);
		if (e.code != ERR_NONE)
			buf_addf(&all, "%s%s: %s", all.len ? "\n" : "", name, err_msg(&e));
	}
	return all.len ? err_set(err, ERR_USER, "%s", buf_str(&all)) : 0;
}
