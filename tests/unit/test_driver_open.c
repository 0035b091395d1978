/* Opening a driver: what it tells of itself, what it inherits, and those that do not start. */
#include "driver_fixture.h"

static void look(struct co *co, struct run *r)
{
	const struct driver_info *info = driver_info(r->d);

	r->calls = info->max_workers * 10000 + info->states_batch;
	r->n_settled = info->machines_at_once;
	r->failures = (unsigned)info->flags.n;
}

static void test_open(void **state)
{
	struct run r = {.body = look,
		.config = "{\"initialize\": {\"capabilities\": "
			  "{\"maxWorkers\": 3, \"statesBatch\": 70, \"machinesAtOnce\": 5000}, "
			  "\"flags\": "
			  "[{\"name\": \"fake-key\", \"type\": \"string\", "
			  "\"usage\": \"x\", \"secret\": true}]}}"};

	run(&r);
	assert_int_equal(r.result, 0);
	assert_int_equal(r.calls, 30070);
	assert_int_equal(r.n_settled, 1000); /* the protocol's limit */
	assert_int_equal(r.failures, 1);
	finish(&r);
}

static void open_unknown(struct co *co, void *arg)
{
	struct run *r = arg;

	r->result = driver_open(co, "nonesuch", NULL, &r->d, &r->err);
}

static void test_open_unknown(void **state)
{
	struct run r = {0};

	co_spawn(loop, "flow", open_unknown, &r);
	loop_run(loop);
	assert_int_equal(r.result, -1);
	assert_int_equal(r.err.code, ERR_NOT_FOUND);
	finish(&r);
}

static const struct {
	const char *config;
	const char *message;
} bad_starts[] = {
	{"{\"initialize\": {\"protocolVersion\": 2}}", "protocolVersion is 2"},
	{"{\"initialize\": {\"driver\": {}}}", "(I2)"},
	{"{\"initialize\": {\"environment\": [\"LD_PRELOAD\"]}}", "(I4)"},
	{"{\"initialize\": {\"flags\": [{\"name\": \"--x\"}]}}", "answer to initialize"},
	{"{\"do\": {\"initialize\": [[\"exit\", 2]]}}", "exited with status 2 during initialize"},
	{"{\"do\": {\"initialize\": [[\"stderr\", \"Usage: x\"], [\"exit\", 2]]}}", "Usage: x"},
};

static void test_bad_starts(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(bad_starts); i++) {
		struct run r = {.config = bad_starts[i].config};

		run(&r);
		assert_int_equal(r.result, -1);
		if (!strstr(err_msg(&r.err), bad_starts[i].message) ||
			!strstr(err_msg(&r.err), "driver \"fake\""))
			fail_msg("%zu: %s", i, err_msg(&r.err));
		finish(&r);
		remove_dir();
		mkdir(dir, 0700);
	}
}

static void open_with_deadline(struct co *co, void *arg)
{
	uint64_t begin = loop_now(loop);
	struct run *r = arg;
	struct co_deadline d;

	co_deadline_begin(co, &d, 200);
	flow(co, r);
	co_deadline_end(co, &d);
	r->took = loop_now(loop) - begin;
}

static void test_silent_start(void **state)
{
	struct run r = {.script = "#!/bin/sh\nexec sleep 20\n"};

	co_spawn(loop, "flow", open_with_deadline, &r);
	loop_run(loop);
	assert_no_child();
	assert_int_equal(r.err.code, ERR_TIMEOUT);
	assert_non_null(strstr(err_msg(&r.err), "did not answer initialize in time"));
	assert_in_range(r.took, 200, 10000);
	finish(&r);
}

static void test_text_instead_of_a_driver(void **state)
{
	struct run r = {.script = "#!/bin/sh\necho Usage\nexec sleep 20\n"};

	run(&r);
	assert_int_equal(r.result, -1);
	assert_int_equal(r.err.code, ERR_PROTOCOL);
	assert_in_range(r.took, 0, 3000);
	finish(&r);
}

static void test_environment(void **state)
{
	static const char config[] =
		"{\"initialize\": {\"environment\": [\"FAKE_EXTRA\", \"FAKE_UNSET\"], \"flags\": "
		"[{\"name\": \"fake-key\", \"type\": \"string\", \"env\": \"FAKE_KEY\", \"usage\": "
		"\"x\"}]}, \"do\": {\"configure\": [[\"send\", {\"method\": \"x\"}], "
		"[\"reveal\"]]}}";
	struct run r = {.config = config, .body = echo_env};

	setenv("FAKE_KEY", "k1", 1);
	setenv("FAKE_EXTRA", "x1", 1);
	setenv("FAKE_OTHER", "secret", 1);
	setenv("HTTPS_PROXY", "http://proxy.example:1", 1);
	run(&r);
	unsetenv("FAKE_KEY");
	unsetenv("FAKE_EXTRA");
	unsetenv("HTTPS_PROXY");
	assert_int_equal(r.result, 0);
	assert_string_equal(json_str(json_get(r.out, "FAKE_KEY"), ""), "k1");
	assert_string_equal(json_str(json_get(r.out, "FAKE_EXTRA"), ""), "x1");
	assert_string_equal(json_str(json_get(r.out, "HTTPS_PROXY"), ""), "http://proxy.example:1");
	assert_non_null(json_get(r.out, "PATH"));
	assert_null(json_get(r.out, "FAKE_OTHER"));
	assert_null(json_get(r.out, "MACHINE_TEST_GRACE_MS"));
	finish(&r);
}

static void test_descriptors(void **state)
{
	struct run r = {
		.config = "{\"do\": {\"configure\": [[\"descriptors\"]]}}", .body = echo_env};
	int inherited = dup2(STDOUT_FILENO, 100);

	assert_int_equal(inherited, 100);
	run(&r);
	close(inherited);
	assert_int_equal(r.result, 0);
	assert_non_null(json_get(r.out, "0"));
	assert_non_null(json_get(r.out, "2"));
	assert_null(json_get(r.out, "100"));
	finish(&r);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(test_##name, fixture_setup, fixture_teardown)
	static const struct CMUnitTest tests[] = {T(open), T(open_unknown), T(bad_starts),
		T(silent_start), T(text_instead_of_a_driver), T(environment), T(descriptors)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
