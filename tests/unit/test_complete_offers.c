/* The table of offers against the table of commands. */
#include "complete.h"

#include "mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static bool has_flag(const struct cli_flag *flags, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (streq(flags[i].spec.name, name))
			return flags[i].spec.type != FLAG_BOOL;
	return false;
}

/* Each row is about a command that there is, and a flag of it that takes a value. */
static void test_rows_have_commands(void **state)
{
	const char *path, *flag;

	for (size_t i = 0; offer_row_at(i, &path, &flag); i++) {
		_cleanup_free_ char *name = xstrndup(path, strcspn(path, " "));
		const struct command *c = cli_find_command(name);
		if (!*path) {
			assert_true(has_flag(cli_globals, cli_n_globals, flag));
			continue;
		}
		assert_non_null(c);
		if (flag && c != &cmd_image) /* whose flags are another program's */
			assert_true(has_flag(c->flags, c->n_flags, flag));
	}
}

static bool has_row(const char *name)
{
	const char *path, *flag;

	for (size_t i = 0; offer_row_at(i, &path, &flag); i++)
		if (!flag && streq(path, name))
			return true;
	return false;
}

/* Each command says what its operands may be. */
static void test_commands_have_rows(void **state)
{
	for (size_t i = 0; cli_commands[i]; i++)
		if (!cli_commands[i]->hidden && !has_row(cli_commands[i]->name))
			fail_msg("complete_offers.c has no row for %s", cli_commands[i]->name);
}

static void test_subcommands(void **state)
{
	assert_true(offer_has_subcommand("driver"));
	assert_true(offer_has_subcommand("image"));
	assert_false(offer_has_subcommand("driver ls"));
	assert_false(offer_has_subcommand("ls"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows_have_commands),
		cmocka_unit_test(test_commands_have_rows),
		cmocka_unit_test(test_subcommands),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
