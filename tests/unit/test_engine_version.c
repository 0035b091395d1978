#include "engine_version.h"

#include "mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void assert_order(const char *older, const char *newer)
{
	if (engine_version_compare(older, newer) != -1 || engine_version_compare(newer, older) != 1)
		fail_msg("%s is not older than %s", older, newer);
}

static void assert_same(const char *a, const char *b)
{
	if (engine_version_compare(a, b) != 0 || engine_version_compare(b, a) != 0)
		fail_msg("%s and %s are not the same", a, b);
}

static void test_order(void **state)
{
	(void)state;
	assert_order("1.9.1", "1.10.0");
	assert_order("1.13.0", "1.13.1");
	assert_order("1.13.1", "17.03.0-ce");
	assert_order("99.0", "17.03.0-ce"); /* none without is newer than a community edition */
	assert_order("17.03.0-ce", "17.06.2-ce");
	assert_order("1.13.1", "19.03.1");
	assert_order("1.13.1", "20.10.0");
	assert_order("1.13.1", "20.10.24+dfsg1");
	assert_order("1.13.1", "26.1.5+dfsg1");
	assert_order("1.13", "1.13.1");
	assert_order("1.13.1", "1.13.1-rc1"); /* the candidate's number is one more */
	assert_order("1.13.1-rc1", "1.13.1-rc2");
	assert_order("1.13.0-rc7", "1.13.1");
	assert_order("1..9", "1.0.10");
}

static void test_same(void **state)
{
	(void)state;
	assert_same("1.13.1", "1.13.1");
	assert_same("1.13.1", "1.13.1-cs2");
	assert_same("1.13", "1.13.0.0");
	assert_same("1.13.x", "1.13");
	assert_same("dev", "");
	assert_same("17.06.0-ce", "17.6-ce-dev");
	assert_same("1.99999999999999999999", "1");
	assert_same("1.-5", "1.0");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order), cmocka_unit_test(test_same)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
