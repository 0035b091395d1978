/* Downloads, from a server that says what a test wants said, one connection after the other. */
#include "http.h"

#include "buf.h"
#include "mem.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define REQUEST_MAX 2048

struct server {
	pid_t pid;
	char url[64];
};

/* What a connection is answered; then it is closed. Behind a "~" it is left open, without a word;
 * behind a "+", the rest comes again and again. */
static void answer(int fd, const char *text)
{
	char request[REQUEST_MAX + 1];
	size_t n = 0;
	const char *mark = text + strcspn(text, "~+");

	do {
		ssize_t r = read(fd, request + n, REQUEST_MAX - n);
		if (r <= 0)
			_exit(1);
		n += (size_t)r;
		request[n] = '\0';
	} while (!strstr(request, "\r\n\r\n"));
	if (send(fd, text, (size_t)(mark - text), MSG_NOSIGNAL) < 0)
		return;
	while (*mark == '+' && send(fd, mark + 1, strlen(mark + 1), MSG_NOSIGNAL) > 0)
		;
	if (*mark == '~')
		pause();
}

static void serve(struct server *s, const char *const *answers)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0 && bind(fd, (struct sockaddr *)&a, len) == 0 && listen(fd, 8) == 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	snprintf(s->url, sizeof(s->url), "http://127.0.0.1:%d/x", ntohs(a.sin_port));
	s->pid = fork();
	assert_true(s->pid >= 0);
	if (s->pid == 0) {
		for (; *answers; answers++) {
			int c = accept(fd, NULL, NULL);
			answer(c, *answers);
			close(c);
		}
		_exit(0);
	}
	close(fd);
}

static void stop(struct server *s)
{
	kill(s->pid, SIGKILL);
	waitpid(s->pid, NULL, 0);
}

struct seen {
	struct buf body;
	struct http_head head;
	int heads;
	bool refuse;
};

static int on_head(void *arg, const struct http_head *head, struct err *err)
{
	struct seen *s = arg;

	s->heads++;
	s->head = *head;
	s->head.etag = xstrdup(head->etag);
	s->head.last_modified = NULL;
	buf_clear(&s->body);
	return s->refuse ? err_set(err, ERR_IO, "no room") : 0;
}

static int on_body(void *arg, const void *data, size_t len, struct err *err)
{
	(void)err;
	buf_add(&((struct seen *)arg)->body, data, len);
	return 0;
}

static int get(const char *const *answers, struct http_get rq, const struct md_watch *w,
	struct seen *seen, struct err *err)
{
	struct server s;

	serve(&s, answers);
	rq.url = s.url;
	rq.max_bytes = rq.max_bytes ? rq.max_bytes : 100;
	rq.head = on_head;
	rq.body = on_body;
	rq.arg = seen;
	int r = http_get(w, &rq, err);
	stop(&s);
	return r;
}

static void seen_finish(struct seen *s)
{
	buf_finish(&s->body);
	free(s->head.etag);
}
#define _cleanup_seen_ __attribute__((cleanup(seen_finish)))

#define OK "HTTP/1.1 200 OK\r\n"

static void test_good(void **state)
{
	static const struct {
		const char *answer, *body, *etag;
		int64_t total;
	} cases[] = {
		{OK "Content-Length: 5\r\nETag: \"a\"\r\n\r\nhello", "hello", "\"a\"", 5},
		{OK "content-length: 0\r\n\r\n", "", "", 0},
		{OK "\r\nhello", "hello", "", -1},
		{OK "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "hello", "", -1},
		{"HTTP/1.1 103 Early Hints\r\nETag: \"no\"\r\n\r\n" OK
		 "Content-Length: 5\r\n\r\nhello",
			"hello", "", 5},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_err_ struct err err = ERR_INIT;
		_cleanup_seen_ struct seen seen = {0};
		const char *const answers[] = {cases[i].answer, NULL};

		if (get(answers, (struct http_get){0}, NULL, &seen, &err) < 0)
			fail_msg("%zu: %s", i, err_msg(&err));
		assert_string_equal(buf_str(&seen.body), cases[i].body);
		assert_int_equal(seen.heads, 1);
		assert_int_equal(seen.head.total, cases[i].total);
		assert_string_equal(seen.head.etag, cases[i].etag);
	}
}

static void test_bad(void **state)
{
	static const struct {
		const char *answer;
		enum err_code code;
		bool retryable;
		const char *says;
	} cases[] = {
		{"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", ERR_NOT_FOUND, false,
			": 404 Not Found"},
		{"HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\nno", ERR_AUTH, false,
			": 401 Unauthorized"},
		{"HTTP/1.1 429 No\r\nContent-Length: 0\r\n\r\n", ERR_THROTTLED, true, ": 429 "},
		{"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", ERR_UNAVAILABLE, true, ": 503 "},
		{"HTTP/1.1 204 No\r\n\r\n", ERR_UNAVAILABLE, false, ": 204"},
		{"HTTP/1.1 304 No\r\n\r\n", ERR_UNAVAILABLE, false, ": 304"},
		{OK "Content-Length: 9\r\n\r\nhello", ERR_UNAVAILABLE, true, "ended early"},
		{"", ERR_UNAVAILABLE, true, "without an answer"},
		{OK "Content-Length: 101\r\n\r\nx~", ERR_USER, false,
			"too large: 101 of at most 100"},
		{OK "\r\n+xxxxxxxxxxxxxxxxxxxxxxxx", ERR_USER, false, "more than 100 bytes"},
		{OK "Transfer-Encoding: chunked\r\n\r\n+5\r\nhello\r\n", ERR_USER, false,
			"more than 100 bytes"},
		{"HTTP/1.1 404 No\r\n\r\n+xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", ERR_NOT_FOUND,
			false, ": 404"},
		{"HTTP/1.1 302 Go\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
			ERR_USER, false, "not one of https"},
		{"HTTP/1.1 302 Go\r\nContent-Length: 0\r\n\r\n", ERR_UNAVAILABLE, false, ": 302"},
		{OK "Content-Length: 5\r\n\r\n~", ERR_TIMEOUT, true, ""},
		{"~", ERR_TIMEOUT, true, ""},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_err_ struct err err = ERR_INIT;
		_cleanup_seen_ struct seen seen = {0};
		const char *const answers[] = {cases[i].answer, NULL};

		if (get(answers, (struct http_get){.stall_s = 1}, NULL, &seen, &err) == 0)
			fail_msg("%zu", i);
		if (err.code != cases[i].code || err.retryable != cases[i].retryable ||
			!strstr(err_msg(&err), cases[i].says) ||
			!strstr(err_msg(&err), "GET http://127.0.0.1:"))
			fail_msg("%zu: %d %d %s", i, err.code, err.retryable, err_msg(&err));
	}
}

/* What comes instead of the rest that was asked for is taken from the beginning. */
static void test_ranges(void **state)
{
	static const char *const partial = "HTTP/1.1 206 Partial\r\nContent-Range: bytes 2-4/5\r\n"
					   "Content-Length: 3\r\nETag: \"a\"\r\n\r\nllo";
	static const char *const whole = OK "Content-Length: 5\r\n\r\nhello";
	static const struct {
		const char *answers[3];
		const char *body;
		int heads;
		long status;
	} cases[] = {
		{{partial}, "llo", 1, 206},
		{{whole}, "hello", 1, 200},
		{{"HTTP/1.1 416 No\r\nContent-Length: 0\r\n\r\n", whole}, "hello", 1, 200},
		{{"HTTP/1.1 206 Partial\r\nContent-Range: bytes 1-4/5\r\nContent-Length: 4\r\n\r\n"
		  "ello",
			 whole},
			"hello", 1, 200},
		{{"HTTP/1.1 206 Partial\r\nContent-Length: 3\r\n\r\nllo", whole}, "hello", 1, 200},
		{{"HTTP/1.1 206 Partial\r\nContent-Range: bytes 2-4/5\r\nContent-Length: 3\r\n"
		  "ETag: \"b\"\r\n\r\nllo",
			 whole},
			"hello", 1, 200},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_err_ struct err err = ERR_INIT;
		_cleanup_seen_ struct seen seen = {0};
		struct http_get rq = {.from = 2, .validator = "\"a\""};

		if (get(cases[i].answers, rq, NULL, &seen, &err) < 0)
			fail_msg("%zu: %s", i, err_msg(&err));
		assert_string_equal(buf_str(&seen.body), cases[i].body);
		assert_int_equal(seen.heads, cases[i].heads);
		assert_int_equal(seen.head.status, cases[i].status);
		assert_int_equal(seen.head.total, 5);
	}
}

static void test_refused_by_the_caller(void **state)
{
	_cleanup_err_ struct err err = ERR_INIT;
	_cleanup_seen_ struct seen seen = {.refuse = true};
	const char *const answers[] = {OK "Content-Length: 5\r\n\r\nhello", NULL};

	assert_int_equal(get(answers, (struct http_get){0}, NULL, &seen, &err), -1);
	assert_string_equal(err_msg(&err), "no room");
	assert_int_equal(err.code, ERR_IO);
}

static bool yes(void *arg)
{
	(void)arg;
	return true;
}

static void test_cancelled(void **state)
{
	static const struct md_watch w = {.cancelled = yes};
	_cleanup_err_ struct err err = ERR_INIT;
	_cleanup_seen_ struct seen seen = {0};
	const char *const answers[] = {"~", NULL};

	assert_int_equal(get(answers, (struct http_get){0}, &w, &seen, &err), -1);
	assert_int_equal(err.code, ERR_CANCELED);
}

static void test_text(void **state)
{
	const char *const answers[] = {OK "\r\nhello", OK "\r\nhello", NULL};
	_cleanup_err_ struct err err = ERR_INIT;
	_cleanup_free_ char *text = NULL;
	struct server s;
	size_t len;

	serve(&s, answers);
	assert_int_equal(http_get_text(NULL, s.url, 5, &text, &len, &err), 0);
	assert_int_equal(len, 5);
	assert_string_equal(text, "hello");
	assert_int_equal(http_get_text(NULL, s.url, 4, &text, &len, &err), -1);
	stop(&s);
}

static void test_urls(void **state)
{
	static const struct {
		const char *url, *shown;
		bool local;
	} cases[] = {{"https://a.example/b/c", "https://a.example/b/c", false},
		{"https://u:p@a.example/b?k=v#f", "https://a.example/b", false},
		{"https://u@p@a/b", "https://a/b", false}, {"https://a?x", "https://a", false},
		{"http://localhost/b", "http://localhost/b", true},
		{"http://LOCALHOST:80/b", "http://LOCALHOST:80/b", true},
		{"http://[::1]:80/b", "http://[::1]:80/b", true},
		{"http://127.0.0.1", "http://127.0.0.1", true},
		{"http://localhost.evil/b", "http://localhost.evil/b", false},
		{"http://localhost@evil/b", "http://evil/b", false},
		{"https://a/b@c", "https://a/b@c", false},
		{"https://a\x1b[2J/", "https://a?[2J/", false}};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *shown = http_shown(cases[i].url);
		assert_string_equal(shown, cases[i].shown);
		if (http_is_local(cases[i].url) != cases[i].local)
			fail_msg("%s", cases[i].url);
	}
	assert_true(http_is_url("HTTPS://a"));
	assert_false(http_is_url("file:///a"));
	assert_false(http_is_url("httpx://a"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_good), cmocka_unit_test(test_bad),
		cmocka_unit_test(test_ranges), cmocka_unit_test(test_refused_by_the_caller),
		cmocka_unit_test(test_cancelled), cmocka_unit_test(test_text),
		cmocka_unit_test(test_urls)};

	/* no proxy of whoever runs this */
	static const char *const proxies[] = {"http_proxy", "all_proxy", "ALL_PROXY"};
	for (size_t i = 0; i < ARRAY_SIZE(proxies); i++)
		unsetenv(proxies[i]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
