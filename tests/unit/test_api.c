/* A provider's API: what is repeated when, and what traces show. */
#include "api_fixture.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#define ANSWERS_MAX 8

/* A call, what it is answered, and what becomes of it. */
struct story {
	const char *name, *method;
	bool repeatable, again;
	const char *answers[ANSWERS_MAX];
	unsigned requests; /* expected */
	enum err_code code;
	bool retryable, may_exist;
	uint32_t after_ms;
};

static const struct story stories[] = {
	{"good", "GET", .answers = {OK}, .requests = 1},
	{"nothing said", "DELETE", .answers = {SAYS("204", "")}, .requests = 1},
	{"a server's error", "GET", .answers = {SAYS("500", ""), SAYS("502", ""), OK},
		.requests = 3},
	{"six at most", "GET",
		.answers = {SAYS("500", ""), SAYS("500", ""), SAYS("500", ""), SAYS("500", ""),
			SAYS("500", ""), SAYS("500", ""), OK},
		.requests = 6, .code = ERR_UNAVAILABLE, .retryable = true},
	{"PUT", "PUT", .answers = {SAYS("504", ""), OK}, .requests = 2},
	{"DELETE", "DELETE", .answers = {SAYS("408", ""), OK}, .requests = 2},
	{"POST", "POST", .answers = {SAYS("500", ""), OK}, .requests = 1, .code = ERR_UNAVAILABLE,
		.retryable = true, .may_exist = true},
	{"POST that may be repeated", "POST", true, .answers = {SAYS("500", ""), OK},
		.requests = 2},
	{"closed", "GET", .answers = {CLOSES, OK}, .requests = 2},
	{"closed after a POST", "POST", .answers = {CLOSES, OK}, .requests = 1,
		.code = ERR_UNAVAILABLE, .retryable = true, .may_exist = true},
	{"throttled", "POST", .answers = {SAYS("429", ""), OK}, .requests = 2},
	{"told to wait", "POST", .answers = {SAYS("429", "Retry-After: 1\r\n"), OK}, .requests = 2},
	{"503 that tells", "POST", .answers = {SAYS("503", "Retry-After: 0\r\n"), OK},
		.requests = 2},
	{"told to wait for long", "GET", .answers = {SAYS("429", "Retry-After: 16\r\n"), OK},
		.requests = 1, .code = ERR_THROTTLED, .retryable = true, .after_ms = 16000},
	{"told to wait for ever", "GET",
		.answers = {SAYS("429", "Retry-After: 99999999999999999999\r\n"), OK},
		.requests = 1, .code = ERR_THROTTLED, .retryable = true, .after_ms = 86400000},
	{"refused after a server's error", "POST", true,
		.answers = {SAYS("500", ""), SAYS("422", ""), OK}, .requests = 2, .code = ERR_USER,
		.may_exist = true},
	{"asked, and refused after no answer", "GET", .answers = {CLOSES, SAYS("409", ""), OK},
		.requests = 2, .code = ERR_EXISTS},
	{"refused after no answer", "PUT", .answers = {CLOSES, SAYS("409", ""), OK}, .requests = 2,
		.code = ERR_EXISTS, .may_exist = true},
	{"told to wait for long after no answer", "POST", true,
		.answers = {CLOSES, SAYS("429", "Retry-After: 16\r\n"), OK}, .requests = 2,
		.code = ERR_THROTTLED, .retryable = true, .may_exist = true, .after_ms = 16000},
	{"unauthorized after no answer", "POST", true, .again = true,
		.answers = {CLOSES, SAYS("401", ""), SAYS("403", ""), OK}, .requests = 3,
		.code = ERR_AUTH, .may_exist = true},
	{"refused after it was throttled", "POST",
		.answers = {SAYS("429", ""), SAYS("422", ""), OK}, .requests = 2, .code = ERR_USER},
	{"again", "POST", .again = true, .answers = {SAYS("401", ""), OK}, .requests = 2},
	{"again once", "POST", .again = true, .answers = {SAYS("401", ""), SAYS("401", ""), OK},
		.requests = 2, .code = ERR_AUTH},
	{"unauthorized", "GET", .answers = {SAYS("401", ""), OK}, .requests = 1, .code = ERR_AUTH},
	{"forbidden", "GET", .answers = {SAYS("403", ""), OK}, .requests = 1, .code = ERR_AUTH},
	{"not found", "GET", .answers = {SAYS("404", ""), OK}, .requests = 1,
		.code = ERR_NOT_FOUND},
	{"gone", "DELETE", .answers = {SAYS("410", ""), OK}, .requests = 1, .code = ERR_NOT_FOUND},
	{"exists", "POST", .answers = {SAYS("409", ""), OK}, .requests = 1, .code = ERR_EXISTS},
	{"refused", "POST", .answers = {SAYS("422", ""), OK}, .requests = 1, .code = ERR_USER},
	{"redirect", "GET", .answers = {SAYS("302", "Location: http://192.0.2.1/\r\n"), OK},
		.requests = 1, .code = ERR_PROTOCOL},
	{"status of another world", "GET", .answers = {SAYS("700", ""), OK}, .requests = 1,
		.code = ERR_PROTOCOL},
	{"no JSON", "GET", .answers = {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{"},
		.requests = 1, .code = ERR_PROTOCOL},
	{"no JSON after a POST", "POST",
		.answers = {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{"}, .requests = 1,
		.code = ERR_PROTOCOL, .may_exist = true},
	{"cut", "POST", .answers = {"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{"}, .requests = 1,
		.code = ERR_PROTOCOL, .may_exist = true},
	{"no HTTP", "POST", .answers = {"SSH-2.0-x\r\nConnection: close\r\n\r\n"}, .requests = 1,
		.code = ERR_PROTOCOL, .may_exist = true},
};

static void check(const struct story *s)
{
	_cleanup_err_ struct err err = ERR_INIT;
	struct server server;
	struct md_api a;

	again = s->again;
	prepared = 0;
	start(&server, s->answers);
	open_api(&a);
	int r = call(&a, &server, s->method, s->repeatable, &err);
	md_api_finish(&a);
	unsigned n = stop(&server);
	if (n != s->requests || prepared != n || err.code != s->code || r != -(s->code != 0) ||
		err.retryable != s->retryable || err.may_exist != s->may_exist ||
		err.retry_after_ms != s->after_ms)
		fail_msg("%s: %u requests, code %d, retryable %d, may exist %d, after %u: %s",
			s->name, n, err.code, err.retryable, err.may_exist, err.retry_after_ms,
			err.msg ? err.msg : "");
	if (r < 0) {
		assert_ptr_equal(strstr(err_msg(&err), "try it: Acme: "), err_msg(&err));
		assert_null(strstr(err_msg(&err), SECRET));
		assert_null(strstr(err_msg(&err), "hidden"));
	}
}

static void test_what_is_repeated(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(stories); i++)
		check(&stories[i]);
}

/* A server that closes a connection that was used before: libcurl would send a POST again by
 * itself. */
static void test_sent_once(void **state)
{
	static const char *const answers[] = {OK, CLOSES, OK, NULL};
	_cleanup_err_ struct err err = ERR_INIT;
	struct server server;
	struct md_api a;

	(void)state;
	again = false;
	start(&server, answers);
	open_api(&a);
	assert_int_equal(call(&a, &server, "GET", false, &err), 0);
	assert_int_equal(call(&a, &server, "POST", false, &err), -1);
	assert_true(err.may_exist);
	assert_int_equal(stop(&server), 2);
	md_api_finish(&a);
}

/* What may be sent again libcurl does, and tells of the second answer only. */
static void test_sent_again_by_libcurl(void **state)
{
	static const char *const answers[] = {OK, CLOSES, SAYS("422", ""), NULL};
	_cleanup_err_ struct err err = ERR_INIT;
	struct server server;
	struct md_api a;

	(void)state;
	again = false;
	start(&server, answers);
	open_api(&a);
	prepared = 0;
	assert_int_equal(call(&a, &server, "GET", false, &err), 0);
	assert_int_equal(call(&a, &server, "POST", true, &err), -1);
	assert_int_equal(prepared, 2);
	assert_int_equal(stop(&server), 3);
	assert_int_equal(err.code, ERR_USER);
	assert_true(err.may_exist);
	md_api_finish(&a);
}

static void test_no_connection(void **state)
{
	static const char *const answers[] = {OK, NULL};
	_cleanup_err_ struct err err = ERR_INIT, later = ERR_INIT;
	struct server server;
	struct md_api a;

	(void)state;
	again = false;
	start(&server, answers);
	stop(&server);
	open_api(&a);
	prepared = 0;
	assert_int_equal(call(&a, &server, "GET", false, &err), -1); /* the first: fails at once */
	assert_int_equal(prepared, 1);
	assert_int_equal(err.code, ERR_UNAVAILABLE);
	assert_true(err.retryable && !err.may_exist);
	a.connected = true;
	assert_int_equal(call(&a, &server, "POST", false, &later), -1); /* nobody got it */
	assert_int_equal(prepared, 1 + 1 + MD_API_RETRIES);
	assert_false(later.may_exist);
	md_api_finish(&a);
}

static void test_time_is_bounded(void **state)
{
	static const char *const answers[] = {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", NULL};
	_cleanup_err_ struct err err = ERR_INIT;
	struct server server;
	struct md_api a;
	int64_t began = sdk_now_ms();

	(void)state;
	setenv(MD_API_TIMEOUT_VARIABLE, "100", 1);
	start(&server, answers);
	open_api(&a);
	assert_int_equal(call(&a, &server, "POST", false, &err), -1);
	assert_true(sdk_now_ms() - began < 15000);
	assert_int_equal(err.code, ERR_TIMEOUT);
	assert_true(err.retryable && err.may_exist);
	stop(&server);
	md_api_finish(&a);
}

static void test_cancelled_while_it_pauses(void **state)
{
	static const char *const answers[] = {SAYS("429", "Retry-After: 14\r\n"), OK, NULL};
	_cleanup_err_ struct err err = ERR_INIT;
	struct server server;
	struct md_api a;
	int64_t began = sdk_now_ms();

	(void)state;
	start(&server, answers);
	open_api(&a);
	close(silent[1]); /* the host is gone */
	silent[1] = -1;
	assert_int_equal(call(&a, &server, "GET", false, &err), -1);
	assert_int_equal(err.code, ERR_CANCELED);
	assert_true(sdk_now_ms() - began < 10000);
	assert_true(stop(&server) <= 1);
	md_api_finish(&a);
}

/* What would be two headers is none; it is not told, for it is a secret. */
static void test_headers_of_one_line(void **state)
{
	static const char *const values[] = {"a-key\nX: y", "a-key\r", "\033a-key", "a-key\177"};
	static const char *const answers[] = {OK, NULL};
	struct server server;
	struct md_api a;

	(void)state;
	again = false;
	start(&server, answers);
	open_api(&a);
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		_cleanup_err_ struct err err = ERR_INIT;

		key = values[i];
		assert_int_equal(call(&a, &server, "GET", false, &err), -1);
		assert_int_equal(err.code, ERR_USER);
		assert_non_null(strstr(err_msg(&err),
			"the value of X-Key has a line break or control character in it"));
		assert_null(strstr(err_msg(&err), "a-key"));
	}
	key = SECRET;
	assert_int_equal(stop(&server), 0);
	md_api_finish(&a);
}

/* The sanitizers see that the headers go. */
static void test_not_prepared(void **state)
{
	static const char *const answers[] = {OK, NULL};
	_cleanup_err_ struct err err = ERR_INIT;
	struct server server;
	struct md_api a;

	(void)state;
	start(&server, answers);
	open_api(&a);
	unprepared = true;
	assert_int_equal(call(&a, &server, "GET", false, &err), -1);
	unprepared = false;
	assert_int_equal(err.code, ERR_AUTH);
	assert_false(err.may_exist);
	assert_int_equal(stop(&server), 0);
	md_api_finish(&a);
}

/* Words that are too long are cut; that must not save the beginning of a secret. */
static void test_secret_where_words_are_cut(void **state)
{
	char text[1100] = "HTTP/1.1 400 x\r\nContent-Length: 1035\r\n\r\n";
	const char *const answers[] = {text, NULL};
	_cleanup_err_ struct err err = ERR_INIT;
	struct server server;
	struct md_api a;
	size_t head = strlen(text);

	(void)state;
	again = false;
	memset(text + head, 'x', 1024);
	memcpy(text + head + 1024 - 6, SECRET, sizeof(SECRET));
	memset(text + head + 1024 - 6 + strlen(SECRET), 'y', 6);
	start(&server, answers);
	open_api(&a);
	assert_int_equal(call(&a, &server, "POST", false, &err), -1);
	stop(&server);
	md_api_finish(&a);
	assert_non_null(strstr(err_msg(&err), "xxx***"));
	assert_null(strstr(err_msg(&err), "s3"));
}

static char *said(void)
{
	char *text = xcalloc(1, 65536);

	rewind(told);
	text[fread(text, 1, 65535, told)] = '\0';
	return text;
}

static void test_traces(void **state)
{
	static const char *const answers[] = {
		"HTTP/1.1 200 OK\r\nContent-Length: "
		"48\r\n\r\n{\"a\":\"s3cret\\\"text\",\"b\":\"s3cret%22text\","
		"\"c\":\"x\"}",
		NULL};
	_cleanup_err_ struct err err = ERR_INIT;
	_cleanup_free_ char *text = NULL;
	struct server server;
	struct md_api a;

	(void)state;
	log_set_debug(true);
	start(&server, answers);
	open_api(&a);
	if (call(&a, &server, "POST", false, &err) < 0)
		fail_msg("%s", err_msg(&err));
	stop(&server);
	md_api_finish(&a);
	text = said();
	assert_non_null(strstr(text, "POST http://127.0.0.1"));
	assert_non_null(strstr(text, "(try it)"));
	assert_non_null(strstr(text, "short")); /* too short to be masked */
	assert_null(strstr(text, "s3cret"));
	assert_null(strstr(text, "hidden"));
	assert_null(strstr(text, "X-Key"));
}

static void test_no_traces_without_debug(void **state)
{
	static const char *const answers[] = {SAYS("500", ""), OK, NULL};
	_cleanup_err_ struct err err = ERR_INIT;
	_cleanup_free_ char *text = NULL;
	struct server server;
	struct md_api a;

	(void)state;
	start(&server, answers);
	open_api(&a);
	assert_int_equal(call(&a, &server, "GET", false, &err), 0);
	stop(&server);
	md_api_finish(&a);
	text = said();
	assert_string_equal(text, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_what_is_repeated),
		TEST(test_sent_once),
		TEST(test_sent_again_by_libcurl),
		TEST(test_no_connection),
		TEST(test_time_is_bounded),
		TEST(test_cancelled_while_it_pauses),
		TEST(test_headers_of_one_line),
		TEST(test_not_prepared),
		TEST(test_secret_where_words_are_cut),
		TEST(test_traces),
		TEST(test_no_traces_without_debug),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("api", tests, NULL, NULL);
}
