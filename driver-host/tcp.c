#include "tcp.h"

#include "mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PORT_DIGITS 5u
#define GREETING_MAX 256u
#define ADDRESS_MIN_MS 1000u /* of a name with several addresses, each gets at least this */

static int parse_port(const char *s)
{
	size_t n = strspn(s, "0123456789");
	long port = n >= 1 && n <= PORT_DIGITS && !s[n] ? strtol(s, NULL, 10) : 0;

	return port >= 1 && port <= 65535 ? (int)port : 0;
}

int tcp_split(const char *address, char **ret_host, int *ret_port, struct err *err)
{
	const char *host = address, *colon = strrchr(address, ':');
	size_t len = colon ? (size_t)(colon - address) : 0;
	int port = colon ? parse_port(colon + 1) : 0;

	if (len >= 2 && *address == '[' && colon[-1] == ']') {
		host++;
		len -= 2;
	} else if (memchr(address, ':', len)) {
		len = 0; /* an IPv6 literal needs brackets */
	}
	if (len == 0 || port == 0)
		return err_set(err, ERR_USER, "\"%s\" is not HOST:PORT", address);
	*ret_host = xstrndup(host, len);
	*ret_port = port;
	return 0;
}

char *tcp_join(const char *host, int port)
{
	return strchr(host, ':') && *host != '[' ? xasprintf("[%s]:%d", host, port)
						 : xasprintf("%s:%d", host, port);
}

/* A resolver can hang for long, and cannot be stopped: the request is on the heap, so that a
 * coroutine can leave it behind. */
struct lookup {
	uv_getaddrinfo_t req;
	struct co *co; /* NULL: nobody waits any more */
	bool done;
	int status;
	struct addrinfo *list;
};

static void lookup_free(struct lookup *l)
{
	if (l->list)
		uv_freeaddrinfo(l->list);
	free(l);
}

static void on_looked_up(uv_getaddrinfo_t *req, int status, struct addrinfo *list)
{
	struct lookup *l = req->data;

	l->done = true;
	l->status = status;
	l->list = list;
	if (l->co)
		co_wake(l->co);
	else
		lookup_free(l);
}

static int wait_until(struct co *co, uint64_t until)
{
	uint64_t now = loop_now(co_loop(co));

	return co_wait_ms(co, until > now ? until - now : 0);
}

/* 0 or a negative errno, for which *ret_text may have better words. */
static int look_up(struct co *co, const char *host, const char *port, uint64_t until,
	struct lookup **ret, const char **ret_text)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
	struct lookup *l = xcalloc(1, sizeof(*l));
	int r;

	l->co = co;
	l->req.data = l;
	r = uv_getaddrinfo(loop_uv(co_loop(co)), &l->req, on_looked_up, host, port, &hints);
	if (r < 0) {
		free(l);
		*ret_text = uv_strerror(r);
		return -EHOSTUNREACH;
	}
	while (r == 0 && !l->done)
		r = wait_until(co, until);
	if (!l->done) {
		l->co = NULL;
		uv_cancel((uv_req_t *)&l->req); /* if it has not begun */
		return r;
	}
	if (l->status < 0) {
		*ret_text = uv_strerror(l->status);
		lookup_free(l);
		return -EHOSTUNREACH;
	}
	*ret = l;
	return 0;
}

static int connect_one(struct co *co, const struct addrinfo *a, uint64_t until, int *ret_fd)
{
	_cleanup_close_ int fd =
		socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	uint64_t now = loop_now(co_loop(co));
	int one = 1, error = 0;
	socklen_t size = sizeof(error);
	int r = 0;

	if (fd < 0)
		return -errno;
	if (now >= until)
		return -ETIMEDOUT;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(fd, a->ai_addr, a->ai_addrlen) < 0) {
		if (errno != EINPROGRESS)
			return -errno;
		r = co_fd(co, fd, UV_WRITABLE, until - now, NULL);
		if (r == 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
			error = errno;
	}
	if (r < 0 || error)
		return r < 0 ? r : -error;
	*ret_fd = take_fd(fd);
	return 0;
}

/* Each address in turn; one that is silent must leave time for the next. */
static int connect_any(struct co *co, const struct addrinfo *list, uint64_t until, int *ret_fd)
{
	size_t left = 0;
	int r = -EHOSTUNREACH;

	for (const struct addrinfo *a = list; a; a = a->ai_next)
		left++;
	for (const struct addrinfo *a = list; a; a = a->ai_next, left--) {
		uint64_t now = loop_now(co_loop(co));
		uint64_t share = until > now ? (until - now) / left : 0;

		share = MAX(share, (uint64_t)ADDRESS_MIN_MS);
		r = connect_one(co, a, MIN(until, now + share), ret_fd);
		if (r == 0 || r == -ECANCELED)
			break;
	}
	return r;
}

static bool is_literal(const char *host, const char *port, struct addrinfo **ret)
{
	struct addrinfo hints = {
		.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};

	return getaddrinfo(host, port, &hints, ret) == 0;
}

int tcp_connect(struct co *co, const char *host, int port, uint64_t timeout_ms, int *ret_fd,
	struct err *err)
{
	_cleanup_free_ char *where = tcp_join(host, port), *service = xasprintf("%d", port);
	uint64_t now = loop_now(co_loop(co));
	uint64_t until = timeout_ms && timeout_ms < INT64_MAX ? now + timeout_ms : INT64_MAX;
	struct lookup *lookup = NULL;
	struct addrinfo *list = NULL;
	const char *text = NULL;
	int fd = -1, r;

	if (is_literal(host, service, &list)) {
		r = connect_any(co, list, until, &fd);
		freeaddrinfo(list);
	} else {
		r = look_up(co, host, service, until, &lookup, &text);
		if (r == 0) {
			r = connect_any(co, lookup->list, until, &fd);
			lookup_free(lookup);
		}
	}
	if (r == 0) {
		if (ret_fd)
			*ret_fd = fd;
		else
			close(fd);
		return 0;
	}
	if (r == -ECANCELED)
		return co_err(r, err);
	if (r == -ETIMEDOUT)
		return err_set(err, ERR_TIMEOUT, "%s: timed out", where);
	err_set(err, ERR_UNAVAILABLE, "%s: %s", where, text ? text : strerror(-r));
	err->errnum = -r;
	return -1;
}

/* 0: the peer's first words are these; a negative errno, -EPROTO: they are others */
static int read_greeting(struct co *co, int fd, const char *greeting, uint64_t until)
{
	size_t want = strlen(greeting), have = 0;
	char said[GREETING_MAX];

	if (want > sizeof(said))
		return -EPROTO;
	while (have < want) {
		ssize_t n = recv(fd, said + have, want - have, MSG_DONTWAIT);
		uint64_t now = loop_now(co_loop(co));

		if (n == 0)
			return -ECONNRESET;
		if (n > 0) {
			if (memcmp(said + have, greeting + have, (size_t)n) != 0)
				return -EPROTO;
			have += (size_t)n;
			continue;
		}
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		int r = now < until ? co_fd(co, fd, UV_READABLE, until - now, NULL) : -ETIMEDOUT;
		if (r < 0)
			return r;
	}
	return 0;
}

int tcp_probe(struct co *co, const char *host, int port, const char *greeting, uint64_t timeout_ms,
	struct err *err)
{
	uint64_t until = loop_now(co_loop(co)) + timeout_ms;
	_cleanup_free_ char *where = tcp_join(host, port);
	bool ask = greeting && *greeting;
	_cleanup_close_ int fd = -1;

	if (tcp_connect(co, host, port, timeout_ms, ask ? &fd : NULL, err) < 0)
		return -1;
	int r = ask ? read_greeting(co, fd, greeting, until) : 0;
	if (r == 0)
		return 0;
	if (r == -ECANCELED)
		return co_err(r, err);
	if (r == -ETIMEDOUT)
		return err_set(err, ERR_TIMEOUT, "%s: nothing was said", where);
	return err_set(err, ERR_UNAVAILABLE, "%s: %s", where,
		r == -EPROTO ? "not the greeting that was expected" : strerror(-r));
}
