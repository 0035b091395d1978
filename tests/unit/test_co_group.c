/* Many coroutines: in groups, all at once or some at a time, and cancelled together. */
#include "co_fixture.h"

static void each_item(struct co *co, size_t i, void *arg)
{
	struct record *r = arg;

	if (++r->running > r->peak)
		r->peak = r->running;
	if (r->counter++ != i)
		r->flag = true; /* out of order */
	if (co_sleep(co, 40 + i % 3) == -ECANCELED)
		note(r, -ECANCELED);
	r->running--;
}

static void each(struct co *co, void *arg)
{
	note(arg, co_each(co, 500, 0, each_item, arg));
}

static void each_bounded(struct co *co, void *arg)
{
	note(arg, co_each(co, 50, 7, each_item, arg));
}

static void test_each(void **state)
{
	struct record all = {0}, some = {0};

	co_spawn(loop, "each", each, &all);
	co_spawn(loop, "each", each_bounded, &some);
	loop_run(loop);
	assert_int_equal(all.results[0], 0);
	assert_int_equal(all.counter, 500);
	assert_int_equal(all.peak, 500);
	assert_false(all.flag);
	assert_int_equal(some.counter, 50);
	assert_int_equal(some.peak, 7);
}

static void hang_item(struct co *co, size_t i, void *arg)
{
	struct record *r = arg;

	r->counter++;
	note(r, co_wait(co));
}

static void each_hangs(struct co *co, void *arg)
{
	note(arg, co_each(co, 10, 4, hang_item, arg));
}

static void each_past_deadline(struct co *co, void *arg)
{
	struct co_deadline d;

	co_deadline_begin(co, &d, 10);
	each_hangs(co, arg);
	co_deadline_end(co, &d);
	note(arg, co_sleep(co, 1));
}

static void test_each_cancelled(void **state)
{
	struct record r = {0};

	r.other = co_spawn(loop, "each", each_hangs, &r);
	co_spawn(loop, "cancels", cancels, &r);
	loop_run(loop);
	assert_int_equal(r.counter, 4);
	assert_int_equal(r.n, 5);
	for (size_t i = 0; i < r.n; i++)
		assert_int_equal(r.results[i], -ECANCELED);
}

static void test_each_past_deadline(void **state)
{
	struct record r = {0};

	co_spawn(loop, "each", each_past_deadline, &r);
	loop_run(loop);
	assert_int_equal(r.n, 6);
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(r.results[i], -ETIMEDOUT);
	assert_int_equal(r.results[5], 0);
}

static void cancels_all(struct co *co, void *arg)
{
	co_sleep(co, 5);
	loop_cancel_all(loop);
}

static void test_cancel_all(void **state)
{
	struct record r = {0};

	co_spawn(loop, "each", each_hangs, &r);
	co_spawn(loop, "cancels", cancels_all, &r);
	loop_run(loop);
	assert_int_equal(r.n, 5);
}

static void deep(struct co *co, void *arg)
{
	struct record *r = arg;
	char text[2048];

	/* what a flow may do on its stack: format, and suspend in the middle */
	for (int i = 0; i < 3; i++) {
		snprintf(text, sizeof(text), "%0*d %.17g", 1500, i, 1.0 / 3);
		r->counter += strlen(text) > 1500;
		note(r, co_sleep(co, 1));
	}
}

static void test_many(void **state)
{
	static struct record r[500];

	memset(r, 0, sizeof(r));
	for (size_t i = 0; i < ARRAY_SIZE(r); i++)
		co_spawn(loop, "deep", deep, &r[i]);
	loop_run(loop);
	for (size_t i = 0; i < ARRAY_SIZE(r); i++)
		assert_int_equal(r[i].counter, 3);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
	static const struct CMUnitTest tests[] = {
		T(each), T(each_cancelled), T(each_past_deadline), T(cancel_all), T(many)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
