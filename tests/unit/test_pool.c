#include "pool.h"

#include "host_fixture.h"

#define MANY 12

struct run {
	struct pool *pool;
	struct co *co;
	unsigned max;
	int greeting; /* what greet returns */
	unsigned greeted;
	int order[MANY];
	size_t n_order;
	size_t most; /* processes */
	unsigned failures;
	long pids[MANY];
	int result;
	struct err err;
	uint64_t took;
	unsigned busy, most_busy, expected; /* at once */
	unsigned limits[3];
};

static int greet(struct co *co, void *ud, struct channel *ch, struct err *err)
{
	struct run *r = ud;
	_cleanup_json_ struct json *result = NULL;
	_cleanup_buf_ struct buf params = BUF_INIT;

	r->greeted++;
	r->most = MAX(r->most, pool_size(r->pool));
	buf_adds(&params, "{}");
	if (r->greeting < 0)
		return err_set(err, ERR_NOT_SUPPORTED, "not welcome");
	return channel_call(co, ch, "initialize", &params, NULL, &result, err);
}

static int ask(struct co *co, struct run *r, const char *deeds, bool fresh, long *ret_pid)
{
	_cleanup_json_ struct json *result = NULL;
	_cleanup_buf_ struct buf params = BUF_INIT;
	struct err err = ERR_INIT;
	struct worker *w;
	int n;

	buf_addf(&params, "{\"do\":[%s]}", deeds);
	if (pool_acquire(co, r->pool, fresh, &w, &err) < 0) {
		err_move(&r->err, &err);
		return -1;
	}
	n = channel_call(co, worker_channel(w), "test", &params, NULL, &result, &err);
	pool_release(w);
	err_finish(&err);
	if (ret_pid)
		*ret_pid = (long)json_int_or(json_get(result, "pid"), 0);
	return n;
}

static void in_order(struct co *co, size_t i, void *arg)
{
	struct run *r = arg;

	if (ask(co, r, "[\"sleep\", 0.02], [\"echo\"]", false, &r->pids[i]) < 0)
		r->failures++;
	r->order[r->n_order++] = (int)i;
}

static void start(struct co *co, struct run *r)
{
	_cleanup_free_ char *file = in_dir("fake");
	_cleanup_free_ char *path = xasprintf("PATH=%s", getenv("PATH"));
	struct pool_options opt = {"fake", file, NULL, r->max, greet, r};
	struct strv env = STRV_INIT;

	r->co = co;
	r->pool = pool_new(loop, &opt);
	strv_add(&env, path);
	pool_set_environment(r->pool, &env);
}

static void run(struct run *r, co_fn fn)
{
	free(fake_driver("fake", NULL));
	co_spawn(loop, "flow", fn, r);
	loop_run(loop);
	assert_no_child();
}

static void serve_in_order(struct co *co, void *arg)
{
	struct run *r = arg;

	start(co, r);
	r->result = co_each(co, MANY, 0, in_order, r);
	pool_close(co, r->pool);
}

static void test_single_worker_is_fair(void **state)
{
	struct run r = {.max = 1};

	run(&r, serve_in_order);
	assert_int_equal(r.failures, 0);
	assert_int_equal(r.greeted, 1);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(r.order[i], i);
}

static void test_bounded(void **state)
{
	struct run r = {.max = 3};

	run(&r, serve_in_order);
	assert_int_equal(r.failures, 0);
	assert_int_equal(r.most, 3);
	assert_int_equal(r.greeted, 3);
}

static void reuse(struct co *co, void *arg)
{
	struct run *r = arg;

	start(co, r);
	for (int i = 0; i < 3; i++)
		r->failures += ask(co, r, "[\"echo\"]", false, &r->pids[i]) < 0;
	ask(co, r, "[\"exit\", 1]", false, NULL);
	for (int i = 3; i < 5; i++)
		r->failures += ask(co, r, "[\"echo\"]", i == 4, &r->pids[i]) < 0;
	pool_close(co, r->pool);
}

static void test_reuse_and_replacement(void **state)
{
	struct run r = {.max = 4};

	run(&r, reuse);
	assert_int_equal(r.failures, 0);
	assert_int_equal(r.pids[0], r.pids[1]);
	assert_int_equal(r.pids[1], r.pids[2]);
	assert_int_not_equal(r.pids[2], r.pids[3]); /* it died */
	assert_int_not_equal(r.pids[3], r.pids[4]); /* a fresh one was asked for */
	assert_int_equal(r.greeted, 3);
}

static void idle_death(struct co *co, void *arg)
{
	struct run *r = arg;

	start(co, r);
	r->failures += ask(co, r, "[\"echo\"]", false, &r->pids[0]) < 0;
	kill((pid_t)r->pids[0], SIGKILL);
	while (pool_size(r->pool) > 0)
		co_sleep(co, 5);
	r->failures += ask(co, r, "[\"echo\"]", false, &r->pids[1]) < 0;
	pool_close(co, r->pool);
}

static void test_death_while_idle(void **state)
{
	struct run r = {.max = 1};

	run(&r, idle_death);
	assert_int_equal(r.failures, 0);
	assert_int_not_equal(r.pids[0], r.pids[1]);
}

static void test_greeting_fails(void **state)
{
	struct run r = {.max = 2, .greeting = -1};

	run(&r, serve_in_order);
	assert_int_equal(r.failures, MANY); /* each is told, none waits for ever */
	assert_string_equal(err_msg(&r.err), "not welcome");
	err_finish(&r.err);
}

static void test_cannot_start(void **state)
{
	struct run r = {.max = 2};

	co_spawn(loop, "flow", serve_in_order, &r); /* there is no file */
	loop_run(loop);
	assert_int_equal(r.failures, MANY);
	assert_int_equal(r.err.code, ERR_NOT_FOUND);
	err_finish(&r.err);
}

static void cancel_soon(struct co *co, void *arg)
{
	struct run *r = arg;

	while (!r->greeted)
		co_sleep(co, 5);
	co_cancel(r->co);
}

static void test_cancelled_in_the_queue(void **state)
{
	struct run r = {.max = 1};

	co_spawn(loop, "cancel", cancel_soon, &r);
	run(&r, serve_in_order);
	assert_int_equal(r.failures, MANY);
	err_finish(&r.err);
}

static void close_busy(struct co *co, void *arg)
{
	struct run *r = arg;
	uint64_t begin;

	start(co, r);
	r->failures +=
		ask(co, r, "[\"ignore\", 15], [\"answer\", {}], [\"sleep\", 30]", false, NULL) < 0;
	begin = loop_now(loop);
	co_cancel(co);
	pool_close(co, r->pool);
	r->took = loop_now(loop) - begin;
}

static void test_close_ends_the_stubborn(void **state)
{
	struct run r = {.max = 1};

	run(&r, close_busy);
	assert_int_equal(r.failures, 0);
	assert_in_range(r.took, 600, 3000); /* end of input, SIGTERM, SIGKILL */
}

static void count_busy(struct co *co, size_t i, void *arg)
{
	struct run *r = arg;
	struct worker *w;

	if (pool_acquire(co, r->pool, false, &w, &r->err) < 0) {
		r->failures++;
		return;
	}
	r->most_busy = MAX(r->most_busy, ++r->busy);
	do /* a worker more than that would be given out meanwhile */
		co_sleep(co, 5);
	while (r->most_busy < r->expected && co_deadline_left(co));
	r->busy--;
	pool_release(w);
}

static bool at_once(struct co *co, struct run *r, unsigned expected)
{
	struct co_deadline d;

	r->expected = expected;
	r->most_busy = 0;
	co_deadline_begin(co, &d, 20000);
	int rc = co_each(co, MANY, 0, count_busy, r);
	co_deadline_end(co, &d);
	return rc == 0 && r->most_busy == expected;
}

/* Four workers are there, and idle; two of them are given out, then four again. */
static void slow_down(struct co *co, void *arg)
{
	struct run *r = arg;
	uint64_t begin;

	start(co, r);
	r->failures += !at_once(co, r, 4);
	begin = loop_now(loop);
	pool_slow(r->pool, begin, 150);
	r->limits[0] = pool_limit(r->pool);
	r->failures += !at_once(co, r, 2);
	r->took = loop_now(loop) - begin;
	pool_ease(r->pool, begin + 1);
	r->limits[1] = pool_limit(r->pool);
	pool_ease(r->pool, begin + 1);
	r->limits[2] = pool_limit(r->pool);
	r->failures += !at_once(co, r, 4);
	pool_close(co, r->pool);
}

static void test_slowed_down(void **state)
{
	struct run r = {.max = 4};

	run(&r, slow_down);
	assert_int_equal(r.failures, 0);
	assert_int_equal(r.limits[0], 2);
	assert_int_equal(r.limits[1], 3);
	assert_int_equal(r.limits[2], 4);
	assert_true(r.took >= 150);
}

/* Whoever waits for the pause to end can still be cancelled, or run out of time. */
static void slow_to_a_deadline(struct co *co, void *arg)
{
	struct run *r = arg;
	struct co_deadline d;
	struct worker *w;

	start(co, r);
	pool_slow(r->pool, loop_now(loop), 600000);
	co_deadline_begin(co, &d, 30);
	r->result = pool_acquire(co, r->pool, false, &w, &r->err);
	co_deadline_end(co, &d);
	pool_close(co, r->pool);
}

static void test_pause_beyond_a_deadline(void **state)
{
	struct run r = {.max = 4};

	run(&r, slow_to_a_deadline);
	assert_int_equal(r.result, -1);
	assert_int_equal(r.err.code, ERR_TIMEOUT);
	err_finish(&r.err);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(test_##name, fixture_setup, fixture_teardown)
	static const struct CMUnitTest tests[] = {T(single_worker_is_fair), T(bounded),
		T(reuse_and_replacement), T(death_while_idle), T(greeting_fails), T(cannot_start),
		T(cancelled_in_the_queue), T(close_ends_the_stubborn), T(slowed_down),
		T(pause_beyond_a_deadline)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
