#include "tcp.h"

#include "host_fixture.h"

#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>

static void test_split(void **state)
{
	static const struct {
		const char *address, *host;
		int port;
	} good[] = {{"example.org:22", "example.org", 22},
		{"[2001:db8::1]:2376", "2001:db8::1", 2376}, {"1.2.3.4:65535", "1.2.3.4", 65535}};
	static const char *const bad[] = {"", ":", "host", "host:", ":22", "host:0", "host:65536",
		"host:22x", "host: 22", "host:+22", "2001:db8::1:22", "[]:22", "[::1]", "[::1]22",
		"h:99999999999999999999"};

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		_cleanup_err_ struct err err = ERR_INIT;
		_cleanup_free_ char *host = NULL, *joined = NULL;
		int port;

		assert_int_equal(tcp_split(good[i].address, &host, &port, &err), 0);
		assert_string_equal(host, good[i].host);
		assert_int_equal(port, good[i].port);
		joined = tcp_join(host, port);
		assert_string_equal(joined, good[i].address);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		_cleanup_err_ struct err err = ERR_INIT;
		char *host = NULL;
		int port;

		if (tcp_split(bad[i], &host, &port, &err) == 0)
			fail_msg("\"%s\" was accepted", bad[i]);
		assert_int_equal(err.code, ERR_USER);
	}
}

struct run {
	const char *host;
	int port;
	uint64_t timeout, deadline, cancel_at;
	const char *greeting; /* tcp_probe */
	struct co *co;
	int result, fd;
	struct err err;
	uint64_t took;
};

static void connects(struct co *co, void *arg)
{
	struct run *r = arg;
	struct co_deadline d;
	uint64_t begin = loop_now(loop);

	r->fd = -1;
	co_deadline_begin(co, &d, r->deadline);
	if (r->greeting)
		r->result = tcp_probe(co, r->host, r->port, r->greeting, r->timeout, &r->err);
	else
		r->result = tcp_connect(co, r->host, r->port, r->timeout, &r->fd, &r->err);
	co_deadline_end(co, &d);
	r->took = loop_now(loop) - begin;
	if (r->fd >= 0)
		close(r->fd);
}

static void cancels(struct co *co, void *arg)
{
	struct run *r = arg;

	co_sleep(co, r->cancel_at);
	co_cancel(r->co);
}

static void run(struct run *r)
{
	r->co = co_spawn(loop, "connects", connects, r);
	if (r->cancel_at)
		co_spawn(loop, "cancels", cancels, r);
	loop_run(loop);
}

static int listener(int family, int backlog, int *ret_port)
{
	struct sockaddr_in6 a6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	struct sockaddr_in a4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr *a = family == AF_INET6 ? (struct sockaddr *)&a6 : (struct sockaddr *)&a4;
	socklen_t len = family == AF_INET6 ? sizeof(a6) : sizeof(a4);
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, a, len) < 0 || listen(fd, backlog) < 0 ||
		getsockname(fd, a, &len) < 0) {
		close_fdp(&fd);
		return -1;
	}
	*ret_port = ntohs(family == AF_INET6 ? a6.sin6_port : a4.sin_port);
	return fd;
}

static void test_connect(void **state)
{
	static const struct {
		const char *host;
		int family;
	} cases[] = {{"127.0.0.1", AF_INET}, {"::1", AF_INET6}, {"localhost", AF_INET}};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct run r = {.host = cases[i].host, .timeout = 5000};
		int fd = listener(cases[i].family, 5, &r.port);

		if (fd < 0)
			continue; /* no IPv6 here */
		run(&r);
		close(fd);
		assert_int_equal(r.result, 0);
		assert_true(r.fd >= 0);
	}
}

static void test_refused(void **state)
{
	struct run r = {.host = "127.0.0.1", .timeout = 5000};
	int fd = listener(AF_INET, 5, &r.port);
	_cleanup_free_ char *want = xasprintf("127.0.0.1:%d", r.port);

	close(fd);
	run(&r);
	assert_int_equal(r.result, -1);
	assert_int_equal(r.err.code, ERR_UNAVAILABLE);
	assert_non_null(strstr(err_msg(&r.err), want));
	assert_non_null(strstr(err_msg(&r.err), "refused"));
	err_finish(&r.err);
}

static void test_unknown_name(void **state)
{
	struct run r = {.host = "no-such-host.invalid", .port = 22, .timeout = 5000};

	run(&r);
	assert_int_equal(r.result, -1);
	assert_true(r.err.code == ERR_UNAVAILABLE || r.err.code == ERR_TIMEOUT);
	assert_non_null(strstr(err_msg(&r.err), "no-such-host.invalid"));
	err_finish(&r.err);
}

/* A listener whose queue is full: the kernel drops further SYNs. */
static int full_listener(int *ret_port, int fds[16])
{
	int fd = listener(AF_INET, 0, ret_port);
	struct sockaddr_in a = {.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons((uint16_t)*ret_port)};

	for (int i = 0; i < 16; i++) {
		fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		connect(fds[i], (struct sockaddr *)&a, sizeof(a));
	}
	return fd;
}

static void test_silence(void **state)
{
	struct run timeout = {.timeout = 100}, deadline = {.timeout = 5000, .deadline = 100},
		   cancel = {.timeout = 5000, .cancel_at = 100};
	int fds[16], port;
	int fd = full_listener(&port, fds);

	timeout.host = deadline.host = cancel.host = "127.0.0.1";
	timeout.port = deadline.port = cancel.port = port;
	run(&timeout);
	run(&deadline);
	run(&cancel);
	for (int i = 0; i < 16; i++)
		close(fds[i]);
	close(fd);
	assert_int_equal(timeout.err.code, ERR_TIMEOUT);
	assert_in_range(timeout.took, 100, 2000);
	assert_int_equal(deadline.err.code, ERR_TIMEOUT);
	assert_in_range(deadline.took, 100, 2000);
	assert_int_equal(cancel.err.code, ERR_CANCELED);
	err_finish(&timeout.err);
	err_finish(&deadline.err);
	err_finish(&cancel.err);
}

struct speaker {
	int fd;
	const char *first, *second; /* NULL: it goes away; second NULL: it stays silent */
};

static void *speak(void *arg)
{
	const struct speaker *s = arg;
	int fd = accept(s->fd, NULL, NULL);
	char c;

	if (s->first) {
		ssize_t n = write(fd, s->first, strlen(s->first));

		usleep(20000); /* in two pieces */
		if (n >= 0 && s->second)
			n = write(fd, s->second, strlen(s->second));
		while (read(fd, &c, 1) > 0)
			;
	}
	close(fd);
	return NULL;
}

static void test_greeting(void **state)
{
	static const struct {
		const char *first, *second, *greeting;
		enum err_code code;
	} cases[] = {
		{"SSH-2.0-x", "", "SSH-", ERR_NONE},
		{"SS", "H-2.0-x", "SSH-", ERR_NONE},
		{"", "", "", ERR_NONE},
		{"HTTP/1.1 400", "", "SSH-", ERR_UNAVAILABLE},
		{"SS", NULL, "SSH-", ERR_TIMEOUT},
		{NULL, NULL, "SSH-", ERR_UNAVAILABLE},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct speaker s = {.first = cases[i].first, .second = cases[i].second};
		struct run r = {.host = "127.0.0.1", .greeting = cases[i].greeting};
		pthread_t thread;

		r.timeout = cases[i].code == ERR_TIMEOUT ? 200 : 10000;
		s.fd = listener(AF_INET, 5, &r.port);
		assert_int_equal(pthread_create(&thread, NULL, speak, &s), 0);
		run(&r);
		pthread_join(thread, NULL);
		close(s.fd);
		assert_int_equal(r.result, cases[i].code ? -1 : 0);
		assert_int_equal(r.err.code, cases[i].code);
		err_finish(&r.err);
	}
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(test_##name, fixture_setup, fixture_teardown)
	static const struct CMUnitTest tests[] = {
		T(split), T(connect), T(refused), T(unknown_name), T(silence), T(greeting)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
