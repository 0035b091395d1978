#include "trace.h"

#include "host_fixture.h"

static void frame(struct trace *t, char direction, const char *body)
{
	trace_frame(t, 42, direction, body, strlen(body));
}

static void test_masks(void **state)
{
	static const struct flagspec specs[] = {
		{.name = "fake-secret-key", .secret = true},
		{.name = "fake-pin", .secret = true},
		{.name = "fake-tokens", .type = FLAG_LIST, .secret = true},
		{.name = "fake-region"},
	};
	_cleanup_free_ char *file = in_dir("trace");
	_cleanup_free_ char *text = NULL;
	struct flagspecs flags = {(struct flagspec *)(uintptr_t)specs, ARRAY_SIZE(specs)};
	struct err err = ERR_INIT;
	struct trace *t;

	assert_int_equal(trace_open(file, &t, &err), 0);
	trace_secret_flags(t, &flags);
	frame(t, '>',
		"{\"method\":\"configure\",\"params\":{\"flags\":{\"fake-secret-key\":"
		"\"hush\\\"1\","
		"\"fake-pin\":\"12\",\"fake-tokens\":[\"tok-1234\"],\"fake-region\":\"eu-12\"}}}");
	frame(t, '<',
		"{\"result\":{\"state\":{\"Key\":\"hush\\\"1\",\"Region\":\"eu-12\","
		"\"Header\":\"Bearer tok-1234!\",\"SecretKey\":\"other\",\"n\":12.50}}}");
	frame(t, '<', "not json hush\"1 \x01");
	trace_note(t, 42, "broken by tok-1234");
	trace_free(t);
	text = read_text(file);
	assert_null(strstr(text, "hush"));
	assert_null(strstr(text, "tok-1234"));
	assert_null(strstr(text, "other"));
	assert_non_null(strstr(text, "\"fake-pin\":\"***\""));
	assert_non_null(strstr(text, "\"fake-tokens\":[\"***\"],\"fake-region\":\"eu-12\""));
	assert_non_null(
		strstr(text, " 42 < {\"result\":{\"state\":{\"Key\":\"***\",\"Region\":\"eu-12\","
			     "\"Header\":\"Bearer ***!\",\"SecretKey\":\"***\",\"n\":12.50}}}\n"));
	assert_non_null(strstr(text, " 42 < not json *** ?\n"));
	assert_non_null(strstr(text, " 42 ! broken by ***\n"));
}

static void test_cannot_open(void **state)
{
	struct err err = ERR_INIT;
	struct trace *t;

	assert_int_equal(trace_open("/nonexistent/trace", &t, &err), -1);
	assert_non_null(strstr(err_msg(&err), "/nonexistent/trace"));
	err_finish(&err);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(test_##name, fixture_setup, fixture_teardown)
	static const struct CMUnitTest tests[] = {T(masks), T(cannot_open)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
