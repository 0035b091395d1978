/* The clock is an argument, and the provider a bucket of tokens. */
#include "pace.h"

#include "mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_untouched(void **state)
{
	struct pace p = {0};

	for (int64_t now = 0; now < 3; now++) {
		assert_int_equal(pace_wait_ms(&p, now), 0);
		pace_served(&p);
	}
}

static void test_refused_once(void **state)
{
	struct pace p = {0};
	unsigned n = 0;

	pace_refused(&p);
	assert_int_equal(pace_wait_ms(&p, 1000), 0);
	assert_int_equal(pace_wait_ms(&p, 1000), PACE_FIRST_MS);
	assert_int_equal(pace_wait_ms(&p, 1150), PACE_FIRST_MS / 2);
	for (; p.apart_ms > 0; n++)
		pace_served(&p);
	assert_in_range(n, 50, 150); /* it is forgiven */
}

/* Whoever waited for a machine meanwhile does not pay for what was before. */
static void test_idle(void **state)
{
	struct pace p = {0};

	for (unsigned i = 0; i < 1000; i++)
		pace_refused(&p);
	pace_wait_ms(&p, 0);
	pace_wait_ms(&p, 2 * PACE_MOST_MS); /* that is its pace still */
	assert_int_equal(pace_wait_ms(&p, 2 * PACE_MOST_MS), PACE_MOST_MS);
	pace_wait_ms(&p, 80000);
	assert_in_range(pace_wait_ms(&p, 80000), PACE_MOST_MS / 3, PACE_MOST_MS / 2 + 500);
	pace_wait_ms(&p, 400000);
	assert_int_equal(pace_wait_ms(&p, 400000), 0);
}

static void test_bounded(void **state)
{
	struct pace p = {0};

	for (unsigned i = 0; i < 1000; i++)
		pace_refused(&p);
	pace_wait_ms(&p, 0);
	assert_int_equal(pace_wait_ms(&p, 0), PACE_MOST_MS);
}

#define PROCESSES_MAX 32u
#define PAUSE_MS 375 /* of one that was refused, as in api.c */
#define TIME_MS 60000
#define CALL_MS 5

struct outcome {
	unsigned served, refused;
};

/* So many processes, each with calls enough, at a provider that serves `rate` of them a second. */
static struct outcome play(unsigned processes, double rate)
{
	struct pace all[PROCESSES_MAX] = {0};
	int64_t due[PROCESSES_MAX] = {0};
	struct outcome ret = {0};
	double tokens = rate;

	for (int64_t now = 0; now < TIME_MS; now++, tokens = MIN(rate, tokens + rate / 1000)) {
		for (unsigned i = 0; i < processes; i++) {
			struct pace *p = &all[i];
			if (due[i] > now)
				continue;
			if (tokens >= 1) {
				tokens -= 1;
				ret.served++;
				pace_served(p);
				due[i] = now + CALL_MS;
			} else {
				ret.refused++;
				pace_refused(p);
				due[i] = now + PAUSE_MS;
			}
			due[i] += pace_wait_ms(p, due[i]);
		}
	}
	return ret;
}

static void test_together(void **state)
{
	static const struct {
		unsigned processes;
		double rate;
		double refused_max; /* of those served; the beginning is in it */
	} worlds[] = {{1, 5, 0.1}, {8, 20, 0.1}, {8, 5, 0.25}, {8, 100, 0.05}, {32, 20, 0.4}};

	for (size_t i = 0; i < ARRAY_SIZE(worlds); i++) {
		struct outcome o = play(worlds[i].processes, worlds[i].rate);
		double possible = worlds[i].rate * TIME_MS / 1000;

		if (o.served < 0.85 * possible || o.refused > worlds[i].refused_max * o.served)
			fail_msg("%u processes at %.0f a second: %u served of %.0f, %u refused",
				worlds[i].processes, worlds[i].rate, o.served, possible, o.refused);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_untouched),
		cmocka_unit_test(test_refused_once),
		cmocka_unit_test(test_bounded),
		cmocka_unit_test(test_idle),
		cmocka_unit_test(test_together),
	};

	return cmocka_run_group_tests_name("pace", tests, NULL, NULL);
}
