/* Waiting for descriptors, and for work on threads. */
#include "co_fixture.h"

#include <fcntl.h>
#include <sys/socket.h>

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
	assert_false(fcntl(r.fds[0], F_GETFL) & O_NONBLOCK); /* others may share it */
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

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
	static const struct CMUnitTest tests[] = {T(fd), T(work), T(work_cancelled)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
