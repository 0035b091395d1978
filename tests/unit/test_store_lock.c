#include "store_fixture.h"

#include "log.h"

#include <sys/file.h>

/* What coroutines found is judged here, on the main stack. */
struct flow {
	const char *name;
	uint64_t timeout_ms, hold_ms;
	int rc;
	struct err e;
	unsigned order;
	bool removes;
};

static unsigned order, inside, most_inside;

static void lock_and_hold(struct co *co, void *arg)
{
	struct flow *f = arg;
	struct store_lock *lock = NULL;

	f->rc = store_lock(co, store, f->name, f->timeout_ms, &lock, &f->e);
	if (f->rc < 0)
		return;
	f->order = ++order;
	inside++;
	most_inside = MAX(most_inside, inside);
	co_sleep(co, f->hold_ms);
	inside--;
	if (f->removes && store_remove(store, f->name, &f->e) < 0)
		f->rc = -1;
	store_unlock(lock);
}

static void run_flows(struct flow *flows, size_t n)
{
	struct loop *loop;

	order = inside = most_inside = 0;
	assert_ok(loop_new(&loop, &err));
	for (size_t i = 0; i < n; i++)
		co_spawn(loop, "flow", lock_and_hold, &flows[i]);
	loop_run(loop);
	loop_free(loop);
}

static void locks_exclude(void **state)
{
	struct flow flows[20];

	claim("a");
	for (size_t i = 0; i < ARRAY_SIZE(flows); i++)
		flows[i] = (struct flow){.name = "a", .hold_ms = 2};
	run_flows(flows, ARRAY_SIZE(flows));
	for (size_t i = 0; i < ARRAY_SIZE(flows); i++)
		assert_int_equal(flows[i].rc, 0);
	assert_int_equal(most_inside, 1);
}

static void locks_are_separate(void **state)
{
	/* the certificates' lock is not that of a machine of this name */
	struct flow flows[] = {{.name = NULL, .hold_ms = 100}, {.name = "certs", .hold_ms = 100},
		{.name = "certs.lock", .hold_ms = 100}};

	assert_ok(store_ensure(store, &err));
	run_flows(flows, ARRAY_SIZE(flows));
	assert_int_equal(most_inside, 3);
}

static void lock_times_out(void **state)
{
	struct flow flows[] = {{.name = "a", .hold_ms = 400}, {.name = "a", .timeout_ms = 60}};
	static const char want[] =
		"machine \"a\" is locked by another part of this command (waited 0.";

	claim("a");
	run_flows(flows, 2);
	assert_int_equal(flows[1].rc, -1);
	assert_int_equal(flows[1].e.code, ERR_TIMEOUT);
	assert_memory_equal(err_msg(&flows[1].e), want, sizeof(want) - 1);
	err_finish(&flows[1].e);
}

static char told[200];

static void keep_line(void *unused, enum log_level level, const char *line)
{
	snprintf(told, sizeof(told), "%s", line);
}

static void lock_tells_who_holds_it(void **state)
{
	struct flow flows[] = {{.name = NULL, .hold_ms = 2200}, {.name = NULL}};
	static const char want[] =
		"Waiting for the certificates, in use by another part of this command...";

	assert_ok(store_ensure(store, &err));
	log_set_sink(keep_line, NULL);
	run_flows(flows, 2);
	log_set_sink(NULL, NULL);
	assert_string_equal(told, want);
	assert_int_equal(flows[1].rc, 0);
}

/* Whoever waits for a machine that is removed gets a lock on the file that is there then. */
static void lock_file_goes_with_the_machine(void **state)
{
	struct flow flows[] = {{.name = "a", .hold_ms = 50, .removes = true},
		{.name = "a", .hold_ms = 80}, {.name = "a", .hold_ms = 80}};

	claim("a");
	run_flows(flows, 3);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(flows[i].rc, 0);
	assert_int_equal(most_inside, 1);
	assert_int_equal(entries(at("S/locks")), 1); /* nobody's: swept */
	store_sweep(store);
	assert_int_equal(entries(at("S/locks")), 0);
}

static void sweeping_spares_locks_in_use(void **state)
{
	struct flow f = {.name = "a"}, certs = {.name = NULL};

	claim("a");
	run_flows(&f, 1);
	run_flows(&certs, 1);
	put(at("S/locks/gone.lock"), "");
	put(at("S/locks/held.lock"), "");
	put(at("S/locks/README"), "");
	int fd = open(at("S/locks/held.lock"), O_RDWR);
	struct flow held = {.name = "held", .timeout_ms = 1};
	assert_int_equal(flock(fd, LOCK_EX), 0);
	store_sweep(store);
	assert_int_equal(entries(at("S/locks")), 4);
	run_flows(&held, 1);
	assert_int_equal(held.rc, -1);
	err_finish(&held.e);
	close(fd);
}

static void cancelled_wait(struct co *co, void *arg)
{
	struct flow *f = arg;
	struct store_lock *lock;

	co_cancel(co);
	f->rc = store_lock(co, store, "a", 0, &lock, &f->e);
}

static void lock_is_cancelled(void **state)
{
	struct flow f = {0};
	struct loop *loop;

	claim("a");
	assert_ok(store_mkdir(at("S/locks"), &err));
	put(at("S/locks/a.lock"), "");
	int fd = open(at("S/locks/a.lock"), O_RDWR);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	assert_ok(loop_new(&loop, &err));
	co_spawn(loop, "cancelled", cancelled_wait, &f);
	loop_run(loop);
	loop_free(loop);
	assert_int_equal(f.rc, -1);
	assert_int_equal(f.e.code, ERR_CANCELED);
	err_finish(&f.e);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_store(locks_exclude),
		with_store(locks_are_separate),
		with_store(lock_times_out),
		with_store(lock_tells_who_holds_it),
		with_store(lock_file_goes_with_the_machine),
		with_store(sweeping_spares_locks_in_use),
		with_store(lock_is_cancelled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
