#include "co.h"

#include "mem.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct loop *loop;

static int setup(void **state)
{
	_cleanup_err_ struct err err = ERR_INIT;

	return loop_new(&loop, &err);
}

static int teardown(void **state)
{
	loop_free(loop);
	return 0;
}

struct record {
	int results[16];
	size_t n;
	struct co *other;
	int fds[2];
	int events;
	uint64_t took;
	unsigned counter, peak, running;
	bool flag;
};

static void note(struct record *r, int result)
{
	r->results[r->n++] = result;
}

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

static void cancels(struct co *co, void *arg)
{
	struct record *r = arg;

	co_sleep(co, 5);
	co_cancel(r->other);
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

static void reads(struct co *co, void *arg)
{
	struct record *r = arg;

	note(r, co_fd(co, r->fds[0], UV_READABLE, 5, NULL));
	note(r, co_fd(co, r->fds[0], UV_READABLE | UV_WRITABLE, 0, &r->events));
	note(r, co_fd(co, r->fds[0], UV_READABLE, 10000, NULL));
	note(r, co_fd(co, -1, UV_READABLE, 0, NULL) < 0);
	note(r, co_fd(co, 0x7fff, UV_READABLE, 0, NULL) < 0);
}

static void writes(struct co *co, void *arg)
{
	struct record *r = arg;

	co_sleep(co, 20);
	r->flag = write(r->fds[1], "x", 1) == 1;
}

static void test_fd(void **state)
{
	struct record r = {0};

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, r.fds), 0);
	co_spawn(loop, "reads", reads, &r);
	co_spawn(loop, "writes", writes, &r);
	loop_run(loop);
	close(r.fds[0]);
	close(r.fds[1]);
	assert_int_equal(r.results[0], -ETIMEDOUT);
	assert_int_equal(r.results[1], 0);
	assert_int_equal(r.events, UV_WRITABLE);
	assert_int_equal(r.results[2], 0);
	assert_int_equal(r.results[3], 1);
	assert_int_equal(r.results[4], 1);
}

static void slow_work(void *arg)
{
	struct record *r = arg;

	usleep(30000);
	__atomic_add_fetch(&r->counter, 1, __ATOMIC_SEQ_CST);
}

static void late_work(void *arg)
{
	struct record *r = arg;

	usleep(400000);
	__atomic_add_fetch(&r->counter, 1, __ATOMIC_SEQ_CST);
}

static void works(struct co *co, void *arg)
{
	struct record *r = arg;

	note(r, co_work(co, slow_work, r));
}

static void works_with_deadline(struct co *co, void *arg)
{
	struct co_deadline d;

	co_deadline_begin(co, &d, 300);
	note(arg, co_work(co, late_work, arg));
	co_deadline_end(co, &d);
}

static void test_work(void **state)
{
	struct record r = {0}, late = {0};

	co_spawn(loop, "works", works, &r);
	co_spawn(loop, "late", works_with_deadline, &late);
	loop_run(loop);
	assert_int_equal(r.results[0], 0);
	assert_int_equal(r.counter, 1);
	assert_int_equal(late.results[0], 0); /* it ran: the deadline shows in the next wait */
	assert_int_equal(late.counter, 1);
}

static void test_work_cancelled(void **state)
{
	struct record r[12] = {0};
	unsigned ran = 0;

	for (size_t i = 0; i < ARRAY_SIZE(r); i++) {
		r[i].other = co_spawn(loop, "works", works, &r[i]);
		co_spawn(loop, "cancels", cancels, &r[i]);
	}
	loop_run(loop);
	for (size_t i = 0; i < ARRAY_SIZE(r); i++) {
		assert_int_equal(r[i].results[0], -ECANCELED);
		ran += r[i].counter;
	}
	assert_in_range(ran, 1, ARRAY_SIZE(r) - 1); /* those that waited for a thread did not */
}

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
		T(cancel_while_masked), T(fd), T(work), T(work_cancelled), T(each),
		T(each_cancelled), T(each_past_deadline), T(cancel_all), T(many), T(err), T(tags)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
