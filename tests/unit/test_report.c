#include "report.h"

#include "host_fixture.h"

static void test_outcomes(void **state)
{
	static const struct {
		const char *text;
		int result;
		uint32_t retry;
	} cases[] = {
		{"{\"status\":\"done\"}", 0, 3000},
		{"{\"status\":\"wait\",\"waitFor\":\"Running\",\"retryAfterMs\":500}", 0, 500},
		{"{\"status\":\"wait\",\"retryAfterMs\":-5}", 0, 100},
		{"{\"status\":\"wait\",\"retryAfterMs\":99999999999}", 0, 60000},
		{"{\"status\":\"run\",\"command\":\"reboot\",\"disconnects\":true}", 0, 3000},
		{"{\"status\":\"run\",\"command\":\"x\",\"again\":true}", 0, 3000},
		{"{\"status\":\"run\"}", -1, 0},
		{"{\"status\":\"wait\",\"waitFor\":\"Ready\"}", -1, 0},
		{"{\"status\":\"done\",\"state\":[]}", -1, 0},
		{"{\"status\":1}", -1, 0},
		{"{}", -1, 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_json_ struct json *j = parse(cases[i].text);
		_cleanup_err_ struct err err = ERR_INIT;
		struct driver_outcome o = {0};

		assert_int_equal(outcome_read(j, &o, &err), cases[i].result);
		assert_int_equal(o.retry_after_ms, cases[i].retry);
		if (cases[i].result < 0)
			assert_int_equal(err.code, ERR_PROTOCOL);
		assert_int_equal(o.again, strstr(cases[i].text, "again") != NULL);
		driver_outcome_finish(&o);
	}
}

static void test_report(void **state)
{
	_cleanup_json_ struct json *j =
		parse("{\"state\":\"Paused\",\"ip\":\"::1\",\"url\":null,\"urlAlways\":true,"
		      "\"ssh\":{\"host\":\"h\",\"port\":70000,\"hostKeys\":[\"a "
		      "b\",5]},\"probe\":{\"tcp\":\"[::1]:22\","
		      "\"closed\":\"Saved\",\"timeoutMs\":999999999,\"greeting\":\"SSH-\"},"
		      "\"enginePort\":2376,\"slow\":true}");
	struct machine_report r = {0};
	struct probe p = {0};

	report_read(j, &r, &p);
	assert_false(r.failed);
	assert_int_equal(r.state, STATE_PAUSED);
	assert_string_equal(r.ip, "::1");
	assert_string_equal(r.url, "");
	assert_true(r.url_always);
	assert_int_equal(r.ssh.port, 0);
	assert_int_equal(r.ssh.host_keys.n, 2);
	assert_string_equal(r.ssh.host_keys.items[0], "a b");
	assert_string_equal(r.ssh.host_keys.items[1], "not a string");
	assert_string_equal(p.host, "::1");
	assert_int_equal(p.port, 22);
	assert_int_equal(p.open, STATE_RUNNING);
	assert_int_equal(p.closed, STATE_SAVED);
	assert_int_equal(p.timeout_ms, PROBE_TIMEOUT_MAX_MS);
	assert_string_equal(p.greeting, "SSH-");
	assert_int_equal(r.engine_port, 2376);
	assert_true(r.slow);
	free(p.host);
	free(p.greeting);
	machine_report_finish(&r);
}

/* A list of keys that makes no sense is not the same as none. */
static void test_host_keys(void **state)
{
	static const struct {
		const char *text;
		size_t n;
	} cases[] = {{"null", 0}, {"[]", 0}, {"[\"SHA256:x\"]", 1}, {"\"SHA256:x\"", 1}, {"{}", 1},
		{"false", 1}};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *text = xasprintf(
			"{\"state\":\"Running\",\"ssh\":{\"hostKeys\":%s}}", cases[i].text);
		_cleanup_json_ struct json *j = parse(text);
		struct machine_report r = {0};
		struct probe p = {0};

		report_read(j, &r, &p);
		assert_int_equal(r.ssh.host_keys.n, cases[i].n);
		machine_report_finish(&r);
	}
}

static void test_bad_reports(void **state)
{
	static const char *const bad[] = {"[]", "3", "{\"state\":\"Sleepy\"}", "{\"probe\":{}}",
		"{\"probe\":{\"tcp\":\"nothing\"}}", "{\"error\":{}}",
		"{\"probe\":{\"tcp\":\"h:1\",\"open\":\"Odd\"}}"};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		_cleanup_json_ struct json *j = parse(bad[i]);
		struct machine_report r = {0};
		struct probe p = {0};

		report_read(j, &r, &p);
		assert_true(r.failed);
		assert_null(p.host);
		machine_report_finish(&r);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {cmocka_unit_test(test_outcomes),
		cmocka_unit_test(test_report), cmocka_unit_test(test_host_keys),
		cmocka_unit_test(test_bad_reports)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
