/* The clock is an argument. */
#include "throttle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MAX_AT_ONCE 8u

static void test_untouched(void **state)
{
	struct throttle t = {0};

	assert_int_equal(throttle_limit(&t, MAX_AT_ONCE), MAX_AT_ONCE);
	assert_int_equal(throttle_pause(&t, 0), 0);
	throttle_ease(&t, MAX_AT_ONCE, 5);
	assert_int_equal(throttle_limit(&t, MAX_AT_ONCE), MAX_AT_ONCE);
}

static void test_halves_down_to_one(void **state)
{
	static const unsigned limits[] = {4, 2, 1, 1};
	struct throttle t = {0};

	for (unsigned i = 0; i < 4; i++) {
		throttle_slow(&t, MAX_AT_ONCE, 100 * i, 100 * i + 50, 10);
		assert_int_equal(throttle_limit(&t, MAX_AT_ONCE), limits[i]);
	}
}

static void test_grows_one_by_one(void **state)
{
	struct throttle t = {0};

	throttle_slow(&t, MAX_AT_ONCE, 0, 50, 10);
	throttle_ease(&t, MAX_AT_ONCE, 49); /* began before: says nothing about now */
	assert_int_equal(throttle_limit(&t, MAX_AT_ONCE), 4);
	for (unsigned want = 5; want <= MAX_AT_ONCE; want++) {
		throttle_ease(&t, MAX_AT_ONCE, 100);
		assert_int_equal(throttle_limit(&t, MAX_AT_ONCE), want);
	}
	throttle_ease(&t, MAX_AT_ONCE, 100);
	assert_int_equal(throttle_limit(&t, MAX_AT_ONCE), MAX_AT_ONCE);
}

/* Eight calls that were under way together are told the same once. */
static void test_one_slow_down(void **state)
{
	struct throttle t = {0};

	for (unsigned i = 0; i < MAX_AT_ONCE; i++)
		throttle_slow(&t, MAX_AT_ONCE, i, 50 + i, 1000);
	assert_int_equal(throttle_limit(&t, MAX_AT_ONCE), 4);
	assert_int_equal(throttle_pause(&t, 57), 1000);
	assert_int_equal(throttle_pause(&t, 1057), 0);
	throttle_slow(&t, MAX_AT_ONCE, 50, 58, 10); /* an earlier end does not shorten the pause */
	assert_int_equal(throttle_pause(&t, 58), 999);
	assert_int_equal(t.paused, 1007); /* from the first to that end */
}

/* Where the provider does not say how long. */
static void test_pause_doubles(void **state)
{
	static const unsigned want[] = {1000, 2000, 4000, 8000, 16000, 30000, 30000};
	struct throttle t = {0};
	uint64_t now = 0;

	for (unsigned i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		throttle_slow(&t, MAX_AT_ONCE, now, now, 0);
		throttle_slow(&t, MAX_AT_ONCE, now, now, 0); /* not news */
		assert_int_equal(throttle_pause(&t, now), want[i]);
		now += 100000;
	}
	throttle_ease(&t, MAX_AT_ONCE, now + 1);
	throttle_slow(&t, MAX_AT_ONCE, now, now, 0);
	assert_int_equal(throttle_pause(&t, now), 1000);
}

static void test_patience_in_number(void **state)
{
	struct throttle_patience p = {0};

	for (unsigned i = 0; i < THROTTLE_REPEATS_MAX; i++)
		assert_true(throttle_again(&p, i, 10, UINT64_MAX));
	assert_false(throttle_again(&p, 11, 10, UINT64_MAX));
}

static void test_patience_in_time(void **state)
{
	struct throttle_patience p = {0};

	assert_true(throttle_again(&p, 1000, 0, UINT64_MAX));
	assert_true(throttle_again(&p, 1000 + THROTTLE_TOTAL_MS - 600000, 600000, UINT64_MAX));
	assert_false(throttle_again(&p, 1001 + THROTTLE_TOTAL_MS - 600000, 600000, UINT64_MAX));
}

/* What comes after the deadline need not be waited for. */
static void test_deadline(void **state)
{
	struct throttle_patience p = {0};

	assert_true(throttle_again(&p, 0, 999, 1000));
	assert_false(throttle_again(&p, 0, 1000, 1000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_untouched),
		cmocka_unit_test(test_halves_down_to_one),
		cmocka_unit_test(test_grows_one_by_one),
		cmocka_unit_test(test_one_slow_down),
		cmocka_unit_test(test_pause_doubles),
		cmocka_unit_test(test_patience_in_number),
		cmocka_unit_test(test_patience_in_time),
		cmocka_unit_test(test_deadline),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
