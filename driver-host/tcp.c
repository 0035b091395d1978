#include "tcp.h"

#include "mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int tcp_split(const char *address, char **ret_host, int *ret_port, struct err *err)
{
	const char *host = address, *colon = strrchr(address, ':');
	size_t len = colon ? (size_t)(colon - address) : 0;
	char *end = NULL;
	long port = colon ? strtol(colon + 1, &end, 10) : 0;

	if (len >= 2 && *address == '[' && colon[-1] == ']') {
		host++;
		len -= 2;
	} else if (memchr(address, ':', len)) {
		len = 0; /* an IPv6 literal needs brackets */
	}
	if (!len || !colon[1] || *end || port < 1 || port > 65535)
		return err_set(err, ERR_USER, "\"%s\" is not HOST:PORT", address);
	*ret_host = xstrndup(host, len);
	*ret_port = (int)port;
	return 0;
}

char *tcp_join(const char *host, int port)
{
	return strchr(host, ':') && *host != '[' ? xasprintf("[%s]:%d", host, port)
						 : xasprintf("%s:%d", host, port);
}

struct lookup {
	char host[256];
	char port[8];
	struct addrinfo *list;
	int rc;
};

static void resolve(void *arg)
{
	struct lookup *l = arg;
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};

	l->rc = getaddrinfo(l->host, l->port, &hints, &l->list);
}

/* Literals need no resolver and no thread. */
static bool resolve_literal(struct lookup *l)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};

	return getaddrinfo(l->host, l->port, &hints, &l->list) == 0;
}

static int connect_one(struct co *co, const struct addrinfo *a, uint64_t until, int *ret_fd)
{
	int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1,
	    e = 0;
	socklen_t size = sizeof(e);

	if (fd < 0)
		return -errno;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	int r = connect(fd, a->ai_addr, a->ai_addrlen) < 0 ? -errno : 0;
	if (r == -EINPROGRESS) {
		uint64_t now = loop_now(co_loop(co));
		r = now < until ? co_fd(co, fd, UV_WRITABLE, until - now, NULL) : -ETIMEDOUT;
		if (r == 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &size) == 0)
			r = -e;
	}
	if (r < 0) {
		close(fd);
		return r;
	}
	*ret_fd = fd;
	return 0;
}

static int look_up(struct co *co, struct lookup *l, const char *host, int port, struct err *err)
{
	if (strlen(host) >= sizeof(l->host))
		return err_set(err, ERR_USER, "\"%.60s…\" is too long for a host name", host);
	snprintf(l->host, sizeof(l->host), "%s", host);
	snprintf(l->port, sizeof(l->port), "%d", port);
	if (resolve_literal(l))
		return 0;
	int r = co_work(co, resolve, l);
	if (r < 0)
		return co_err(r, err);
	if (l->rc)
		return err_set(err, ERR_UNAVAILABLE, "lookup %s: %s", host, gai_strerror(l->rc));
	return 0;
}

int tcp_connect(struct co *co, const char *host, int port, uint64_t timeout_ms, int *ret_fd,
	struct err *err)
{
	uint64_t until = timeout_ms ? loop_now(co_loop(co)) + timeout_ms : UINT64_MAX / 2;
	struct lookup l = {0};
	int fd = -1, r = -EHOSTUNREACH;

	int rc = look_up(co, &l, host, port, err);
	if (rc == 0)
		for (const struct addrinfo *a = l.list; a; a = a->ai_next)
			if ((r = connect_one(co, a, until, &fd)) == 0 || r == -ECANCELED)
				break;
	if (l.list)
		freeaddrinfo(l.list);
	if (rc < 0)
		return -1;
	_cleanup_free_ char *where = tcp_join(host, port);
	if (r == -ECANCELED)
		return co_err(r, err);
	if (r == -ETIMEDOUT)
		return err_set(err, ERR_TIMEOUT, "dial tcp %s: i/o timeout", where);
	if (r < 0)
		return err_set(err, ERR_UNAVAILABLE, "dial tcp %s: connect: %s", where,
			r == -ECONNREFUSED ? "connection refused" : strerror(-r));
	if (ret_fd)
		*ret_fd = fd;
	else
		close(fd);
	return 0;
}
