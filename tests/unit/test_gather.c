#include "driver.h"

#include "host_fixture.h"

#define ASKERS 5u
#define PATIENT_MS 20000u

struct asking {
	struct driver *d;
	unsigned patience[ASKERS]; /* milliseconds */
	int result[ASKERS];
	struct err errors[ASKERS];
	struct machine_report reports[ASKERS];
	const char *states[ASKERS]; /* of the machines, NULL: empty */
	unsigned cancel_ms;         /* after the driver is there; 0: never */
	uv_timer_t timer;
};

static void ask_one(struct co *co, size_t i, void *arg)
{
	struct asking *a = arg;
	_cleanup_free_ char *name = xasprintf("m%zu", i);
	_cleanup_json_ struct json *state = parse(a->states[i] ? a->states[i] : "{}");
	struct machine_ref ref = {name, "", "/nowhere/m", "/nowhere", state};
	struct co_deadline limit;

	co_deadline_begin(co, &limit, a->patience[i]);
	a->result[i] = driver_state(co, a->d, &ref, 0, &a->reports[i], &a->errors[i]);
	co_deadline_end(co, &limit);
}

static void on_timer(uv_timer_t *timer)
{
	loop_cancel_all(loop);
	uv_close((uv_handle_t *)timer, NULL);
}

static void ask_all(struct co *co, void *arg, const char *config)
{
	struct asking *a = arg;
	_cleanup_free_ char *file = fake_driver("machine-driver-fake", config);
	struct driver_options opt = {.file = file};
	_cleanup_err_ struct err err = ERR_INIT;

	if (driver_open(co, "fake", &opt, &a->d, &err) < 0)
		return;
	if (a->cancel_ms) {
		uv_timer_init(loop_uv(loop), &a->timer);
		uv_timer_start(&a->timer, on_timer, a->cancel_ms, 0);
	}
	co_each(co, ASKERS, 0, ask_one, a);
	driver_close(co, a->d);
}

static void ask_good(struct co *co, void *arg)
{
	ask_all(co, arg,
		"{\"do\": {\"states\": [[\"sleep\", 0.3], [\"states\", {\"state\": "
		"\"Running\"}]]}}");
}

static void ask_stuck(struct co *co, void *arg)
{
	ask_all(co, arg, "{\"do\": {\"states\": [[\"sleep\", 60]]}}");
}

static void ask_zones(struct co *co, void *arg)
{
	ask_all(co, arg, "{\"initialize\": {\"capabilities\": {\"groupBy\": [\"Zone\"]}}}");
}

static void run(co_fn fn, struct asking *a)
{
	co_spawn(loop, "flow", fn, a);
	loop_run(loop);
	assert_no_child();
	assert_non_null(a->d);
}

static void finish(struct asking *a)
{
	for (size_t i = 0; i < ASKERS; i++) {
		machine_report_finish(&a->reports[i]);
		err_finish(&a->errors[i]);
	}
}

/* The fake's message is its pid and how many machines it was asked about. */
static void assert_answered(const struct asking *a, size_t i)
{
	_cleanup_free_ char *name = xasprintf("m%zu", i);

	assert_int_equal(a->result[i], 0);
	assert_string_equal(a->reports[i].ip, name);
	assert_int_equal(a->reports[i].state, STATE_RUNNING);
	assert_string_equal(strchr(a->reports[i].message, ' '), " 5");
}

static void test_together(void **state)
{
	struct asking a = {
		.patience = {PATIENT_MS, PATIENT_MS, PATIENT_MS, PATIENT_MS, PATIENT_MS}};

	run(ask_good, &a);
	for (size_t i = 0; i < ASKERS; i++)
		assert_answered(&a, i);
	finish(&a);
}

/* Who cannot wait disturbs nobody else, the first that asked included. */
static void test_some_leave(void **state)
{
	struct asking a = {.patience = {50, PATIENT_MS, 50, PATIENT_MS, PATIENT_MS}};

	run(ask_good, &a);
	for (size_t i = 0; i < ASKERS; i++) {
		if (a.patience[i] == PATIENT_MS) {
			assert_answered(&a, i);
			continue;
		}
		assert_int_equal(a.result[i], -1);
		assert_int_equal(a.errors[i].code, ERR_TIMEOUT);
		assert_string_equal(
			err_msg(&a.errors[i]), "driver \"fake\" did not answer states in time");
	}
	finish(&a);
}

static void test_all_leave(void **state)
{
	struct asking a = {.patience = {50, 60, 70, 80, 90}};

	run(ask_stuck, &a); /* ends: the last one has the driver ended */
	for (size_t i = 0; i < ASKERS; i++) {
		assert_int_equal(a.result[i], -1);
		assert_int_equal(a.errors[i].code, ERR_TIMEOUT);
	}
	finish(&a);
}

static void test_cancelled(void **state)
{
	struct asking a = {.patience = {PATIENT_MS, PATIENT_MS, PATIENT_MS, PATIENT_MS, PATIENT_MS},
		.cancel_ms = 100};

	run(ask_stuck, &a);
	for (size_t i = 0; i < ASKERS; i++) {
		assert_int_equal(a.result[i], -1);
		assert_int_equal(a.errors[i].code, ERR_CANCELED);
	}
	finish(&a);
}

#define ZONE_GOOD                                                                             \
	"{\"Zone\": \"a\", \"do\": {\"states\": [[\"sleep\", 0.3], [\"states\", {\"state\": " \
	"\"Running\"}]]}}"
#define ZONE_STUCK "{\"Zone\": \"b\", \"do\": {\"states\": [[\"sleep\", 60]]}}"
#define ZONE_POLITE                                                                             \
	"{\"Zone\": \"c\", \"do\": {\"states\": [[\"wait_cancel\"], [\"error\", {\"message\": " \
	"\"x\", \"data\": {\"kind\": \"canceled\"}}]]}}"

/* Whoever has left, his request may last longer than all the askers; the driver does not go before
 * it. */
static void test_left_behind(void **state)
{
	struct asking a = {.patience = {PATIENT_MS, 50, 50, 50, 50},
		.states = {ZONE_GOOD, ZONE_STUCK, ZONE_STUCK, ZONE_STUCK, ZONE_STUCK}};

	run(ask_zones, &a);
	assert_int_equal(a.result[0], 0);
	assert_string_equal(a.reports[0].ip, "m0");
	for (size_t i = 1; i < ASKERS; i++)
		assert_int_equal(a.errors[i].code, ERR_TIMEOUT);
	finish(&a);
}

static void test_cancelled_apart(void **state)
{
	struct asking a = {.patience = {PATIENT_MS, PATIENT_MS, PATIENT_MS, PATIENT_MS, PATIENT_MS},
		.states = {ZONE_STUCK, ZONE_STUCK, ZONE_STUCK, ZONE_STUCK, ZONE_POLITE},
		.cancel_ms = 300};

	run(ask_zones, &a);
	for (size_t i = 0; i < ASKERS; i++)
		assert_int_equal(a.errors[i].code, ERR_CANCELED);
	finish(&a);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(test_##name, fixture_setup, fixture_teardown)
	static const struct CMUnitTest tests[] = {T(together), T(some_leave), T(all_leave),
		T(cancelled), T(left_behind), T(cancelled_apart)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
