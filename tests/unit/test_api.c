/*
 * A provider's API: what is repeated when, and what traces show. The server is a child that answers
 * as it is told; the host is a pipe that says nothing, and a file that takes what the driver says.
 */
#include "sdk.h"

#include <arpa/inet.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define REQUEST_MAX 2048
#define ANSWERS_MAX 8
#define CONNECTIONS_MAX 16
#define SECRET "s3cret\"text"
#define BODY "{\"key\":\"s3cret\\\"text\",\"other\":\"short\"}"
#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
#define SAYS(status, headers) "HTTP/1.1 " status " x\r\n" headers "Content-Length: 0\r\n\r\n"
#define CLOSES "" /* without an answer */

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

struct server {
	pid_t pid;
	int count; /* a byte for each request */
	char url[64];
};

static int silent[2]; /* the host: it says nothing */

static bool read_request(int fd)
{
	char request[REQUEST_MAX + 1];
	const char *end = NULL, *length;
	size_t n = 0, want = 1;

	while (n < want) {
		ssize_t r = read(fd, request + n, REQUEST_MAX - n);
		if (r <= 0)
			return false;
		n += (size_t)r;
		request[n] = '\0';
		end = strstr(request, "\r\n\r\n");
		length = strstr(request, "Content-Length: ");
		want = end ? (size_t)(end + 4 - request) : n + 1;
		want += end && length ? strtoul(length + 16, NULL, 10) : 0;
	}
	return true;
}

/* False: the connection is to be closed. */
static bool answer(int fd, const char *text, int count)
{
	return write(count, "r", 1) == 1 &&
	       write(fd, text, strlen(text)) == (ssize_t)strlen(text) && *text &&
	       !strstr(text, "Connection: close");
}

/* Connections are kept open, unless an answer is CLOSES. */
static void serve(int fd, const char *const *answers, int count)
{
	struct pollfd fds[CONNECTIONS_MAX + 1] = {{.fd = fd, .events = POLLIN}};
	nfds_t n = 1;

	while (poll(fds, n, -1) > 0)
		for (nfds_t i = n; i-- > 0;) {
			if (!fds[i].revents)
				continue;
			if (i == 0) {
				if (n > CONNECTIONS_MAX)
					_exit(1);
				fds[n++] = (struct pollfd){
					.fd = accept(fd, NULL, NULL), .events = POLLIN};
			} else if (!read_request(fds[i].fd) || !*answers ||
				   !answer(fds[i].fd, *answers++, count)) {
				close(fds[i].fd);
				fds[i] = fds[--n];
			}
		}
	_exit(0);
}

static void start(struct server *s, const char *const *answers)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), count[2];

	assert_int_equal(pipe(count), 0);
	assert_true(fd >= 0 && bind(fd, (struct sockaddr *)&a, len) == 0 && listen(fd, 8) == 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	snprintf(s->url, sizeof(s->url), "http://127.0.0.1:%d/x?q=hidden", ntohs(a.sin_port));
	s->pid = fork();
	assert_true(s->pid >= 0);
	if (s->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(count[0]);
		close(silent[1]); /* its end is the host's */
		serve(fd, answers, count[1]);
	}
	close(count[1]);
	close(fd);
	s->count = count[0];
}

/* The number of requests that there were. */
static unsigned stop(struct server *s)
{
	unsigned n = 0;
	char c;

	kill(s->pid, SIGKILL);
	waitpid(s->pid, NULL, 0);
	while (read(s->count, &c, 1) == 1)
		n++;
	close(s->count);
	return n;
}

/* The host. */

static struct sdk_conn *conn;
static struct md_request rq;
static FILE *told;

static int set_up(void **state)
{
	(void)state;
	setenv(MD_API_PAUSE_VARIABLE, "1", 1);
	unsetenv(MD_API_TIMEOUT_VARIABLE);
	assert_int_equal(pipe(silent), 0);
	told = tmpfile();
	assert_non_null(told);
	conn = xcalloc(1, sizeof(*conn));
	conn->in = silent[0];
	conn->out = fileno(told);
	rq = (struct md_request){.conn = conn, .method = "create", .id = 1};
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	log_set_debug(false);
	frame_decoder_finish(&conn->decoder);
	close(silent[0]);
	close(silent[1]);
	fclose(told);
	free(conn);
	return 0;
}

static unsigned prepared;
static bool again, unprepared;
static const char *key = SECRET;

static int prepare(struct md_api *a, struct md_api_call *c, struct err *err)
{
	(void)a;
	prepared++;
	strv_add(&c->http.headers, "X-Key");
	strv_add(&c->http.headers, key);
	if (!unprepared)
		return 0;
	err_set(err, ERR_AUTH, "no credentials");
	err->may_exist = true; /* a token, perhaps */
	return -1;
}

static enum md_verdict judge(struct md_api *a, const struct md_api_call *c,
	const struct md_http_answer *answer, struct err *err)
{
	(void)a;
	(void)c;
	if (again && answer->status == 401) {
		err_set(err, ERR_AUTH, "a new token is needed");
		return MD_ANSWER_AGAIN;
	}
	return md_api_judge_status(
		answer, answer->body.len ? buf_str(&answer->body) : "you sent " SECRET, err);
}

static void open_api(struct md_api *a)
{
	md_api_init(a, &rq, "Acme");
	a->prepare = prepare;
	a->judge = judge;
	md_api_secret(a, SECRET);
	md_api_secret(a, "short");
}

static int call(struct md_api *a, const struct server *s, const char *method, bool repeatable,
	struct err *err)
{
	_cleanup_json_ struct json *answer = NULL;
	bool post = streq(method, "POST");
	struct md_api_call c = {
		.http = {.method = method,
			.url = s->url,
			.body = post ? BODY : NULL,
			.n_body = post ? strlen(BODY) : 0,
			.content_type = "application/json"},
		.what = "try it",
		.repeatable = repeatable,
	};

	return md_api_json(a, &c, &answer, err);
}

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

static int64_t took(struct md_api *a, const struct server *s, int expected)
{
	_cleanup_err_ struct err err = ERR_INIT;
	int64_t began = sdk_now_ms();

	assert_int_equal(call(a, s, "GET", false, &err), expected);
	return sdk_now_ms() - began;
}

/* Calls that were not made do not put off those that are, later. */
static void test_cancelled_while_it_keeps_its_pace(void **state)
{
	static const char *const answers[] = {SAYS("429", ""), OK, OK, NULL};
	struct server server;
	struct md_api a;

	(void)state;
	start(&server, answers);
	open_api(&a);
	a.retries = 0;
	took(&a, &server, -1);
	int64_t before = took(&a, &server, 0);
	rq.cancelled = true;
	for (unsigned i = 0; i < 10000; i++)
		took(&a, &server, -1);
	rq.cancelled = false;
	assert_true(took(&a, &server, 0) < before + 1000);
	assert_int_equal(stop(&server), 3);
	md_api_finish(&a);
}

/* In tests: as much faster as pauses are shorter, also after many calls. */
static void test_pace_of_tests(void **state)
{
	const char *answers[64];
	struct server server;
	struct md_api a;
	int64_t all = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(answers); i++)
		answers[i] = i < 6 ? SAYS("429", "") : OK;
	answers[ARRAY_SIZE(answers) - 1] = NULL;
	start(&server, answers);
	open_api(&a);
	a.retries = 0;
	for (size_t i = 0; answers[i]; i++)
		all += took(&a, &server, i < 6 ? -1 : 0);
	assert_true(all < 2000);
	stop(&server);
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_what_is_repeated),
		TEST(test_shared),
		TEST(test_sent_once),
		TEST(test_sent_again_by_libcurl),
		TEST(test_no_connection),
		TEST(test_time_is_bounded),
		TEST(test_cancelled_while_it_pauses),
		TEST(test_cancelled_while_it_keeps_its_pace),
		TEST(test_pace_of_tests),
		TEST(test_headers_of_one_line),
		TEST(test_not_prepared),
		TEST(test_secret_where_words_are_cut),
		TEST(test_traces),
		TEST(test_no_traces_without_debug),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("api", tests, NULL, NULL);
}
