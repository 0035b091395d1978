/* The flag parser against the facts of Go's flag package and of the original's argument order. */
#include "flags.h"

#include "mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const list_default[] = {"x", "y", NULL};
static const struct cli_flag flags[] = {
	{.spec = {.name = "driver",
		 .type = FLAG_STRING,
		 .def_str = "virtualbox",
		 .env = "T_DRIVER"},
		.alias = "d"},
	{.spec = {.name = "count", .type = FLAG_INT, .def_int = 10, .env = "T_COUNT"},
		.alias = "t"},
	{.spec = {.name = "quiet", .type = FLAG_BOOL, .env = "T_QUIET"}, .alias = "q"},
	{.spec = {.name = "opt", .type = FLAG_LIST, .env = "T_OPT"}},
	{.spec = {.name = "deflist", .type = FLAG_LIST, .def_list = list_default}},
};

static int parse(const char *line, struct parsed *p, struct err *err)
{
	_cleanup_strv_ struct strv words = STRV_INIT;

	strv_split(&words, line, ' ');
	return flags_parse(flags, ARRAY_SIZE(flags), &words, true, p, err);
}

static void expect_error(const char *line, const char *text)
{
	struct parsed p = {0};
	_cleanup_err_ struct err err = ERR_INIT;

	assert_int_equal(parse(line, &p, &err), -1);
	assert_string_equal(err_msg(&err), text);
	assert_int_equal(err.code, ERR_USER);
}

static void expect_args(const char *line, const char *joined)
{
	struct parsed p = {0};
	_cleanup_err_ struct err err = ERR_INIT;

	assert_int_equal(parse(line, &p, &err), 0);
	_cleanup_free_ char *got = strv_join(&p.args, " ");
	assert_string_equal(got, joined);
	parsed_finish(&p);
}

static char *list_of(const char *line, const char *name)
{
	struct parsed p = {0};
	_cleanup_err_ struct err err = ERR_INIT;

	assert_int_equal(parse(line, &p, &err), 0);
	char *text = json_to_string(parsed_value(&p, name), JSON_COMPACT);
	parsed_finish(&p);
	return text;
}

static void test_values(void **state)
{
	struct parsed p = {0};
	_cleanup_err_ struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(parse("-d none --count=0x10 -q name", &p, &err), 0);
	assert_string_equal(parsed_str(&p, "driver"), "none");
	assert_int_equal(parsed_int(&p, "count"), 16);
	assert_true(parsed_bool(&p, "quiet"));
	assert_true(parsed_given(&p, "driver"));
	assert_false(parsed_given(&p, "opt"));
	parsed_finish(&p);
	assert_int_equal(parse("--d=a=b -quiet=F", &p, &err), 0);
	assert_string_equal(parsed_str(&p, "driver"), "a=b");
	assert_false(parsed_bool(&p, "quiet"));
	assert_int_equal(parsed_int(&p, "count"), 10);
	parsed_finish(&p);
	assert_int_equal(parse("-d a -q --d=b -q=0 -t 1 -t 2", &p, &err), 0); /* the last wins */
	assert_string_equal(parsed_str(&p, "driver"), "b");
	assert_false(parsed_bool(&p, "quiet"));
	assert_int_equal(parsed_int(&p, "count"), 2);
	parsed_finish(&p);
}

static void test_order(void **state)
{
	(void)state;
	expect_args("foo -d none --count 3", "foo");
	expect_args("-d none foo --count 3", "foo --count 3");
	expect_args("-q a -f", "a -f");
	expect_args("a b", "a b");
	expect_args("-- -d", "-d");
	expect_args("-d none -- name", "name");
	expect_args("a -- b", "a -- b");
	expect_args("a -d none -- b", "a -- b");
	expect_args("-", "-");
	expect_args("a - -q", "- -q a"); /* it counts as a flag until it is parsed */
	expect_args("-q false", "false");
}

static void test_errors(void **state)
{
	(void)state;
	expect_error("--bogus", "flag provided but not defined: -bogus");
	expect_error("-opt", "flag needs an argument: -opt");
	expect_error("-t abc", "invalid value \"abc\" for flag -t: parse error");
	expect_error("--quiet=maybe", "invalid boolean value \"maybe\" for -quiet: parse error");
	expect_error("-d x --driver y", "Cannot use two forms of the same flag: d driver");
	expect_error("-qd", "flag provided but not defined: -qd");
	expect_error("---x", "bad flag syntax: ---x");
	expect_error("-=x", "bad flag syntax: -=x");
}

static void test_environment(void **state)
{
	struct parsed p = {0};
	_cleanup_err_ struct err err = ERR_INIT;

	(void)state;
	setenv("T_OPT", "a, b", 1);
	_cleanup_free_ char *appended = list_of("--opt c", "opt");
	assert_string_equal(appended, "[\"a\",\"b\",\"c\"]");
	setenv("T_COUNT", "x", 1);
	setenv("T_QUIET", "nope", 1);
	setenv("T_DRIVER", "", 1);
	assert_int_equal(parse("", &p, &err), 0);
	assert_int_equal(parsed_int(&p, "count"), 10);
	assert_false(parsed_bool(&p, "quiet"));
	assert_string_equal(parsed_str(&p, "driver"), "virtualbox");
	parsed_finish(&p);
	unsetenv("T_OPT");
	unsetenv("T_COUNT");
	unsetenv("T_QUIET");
	unsetenv("T_DRIVER");
}

static void test_list_replaces_default(void **state)
{
	(void)state;
	_cleanup_free_ char *untouched = list_of("", "deflist");
	_cleanup_free_ char *replaced = list_of("--deflist z --deflist w,v", "deflist");
	assert_string_equal(untouched, "[\"x\",\"y\"]");
	assert_string_equal(replaced, "[\"z\",\"w,v\"]");
}

static void test_help(void **state)
{
	struct parsed p = {0};
	_cleanup_err_ struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(parse("x -h", &p, &err), 0);
	assert_true(p.help);
	parsed_finish(&p);
}

static void test_go_ints(void **state)
{
	int64_t v;

	(void)state;
	assert_true(go_parse_int("-0x1f", &v) && v == -31);
	assert_true(go_parse_int("010", &v) && v == 8);
	assert_true(go_parse_int("0o17", &v) && v == 15);
	assert_true(go_parse_int("+7", &v) && v == 7);
	assert_true(go_parse_int("0", &v) && v == 0);
	assert_false(go_parse_int("", &v));
	assert_false(go_parse_int("1 ", &v));
	assert_false(go_parse_int(" 1", &v));
	assert_false(go_parse_int("9223372036854775808", &v));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_environment),
		cmocka_unit_test(test_list_replaces_default),
		cmocka_unit_test(test_help),
		cmocka_unit_test(test_go_ints),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
