/* Calls to a driver: what comes of them, what is repeated, and many flows with few workers. */
#include "driver_fixture.h"
#include "driver_internal.h"
#include "throttle.h"

static int run_op(
	struct co *co, struct run *r, enum driver_op op, const struct driver_observer *obs)
{
	return driver_run(co, r->d, op, &r->refs[0], obs, &r->outcome, &r->err);
}

static int save(struct co *co, void *ud, const struct json *state, struct err *err)
{
	struct run *r = ud;

	json_free(r->out);
	r->out = json_copy(state);
	return 0;
}

static void create(struct co *co, struct run *r)
{
	const struct driver_observer obs = {.userdata = r, .checkpoint = save};

	r->result = run_op(co, r, DRIVER_CREATE, &obs);
}

static void test_create(void **state)
{
	struct run r = {.body = create,
		.state =
			"{\"do\": {\"create\": [[\"checkpoint\", {\"Id\": 1}], [\"answer\", "
			"{\"status\": \"wait\", \"waitFor\": \"Running\", \"retryAfterMs\": 1, "
			"\"message\": \"booting\", \"state\": {\"Id\": 12345678901234567890}}]]}}"};
	_cleanup_free_ char *text = NULL;

	make_machines(&r, 1);
	run(&r);
	assert_int_equal(r.result, 0);
	assert_int_equal(r.outcome.status, OUTCOME_WAIT);
	assert_int_equal(r.outcome.wait_for, STATE_RUNNING);
	assert_int_equal(r.outcome.retry_after_ms, 100);
	assert_string_equal(r.outcome.message, "booting");
	text = json_to_string(r.outcome.state, JSON_COMPACT);
	assert_string_equal(text, "{\"Id\":12345678901234567890}");
	assert_int_equal(json_int_or(json_get(r.out, "Id"), 0), 1);
	finish(&r);
}

static void test_create_is_not_repeated(void **state)
{
	_cleanup_free_ char *log = in_dir("log");
	_cleanup_free_ char *machine = xasprintf(
		"{\"do\": {\"create\": [[\"line\", \"%s\", \"x\"], [\"exit\", 1]]}}", log);
	_cleanup_free_ char *text = NULL;
	struct run r = {.body = create, .state = machine};

	make_machines(&r, 1);
	run(&r);
	text = read_text(log);
	assert_string_equal(text, "x\n");
	assert_int_equal(r.err.code, ERR_CRASHED);
	assert_true(r.err.may_exist);
	assert_string_equal(err_msg(&r.err), "driver \"fake\" exited with status 1 during create");
	finish(&r);
}

#define THROTTLED                                                                             \
	"[\"line\", \"%s\", \"x\"], [\"error\", {\"code\": -32000, \"message\": \"slower\", " \
	"\"data\": {\"kind\": \"throttled\", \"retryAfterMs\": 1}}]"

/* What is under way is the caller's to repeat: only it has the latest checkpoint. */
static void create_throttled(struct co *co, struct run *r)
{
	create(co, r);
	r->calls = pool_limit(r->d->pool);
}

static void test_throttled_create(void **state)
{
	_cleanup_free_ char *log = in_dir("log"), *text = NULL;
	_cleanup_free_ char *machine = xasprintf("{\"do\": {\"create\": [" THROTTLED "]}}", log);
	struct run r = {.body = create_throttled, .state = machine};

	make_machines(&r, 1);
	run(&r);
	text = read_text(log);
	assert_string_equal(text, "x\n");
	assert_int_equal(r.err.code, ERR_THROTTLED);
	assert_int_equal(r.err.retry_after_ms, 1);
	assert_int_equal(r.calls, DRIVER_WORKERS_DEFAULT / 2);
	finish(&r);
}

static void test_throttled_questions(void **state)
{
	_cleanup_free_ char *log = in_dir("log"), *text = NULL;
	_cleanup_free_ char *machine = xasprintf("{\"do\": {\"states\": [" THROTTLED "]}}", log);
	struct run r = {.body = ask_states, .state = machine};

	make_machines(&r, 1);
	run(&r);
	text = read_text(log);
	assert_int_equal(strlen(text) / 2, 1 + THROTTLE_REPEATS_MAX);
	assert_int_equal(r.result, 0);
	assert_int_equal(r.reports[0].error.code, ERR_THROTTLED);
	finish(&r);
}

static void test_configure_is_repeated_once(void **state)
{
	_cleanup_free_ char *mark = in_dir("mark");
	_cleanup_free_ char *config =
		xasprintf("{\"do\": {\"configure\": [[\"once\", \"%s\", [\"kill\", 9]], "
			  "[\"answer\", {\"state\": {\"x\": 1}}]]}}",
			mark);
	struct run r = {.body = echo_env, .config = config};

	run(&r);
	assert_int_equal(r.result, 0);
	assert_int_equal(json_int_or(json_get(r.out, "x"), 0), 1);
	finish(&r);
}

static void test_nonsense_answers(void **state)
{
	struct run r = {.body = echo_env}, c = {.body = create,
						   .state = "{\"do\": {\"create\": [[\"answer\", "
							    "{\"status\": \"perhaps\"}]]}}"};

	run(&r);
	assert_int_equal(r.err.code, ERR_PROTOCOL);
	assert_string_equal(err_msg(&r.err),
		"driver \"fake\" broke the protocol in its answer to configure: state is missing "
		"(D1)");
	finish(&r);
	remove_dir();
	mkdir(dir, 0700);
	make_machines(&c, 1);
	run(&c);
	assert_non_null(strstr(err_msg(&c.err), "answer to create: status is \"perhaps\" (O1)"));
	finish(&c);
}

static void upgrade_info(struct co *co, struct run *r)
{
	enum upgrade_kind kind = UPGRADE_ENGINE;

	r->result = driver_upgrade_info(co, r->d, &r->refs[0], &kind, &r->err);
	r->calls = kind;
}

static void test_upgrade_info(void **state)
{
	static const struct {
		const char *state;
		int result;
		enum upgrade_kind kind;
	} cases[] = {
		{"{\"do\": {\"upgradeInfo\": [[\"answer\", {\"kind\": \"image\"}]]}}", 0,
			UPGRADE_IMAGE},
		{"{\"do\": {\"upgradeInfo\": [[\"error\", {\"code\": -32601, \"message\": "
		 "\"no\"}]]}}",
			0, UPGRADE_ENGINE},
		{"{}", -1, UPGRADE_ENGINE},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct run r = {.body = upgrade_info, .state = cases[i].state};

		make_machines(&r, 1);
		run(&r);
		assert_int_equal(r.result, cases[i].result);
		assert_int_equal(r.calls, cases[i].kind);
		finish(&r);
		remove_dir();
		mkdir(dir, 0700);
	}
}

static void test_trace(void **state)
{
	_cleanup_free_ char *file = in_dir("trace");
	_cleanup_free_ char *text = NULL;
	struct run r = {.body = echo_env,
		.opt = {.trace_file = file},
		.config = "{\"do\": {\"configure\": [[\"answer\", {\"state\": {}}]]}}"};
	struct stat st;

	run(&r);
	assert_int_equal(r.result, 0);
	text = read_text(file);
	assert_non_null(strstr(text, " > {\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\""));
	assert_non_null(strstr(text, " < {\"jsonrpc\":\"2.0\",\"id\":2,\"result\""));
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	finish(&r);
}

/* --- many flows, few workers --- */

static void one_flow(struct co *co, size_t i, void *arg)
{
	struct run *r = arg;
	struct err err = ERR_INIT;
	struct driver_outcome o = {0};

	if (driver_run(co, r->d, i % 2 ? DRIVER_START : DRIVER_STOP, &r->refs[i], NULL, &o, &err) <
		0)
		r->failures++;
	r->calls++;
	driver_outcome_finish(&o);
	err_finish(&err);
}

static void many_flows(struct co *co, struct run *r)
{
	r->result = co_each(co, r->n, 0, one_flow, r);
}

static void test_many_flows(void **state)
{
	struct run r = {.body = many_flows,
		.opt = {.max_workers = 4},
		.state = "{\"do\": {\"start\": [[\"answer\", {\"status\": \"done\"}]], \"stop\": "
			 "[[\"answer\", {\"status\": \"done\"}]]}}"};

	make_machines(&r, 500);
	run(&r);
	assert_int_equal(r.calls, 500);
	assert_int_equal(r.failures, 0);
	finish(&r);
}

static void test_every_second_crashes(void **state)
{
	struct run r = {.body = many_flows,
		.opt = {.max_workers = 4},
		.state = "{\"do\": {\"start\": [[\"answer\", {\"status\": \"done\"}]], \"stop\": "
			 "[[\"kill\", 9]]}}"};

	make_machines(&r, 40);
	run(&r);
	assert_int_equal(r.calls, 40);
	assert_int_equal(r.failures, 20); /* and only those that crashed */
	finish(&r);
}

static void canceller(struct co *co, void *arg)
{
	struct run *r = arg;

	co_sleep(co, 300);
	co_cancel(r->co);
}

static void many_flows_cancelled(struct co *co, struct run *r)
{
	co_spawn(loop, "canceller", canceller, r);
	many_flows(co, r);
}

static void test_many_flows_cancelled(void **state)
{
	struct run r = {.body = many_flows_cancelled,
		.opt = {.max_workers = 2},
		.state =
			"{\"do\": {\"start\": [[\"sleep\", 20]], \"stop\": [[\"wait_cancel\"], "
			"[\"error\", {\"message\": \"x\", \"data\": {\"kind\": \"canceled\"}}]]}}"};

	make_machines(&r, 50);
	run(&r);
	assert_int_equal(r.calls, 50);
	assert_int_equal(r.failures, 50);
	assert_in_range(r.took, 300, 15000);
	finish(&r);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(test_##name, fixture_setup, fixture_teardown)
	static const struct CMUnitTest tests[] = {T(create), T(create_is_not_repeated),
		T(throttled_create), T(throttled_questions), T(configure_is_repeated_once),
		T(nonsense_answers), T(upgrade_info), T(trace), T(many_flows),
		T(every_second_crashes), T(many_flows_cancelled)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
