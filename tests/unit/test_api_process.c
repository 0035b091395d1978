/* What the calls of a process have in common: answers that they share, and the pace that is kept.
 */
#include "api_fixture.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#define DEADLINE_S 60 /* far from what it takes, and from what it would take to wait as told */

/* The body of the answer to a call that may be shared; "": there was none. */
static void ask_shared(const struct server *s, const char *account, const char body[2], char ret[3])
{
	_cleanup_http_answer_ struct md_http_answer answer = {0};
	_cleanup_err_ struct err err = ERR_INIT;
	struct md_api_call c = {
		.http = {.method = "POST",
			.url = s->url,
			.body = body,
			.n_body = 2,
			.content_type = "text/plain"},
		.what = "look",
		.repeatable = true,
		.shared = true,
	};
	struct md_api a;

	open_api(&a);
	a.account = account;
	a.retries = 0;
	ret[0] = '\0';
	if (md_api_call(&a, &c, &answer, &err) == 0)
		snprintf(ret, 3, "%s", buf_str(&answer.body));
	md_api_finish(&a);
}

#define SAID(text) "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n" text

static void test_shared(void **state)
{
	static const char *const answers[] = {SAID("1"), SAID("2"), SAID("3"), SAID("4"), SAID("5"),
		SAYS("404", ""), SAID("7"), SAID("8"), SAID("9"), NULL};
	static const struct {
		const char *account, *body, *expected;
		bool forget; /* before */
	} calls[] = {
		{"a", "xx", "1"}, {"a", "xx", "1"}, /* of the same account, the same question */
		{"b", "xx", "2"}, {"a", "yy", "3"}, {"a", "xx", "1"}, /* none of the two */
		{NULL, "xx", "4"},                                    /* nobody's */
		{"a", "xx", "5", true}, {"a", "xx", "5"}, /* what is forgotten is asked for */
		{"a", "zz", ""}, {"a", "zz", "7"},        /* an error is nobody else's */
		{"a", "\0x", "8"}, {"a", "\0y", "9"},     /* bytes */
	};
	struct server server;
	char said[3];

	(void)state;
	start(&server, answers);
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		if (calls[i].forget)
			md_api_forget();
		ask_shared(&server, calls[i].account, calls[i].body, said);
		if (!streq(said, calls[i].expected))
			fail_msg("call %zu: \"%s\"", i, said);
	}
	assert_int_equal(stop(&server), 9);
	md_api_forget();
}

/* A GET that is answered like that. */
static void get(struct md_api *a, const struct server *s, int expected)
{
	_cleanup_err_ struct err err = ERR_INIT;

	assert_int_equal(call(a, s, "GET", false, &err), expected);
}

/* Calls that were not made do not put off those that are, later: by minutes. */
static void test_cancelled_while_it_keeps_its_pace(void **state)
{
	static const char *const answers[] = {SAYS("429", ""), OK, OK, NULL};
	struct server server;
	struct md_api a;

	(void)state;
	setenv(MD_API_PAUSE_VARIABLE, "500", 1);
	start(&server, answers);
	open_api(&a);
	a.retries = 0;
	alarm(DEADLINE_S);
	get(&a, &server, -1);
	get(&a, &server, 0);
	rq.cancelled = true;
	for (unsigned i = 0; i < 5000; i++)
		get(&a, &server, -1);
	rq.cancelled = false;
	get(&a, &server, 0);
	alarm(0);
	assert_int_equal(stop(&server), 3);
	md_api_finish(&a);
}

/* In tests: as much faster as pauses are shorter, also after many calls. */
static void test_pace_of_tests(void **state)
{
	static const char *answers[2001];
	struct server server;
	struct md_api a;

	(void)state;
	for (size_t i = 0; i + 1 < ARRAY_SIZE(answers); i++)
		answers[i] = i < 6 ? SAYS("429", "") : OK;
	start(&server, answers);
	open_api(&a);
	a.retries = 0;
	alarm(DEADLINE_S);
	for (size_t i = 0; answers[i]; i++)
		get(&a, &server, i < 6 ? -1 : 0);
	alarm(0);
	stop(&server);
	md_api_finish(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_cancelled_while_it_keeps_its_pace), /* by the true clock, so the first */
		TEST(test_shared),
		TEST(test_pace_of_tests),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("api_process", tests, NULL, NULL);
}
