#include "mem.h"
#include "strv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above it */
#include <cmocka.h>

static void test_add(void **state)
{
	_cleanup_strv_ struct strv v = STRV_INIT;

	assert_null(v.items);
	for (int i = 0; i < 100; i++)
		strv_addf(&v, "item %d", i);
	assert_int_equal(v.n, 100);
	assert_null(v.items[100]);
	assert_string_equal(v.items[99], "item 99");
	assert_true(strv_contains(&v, "item 42"));
	assert_false(strv_contains(&v, "item"));
}

static void test_extend(void **state)
{
	_cleanup_strv_ struct strv v = STRV_INIT;

	strv_add(&v, "a");
	strv_add_take(&v, xstrdup("b"));
	strv_extend(&v, &v);
	assert_int_equal(v.n, 4);
	assert_string_equal(v.items[3], "b");
}

static void test_sort(void **state)
{
	_cleanup_strv_ struct strv v = STRV_INIT;
	_cleanup_free_ char *s = NULL;

	strv_sort(&v);
	strv_split(&v, "b,B,a,\xc3\xa4,A", ',');
	strv_sort(&v);
	s = strv_join(&v, " ");
	assert_string_equal(s, "A B a b \xc3\xa4");
}

static void check_split(const char *text, char sep, const char *joined)
{
	_cleanup_strv_ struct strv v = STRV_INIT;
	_cleanup_free_ char *s = NULL;

	strv_split(&v, text, sep);
	s = strv_join(&v, "|");
	assert_string_equal(s, joined);
}

static void test_split(void **state)
{
	check_split("", ',', "");
	check_split(",,", ',', "");
	check_split("a", ',', "a");
	check_split(" a b ,\tc\n,, d", ',', "a b|c|d");
	check_split("a:b:", ':', "a|b");
}

static void test_foreach(void **state)
{
	_cleanup_strv_ struct strv v = STRV_INIT;
	int seen = 0;

	strv_foreach (s, &v)
		fail_msg("%s", s);
	strv_split(&v, "x,y,z", ',');
	strv_foreach (s, &v) {
		assert_int_equal(s[0], 'x' + seen);
		seen++;
	}
	assert_int_equal(seen, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_add),
		cmocka_unit_test(test_extend),
		cmocka_unit_test(test_sort),
		cmocka_unit_test(test_split),
		cmocka_unit_test(test_foreach),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
