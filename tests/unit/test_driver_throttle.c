/* A driver whose provider asks to slow down: what becomes of its pool, and of deadlines. */
#include "driver_fixture.h"
#include "driver_internal.h"

static unsigned limits[2];

#define SLOWER(ms)                                                          \
	"{\"code\": -32000, \"message\": \"slower\", \"data\": {\"kind\": " \
	"\"throttled\", \"retryAfterMs\": " ms "}}"

static void ask_twice(struct co *co, struct run *r)
{
	_cleanup_json_ struct json *state = json_object();
	struct machine_ref ref = {"m", "", "/nowhere/m", "/nowhere", state};

	for (size_t i = 0; i < 2; i++) {
		struct machine_report report = {0};
		_cleanup_err_ struct err err = ERR_INIT;

		driver_states(co, r->d, &ref, 1, &report, NULL, NULL, &err);
		r->result += report.error.code == ERR_THROTTLED;
		limits[i] = pool_limit(r->d->pool);
		machine_report_finish(&report);
	}
}

/* An answer in which a machine's report says so is no success before that; the second was sent
 * after the pause, not when it came to the queue. */
static void test_reports(void **state)
{
	struct run r = {.body = ask_twice,
		.config = "{\"do\": {\"states\": [[\"answer\", {\"machines\": [{\"error\": " SLOWER(
			"20") "}]}]]}}"};

	run(&r);
	assert_int_equal(r.result, 2);
	assert_int_equal(limits[0], DRIVER_WORKERS_DEFAULT / 2);
	assert_int_equal(limits[1], DRIVER_WORKERS_DEFAULT / 4);
}

static void configure(struct co *co, struct run *r)
{
	_cleanup_json_ struct json *state = json_object();
	struct machine_ref ref = {"m", "", "/nowhere/m", "/nowhere", state};
	struct co_deadline d;

	driver_deadline_begin(co, &d, r->d, 500);
	r->result = driver_configure(co, r->d, &ref, NULL, &r->out, &r->err);
	co_deadline_end(co, &d);
}

/* It may be longer than the call. */
static void test_pause_is_nobodys_time(void **state)
{
	_cleanup_free_ char *mark = in_dir("mark");
	_cleanup_free_ char *config =
		xasprintf("{\"do\": {\"configure\": [[\"once\", \"%s\", [\"error\", " SLOWER(
				  "1500") "]], [\"answer\", {\"state\": {\"x\": 1}}]]}}",
			mark);
	struct run r = {.body = configure, .config = config};

	run(&r);
	assert_int_equal(r.result, 0);
	assert_int_equal(json_int_or(json_get(r.out, "x"), 0), 1);
	assert_in_range(r.took, 1500, 20000);
	finish(&r);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(test_##name, fixture_setup, fixture_teardown)
	static const struct CMUnitTest tests[] = {T(reports), T(pause_is_nobodys_time)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
