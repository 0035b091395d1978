#include "flagspec.h"
#include "mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above it */
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

static const char *const list_default[] = {"a", "b", NULL};
static const struct flagspec specs[] = {
	{.name = "x-name", .env = "X_NAME", .usage = "Name", .required = true},
	{.name = "x-port", .type = FLAG_INT, .def_int = 22, .usage = "Port"},
	{.name = "x-fast", .type = FLAG_BOOL},
	{.name = "x-tag", .type = FLAG_LIST, .def_list = list_default, .secret = true},
	{.name = "x-user", .def_str = "root"},
};

static void test_round_trip(void **state)
{
	_cleanup_json_ struct json *a = flagspec_to_json(specs, ARRAY_SIZE(specs));
	_cleanup_json_ struct json *b = NULL;
	_cleanup_free_ char *first = json_to_string(json_at(a, 0), JSON_COMPACT);
	_cleanup_err_ struct err err = ERR_INIT;
	struct flagspecs parsed;

	assert_string_equal(first,
		"{\"name\":\"x-name\",\"type\":\"string\",\"env\":\"X_NAME\",\"default\":\"\","
		"\"usage\":\"Name\",\"secret\":false,\"required\":true}");
	assert_int_equal(flagspec_from_json(a, &parsed, &err), 0);
	assert_int_equal(parsed.n, ARRAY_SIZE(specs));
	assert_null(parsed.items[1].env);
	assert_int_equal(parsed.items[1].def_int, 22);
	assert_string_equal(parsed.items[3].def_list[1], "b");
	assert_true(parsed.items[3].secret);
	b = flagspec_to_json(parsed.items, parsed.n);
	assert_true(json_equal(a, b));
	flagspecs_finish(&parsed);
}

static struct json *parse(const char *text)
{
	_cleanup_err_ struct err err = ERR_INIT;
	struct json *j = NULL;

	if (json_parse(text, strlen(text), &j, &err) < 0)
		fail_msg("%s: %s", text, err_msg(&err));
	return j;
}

static void check_refused(const char *text, const char *why)
{
	_cleanup_json_ struct json *j = parse(text);
	_cleanup_err_ struct err err = ERR_INIT;
	struct flagspecs s;

	if (flagspec_from_json(j, &s, &err) == 0)
		fail_msg("accepted: %s", text);
	assert_int_equal(err.code, ERR_PROTOCOL);
	if (!strstr(err_msg(&err), why))
		fail_msg("%s: %s", text, err_msg(&err));
}

static void test_refused(void **state)
{
	check_refused("{}", "array");
	check_refused("[1]", "flag 1");
	check_refused("[{\"type\":\"string\"}]", "name");
	check_refused("[{\"name\":\"--x\",\"type\":\"string\"}]", "name");
	check_refused("[{\"name\":\"X\",\"type\":\"string\"}]", "name");
	check_refused("[{\"name\":\"x\"}]", "type");
	check_refused("[{\"name\":\"x\",\"type\":\"float\"}]", "\"x\": the type");
	check_refused("[{\"name\":\"x\",\"type\":\"int\",\"default\":\"1\"}]", "default");
	check_refused("[{\"name\":\"x\",\"type\":\"int\",\"default\":1.5}]", "default");
	check_refused("[{\"name\":\"x\",\"type\":\"bool\",\"default\":true}]", "bool is true");
	check_refused("[{\"name\":\"x\",\"type\":\"list\",\"default\":[1]}]", "default");
	check_refused("[{\"name\":\"x\",\"type\":\"string\",\"env\":\"LD_PRELOAD\"}]", "env");
	check_refused("[{\"name\":\"x\",\"type\":\"string\",\"env\":\"1A\"}]", "env");
	check_refused("[{\"name\":\"x\",\"type\":\"string\",\"env\":7}]", "env");
	check_refused("[{\"name\":\"x\",\"type\":\"string\",\"usage\":\"a\\nb\"}]", "one line");
	check_refused("[{\"name\":\"x\",\"type\":\"string\",\"secret\":1}]", "bool");
	check_refused(
		"[{\"name\":\"x\",\"type\":\"int\"},{\"name\":\"x\",\"type\":\"int\"}]", "twice");
}

static void test_limits(void **state)
{
	_cleanup_json_ struct json *many = json_array();
	_cleanup_err_ struct err err = ERR_INIT;
	struct flagspecs s;
	char name[FLAGSPEC_NAME_MAX + 2] = "";

	for (int i = 0; i <= FLAGSPEC_MAX; i++) {
		struct json *j = json_object();

		snprintf(name, sizeof(name), "f%d", i);
		json_set_str(j, "name", name);
		json_set_str(j, "type", "bool");
		if (i == FLAGSPEC_MAX) {
			assert_int_equal(flagspec_from_json(many, &s, &err), 0);
			flagspecs_finish(&s);
		}
		json_add(many, j);
	}
	assert_int_equal(flagspec_from_json(many, &s, &err), -1);
	memset(name, 'x', FLAGSPEC_NAME_MAX + 1);
	json_set_str(json_at(many, 0), "name", name);
	assert_int_equal(flagspec_from_json(many, &s, &err), -1);
}

static void test_absent(void **state)
{
	_cleanup_json_ struct json *lean = parse("[{\"name\":\"x\",\"type\":\"list\",\"new\":{}}]");
	_cleanup_json_ struct json *value = NULL;
	_cleanup_err_ struct err err = ERR_INIT;
	struct flagspecs s = {.n = 7};

	assert_int_equal(flagspec_from_json(NULL, &s, &err), 0);
	assert_int_equal(s.n, 0);
	flagspecs_finish(&s);
	assert_int_equal(flagspec_from_json(lean, &s, &err), 0);
	assert_int_equal(s.n, 1);
	value = flagspec_default(&s.items[0]);
	assert_true(json_is(value, JSON_ARRAY));
	assert_int_equal(value->n, 0);
	flagspecs_finish(&s);
}

static void test_defaults_are_accepted(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(specs); i++) {
		_cleanup_json_ struct json *value = flagspec_default(&specs[i]);

		for (size_t k = 0; k < ARRAY_SIZE(specs); k++)
			assert_int_equal(
				flagspec_accepts(&specs[k], value), specs[k].type == specs[i].type);
		assert_false(flagspec_accepts(&specs[i], NULL));
	}
}

static void test_find(void **state)
{
	assert_ptr_equal(flagspec_find(specs, ARRAY_SIZE(specs), "x-tag"), &specs[3]);
	assert_null(flagspec_find(specs, ARRAY_SIZE(specs), "x-ta"));
	assert_string_equal(flag_type_name(FLAG_LIST), "list");
	assert_true(env_name_valid("_a1"));
	assert_false(env_name_valid(""));
	assert_false(env_name_valid("A=B"));
	assert_false(env_name_valid("LD_LIBRARY_PATH"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_absent),
		cmocka_unit_test(test_defaults_are_accepted),
		cmocka_unit_test(test_find),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
