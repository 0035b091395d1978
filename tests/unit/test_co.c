/* One coroutine: what it waits for, wakes, deadlines and clocks that stop, cancellation, tags. */
#include "co_fixture.h"

static void sleeper(struct co *co, void *arg)
{
	struct record *r = arg;
	uint64_t begin = loop_now(loop);

	note(r, co_sleep(co, 30));
	r->took = loop_now(loop) - begin;
}

static void test_sleep(void **state)
{
	struct record r = {0};

	co_spawn(loop, "sleeper", sleeper, &r);
	loop_run(loop);
	assert_int_equal(r.results[0], 0);
	assert_in_range(r.took, 30, 5000);
}

static void waits_for_wake(struct co *co, void *arg)
{
	struct record *r = arg;

	while (!r->flag)
		note(r, co_wait(co));
}

static void wakes(struct co *co, void *arg)
{
	struct record *r = arg;

	co_wake(r->other); /* spurious */
	note(r, co_yield (co));
	note(r, co_yield (co));
	r->flag = true;
	co_wake(r->other);
	co_wake(r->other);
}

static void test_wake(void **state)
{
	struct record r = {0};

	r.other = co_spawn(loop, "waits", waits_for_wake, &r);
	co_spawn(loop, "wakes", wakes, &r);
	loop_run(loop);
	assert_true(r.flag);
	for (size_t i = 0; i < r.n; i++)
		assert_int_equal(r.results[i], 0);
	assert_int_equal(r.n, 4);
}

static void early_wake(struct co *co, void *arg)
{
	struct record *r = arg;

	co_wake(co);
	co_wake(co);
	note(r, co_sleep(co, 1)); /* does not swallow it */
	note(r, co_wait(co));
	note(r, co_wait_ms(co, 5));
}

static void test_wake_before_wait(void **state)
{
	struct record r = {0};

	co_spawn(loop, "early", early_wake, &r);
	loop_run(loop);
	assert_int_equal(r.results[0], 0);
	assert_int_equal(r.results[1], 0);
	assert_int_equal(r.results[2], -ETIMEDOUT);
}

/* Its clock stops for half a minute, which somebody announces while we wait. */
struct stops {
	struct co *co;
	uint64_t stopped;
	int results[3];
	uint64_t left;
};

static void announce(struct co *co, void *arg)
{
	struct stops *s = arg;

	co_sleep(co, 5);
	s->stopped += 30000;
	co_sleep(co, 60);
	co_wake(s->co);
}

static void wait_in_group(struct co *co, size_t i, void *arg)
{
	struct stops *s = arg;

	s->results[1] = co_sleep(co, 100);
}

static void stopping(struct co *co, void *arg)
{
	struct stops *s = arg;
	struct co_deadline outer, d;

	s->co = co;
	s->stopped = 1000;
	co_deadline_begin(co, &outer, 60000);
	co_deadline_begin(co, &d, 30);
	co_deadline_stops(&d, &s->stopped, 1000);
	co_spawn(loop, "announce", announce, s);
	s->results[0] = co_wait(co);
	co_each(co, 1, 0, wait_in_group, s);
	s->left = co_deadline_left(co);
	s->stopped = 1000;
	s->results[2] = co_wait(co);
	co_deadline_end(co, &d);
	co_deadline_end(co, &outer);
}

static void test_clock_stops(void **state)
{
	struct stops s = {0};

	co_spawn(loop, "stopping", stopping, &s);
	loop_run(loop);
	assert_int_equal(s.results[0], 0);
	assert_int_equal(s.results[1], 0);
	assert_in_range(s.left, 20000, 30000);
	assert_int_equal(s.results[2], -ETIMEDOUT);
}

static void stops_within(struct co *co, void *arg)
{
	struct stops *s = arg;
	struct co_deadline outer, d;

	s->stopped = 30000;
	co_deadline_begin(co, &outer, 20);
	co_deadline_begin(co, &d, 10);
	co_deadline_stops(&d, &s->stopped, 0);
	s->results[1] = 1;
	co_each(co, 1, 0, wait_in_group, s);
	s->results[0] = co_wait(co);
	co_deadline_end(co, &d);
	co_deadline_end(co, &outer);
}

/* What does not stop counts all the same. */
static void test_clock_stops_within_another(void **state)
{
	struct stops s = {0};

	co_spawn(loop, "stopping", stops_within, &s);
	loop_run(loop);
	assert_int_equal(s.results[0], -ETIMEDOUT);
	assert_int_equal(s.results[1], -ETIMEDOUT);
}

static void deadlines(struct co *co, void *arg)
{
	struct record *r = arg;
	struct co_deadline outer, inner;

	co_deadline_begin(co, &outer, 40);
	co_deadline_begin(co, &inner, 10);
	note(r, co_wait(co));
	note(r, co_sleep(co, 1));
	note(r, co_yield (co));
	co_mask(co);
	note(r, co_sleep(co, 1));
	co_unmask(co);
	co_deadline_end(co, &inner);
	note(r, co_sleep(co, 1));
	note(r, co_sleep(co, 10000));
	co_deadline_end(co, &outer);
	note(r, co_deadline_left(co) == UINT64_MAX);
	co_deadline_begin(co, &outer, 0);
	note(r, co_sleep(co, 1));
	co_deadline_end(co, &outer);
}

static void test_deadlines(void **state)
{
	static const int want[] = {-ETIMEDOUT, -ETIMEDOUT, -ETIMEDOUT, 0, 0, -ETIMEDOUT, 1, 0};
	struct record r = {0};

	co_spawn(loop, "deadlines", deadlines, &r);
	loop_run(loop);
	assert_int_equal(r.n, ARRAY_SIZE(want));
	for (size_t i = 0; i < r.n; i++)
		assert_int_equal(r.results[i], want[i]);
}

static void is_cancelled(struct co *co, void *arg)
{
	struct record *r = arg;

	note(r, co_wait(co));
	note(r, co_sleep(co, 10000));
	note(r, co_fd(co, 0, UV_READABLE, 0, NULL));
	co_mask(co);
	note(r, co_sleep(co, 1));
	note(r, co_yield (co));
	co_unmask(co);
	note(r, co_yield (co));
	note(r, co_cancelled(co));
}

static void test_cancel(void **state)
{
	static const int want[] = {-ECANCELED, -ECANCELED, -ECANCELED, 0, 0, -ECANCELED, 1};
	struct record r = {0};

	r.other = co_spawn(loop, "cancelled", is_cancelled, &r);
	co_spawn(loop, "cancels", cancels, &r);
	loop_run(loop);
	assert_int_equal(r.n, ARRAY_SIZE(want));
	for (size_t i = 0; i < r.n; i++)
		assert_int_equal(r.results[i], want[i]);
}

static void masked_wait(struct co *co, void *arg)
{
	struct record *r = arg;

	co_mask(co);
	note(r, co_sleep(co, 30));
	note(r, co_wait_ms(co, 5));
	co_unmask(co);
	note(r, co_sleep(co, 0));
}

static void test_cancel_while_masked(void **state)
{
	struct record r = {0};

	r.other = co_spawn(loop, "masked", masked_wait, &r);
	co_spawn(loop, "cancels", cancels, &r);
	loop_run(loop);
	assert_int_equal(r.results[0], 0);
	assert_int_equal(r.results[1], -ETIMEDOUT);
	assert_int_equal(r.results[2], -ECANCELED);
}

static void test_err(void **state)
{
	_cleanup_err_ struct err err = ERR_INIT;

	assert_int_equal(co_err(-ECANCELED, &err), -1);
	assert_int_equal(err.code, ERR_CANCELED);
	co_err(-ETIMEDOUT, &err);
	assert_int_equal(err.code, ERR_TIMEOUT);
	co_err(-EBADF, &err);
	assert_int_equal(err.errnum, EBADF);
}

struct tags {
	const char *seen[4];
	char *own;
};

static void tagged_child(struct co *co, size_t i, void *arg)
{
	struct tags *t = arg;

	t->own = xstrdup(loop_tag(loop) ? loop_tag(loop) : "none");
	co_tag(co, "child");
}

static void tag_flow(struct co *co, void *arg)
{
	struct tags *t = arg;

	t->seen[0] = loop_tag(loop);
	co_tag(co, "web1");
	co_each(co, 1, 0, tagged_child, t);
	t->seen[1] = streq(loop_tag(loop), "web1") ? "web1" : NULL;
	co_tag(co, NULL);
	t->seen[2] = loop_tag(loop);
}

/* Those that a coroutine spawns work for whom it works for. */
static void test_tags(void **state)
{
	struct tags t = {.seen = {"", "", "", NULL}};

	co_spawn(loop, "flow", tag_flow, &t);
	loop_run(loop);
	assert_null(t.seen[0]);
	assert_string_equal(t.own, "web1");
	assert_string_equal(t.seen[1], "web1");
	assert_null(t.seen[2]);
	assert_null(loop_tag(loop));
	free(t.own);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
	static const struct CMUnitTest tests[] = {T(sleep), T(wake), T(wake_before_wait),
		T(deadlines), T(clock_stops), T(clock_stops_within_another), T(cancel),
		T(cancel_while_masked), T(err), T(tags)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
