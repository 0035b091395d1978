#include "names.h"

#include "mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* What bash makes of the same words, but for those that are no ranges of numbers. */
static const struct {
	const char *word, *names;
} cases[] = {
	{"web", "web"},
	{"w{1..3}", "w1 w2 w3"},
	{"w{01..03}x", "w01x w02x w03x"},
	{"w{8..11}", "w8 w9 w10 w11"},
	{"w{08..11}", "w08 w09 w10 w11"},
	{"w{8..011}", "w008 w009 w010 w011"},
	{"w{0..2}", "w0 w1 w2"},
	{"w{3..1}", "w3 w2 w1"},
	{"w{1..10..4}", "w1 w5 w9"},
	{"w{10..1..4}", "w10 w6 w2"},
	{"w{1..2..0}", "w1 w2"},
	{"w{5..5}", "w5"},
	{"{1..2}{1..2}", "11 12 21 22"},
	{"{{1..2}", "{1 {2"},
	{"w{1..x}", "w{1..x}"},
	{"w{a..c}", "w{a..c}"},
	{"w{1...3}", "w{1...3}"},
	{"w{1..3", "w{1..3"},
	{"w{-1..3}", "w{-1..3}"},
	{"w{1..3..}", "w{1..3..}"},
	{"w{1..1234567890}", "w{1..1234567890}"},
	{"w{}", "w{}"},
	{"{", "{"},
	{"", ""},
};

static void test_ranges(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_strv_ struct strv words = STRV_INIT, names = STRV_INIT;
		struct err err = ERR_INIT;

		strv_add(&words, cases[i].word);
		assert_int_equal(names_expand(&words, &names, &err), 0);
		_cleanup_free_ char *all = strv_join(&names, " ");
		assert_string_equal(all, cases[i].names);
		assert_int_equal(names_is_range(cases[i].word), !streq(all, cases[i].word));
	}
}

static void fails(const char *word, const char *more, const char *says)
{
	_cleanup_strv_ struct strv words = STRV_INIT, names = STRV_INIT;
	_cleanup_err_ struct err err = ERR_INIT;

	strv_add(&words, word);
	if (more)
		strv_add(&words, more);
	assert_int_equal(names_expand(&words, &names, &err), -1);
	assert_string_equal(err_msg(&err), says);
}

static void test_too_many(void **state)
{
	const char *says = "Error: more than 10000 machine names";
	_cleanup_strv_ struct strv words = STRV_INIT, names = STRV_INIT;
	struct err err = ERR_INIT;

	strv_add(&words, "w{1..10000}");
	assert_int_equal(names_expand(&words, &names, &err), 0);
	assert_int_equal(names.n, NAMES_MAX);
	fails("w{1..10001}", NULL, says);
	fails("w{0..999999999}", NULL, says);
	fails("w{1..101}{1..101}", NULL, says);
	fails("w{1..10000}", "x", says);
}

static void test_count(void **state)
{
	_cleanup_strv_ struct strv names = STRV_INIT;
	_cleanup_err_ struct err err = ERR_INIT;

	assert_int_equal(names_count("w{n}-x", 3, &names, &err), 0);
	_cleanup_free_ char *all = strv_join(&names, " ");
	assert_string_equal(all, "w1-x w2-x w3-x");
	static const int64_t wrong[] = {0, -1, NAMES_MAX + 1, INT64_MIN};
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		assert_int_equal(names_count("w{n}", wrong[i], &names, &err), -1);
		assert_string_equal(err_msg(&err), "Error: --count is a number from 1 to 10000");
	}
	assert_int_equal(names_count("w", 3, &names, &err), -1);
	assert_non_null(strstr(err_msg(&err), "--count needs a --name with {n} in it"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
