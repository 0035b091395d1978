/*
 * The pipe. The protocol gets descriptors of its own, closed on exec; descriptor 0 then reads
 * nothing and descriptor 1 leads to standard error, so that a library or child process that prints
 * cannot break a frame.
 *
 * Driver code blocks, and nobody may be reading when the host goes away. So a thread waits for the
 * other end of standard input to be closed, gives the main thread a second to see it by itself, and
 * ends the process. It holds no lock and calls nothing but poll, sleep and _exit.
 */
#include "sdk.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define END_GRACE_S 1
#define WATCH_STACK (256u << 10)
#define FIRST_FREE_FD 3

int64_t sdk_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void *watch_end(void *arg)
{
	struct pollfd p = {.fd = (int)(intptr_t)arg, .events = POLLRDHUP};
	struct timespec grace = {.tv_sec = END_GRACE_S};

	while (poll(&p, 1, -1) < 0)
		if (errno != EINTR)
			return NULL;
	while (nanosleep(&grace, &grace) < 0 && errno == EINTR)
		;
	_exit(0);
}

static int start_watch(int fd, struct err *err)
{
	sigset_t all, before;
	pthread_attr_t attr;
	pthread_t thread;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the main thread's */
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, WATCH_STACK);
	r = pthread_create(&thread, &attr, watch_end, (void *)(intptr_t)fd);
	pthread_attr_destroy(&attr);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return r ? err_errno(err, r, "start a thread") : 0;
}

static void ignore_signal(int number)
{
	(void)number;
}

static int open_private(struct sdk_conn *c, struct err *err)
{
	int null;

	c->in = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, FIRST_FREE_FD);
	if (c->in < 0)
		return err_errno(err, errno, "standard input");
	c->out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, FIRST_FREE_FD);
	if (c->out < 0)
		return err_errno(err, errno, "standard output");
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0)
		return err_errno(err, errno, "/dev/null");
	if (fcntl(STDERR_FILENO, F_GETFD) < 0)
		dup2(null, STDERR_FILENO);
	if (dup2(null, STDIN_FILENO) < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
		return err_errno(err, errno, "redirect the standard streams");
	if (null > STDERR_FILENO)
		close(null);
	return 0;
}

int sdk_conn_open(struct sdk_conn **ret, struct err *err)
{
	/* A handler, for an ignored signal would be ignored by the driver's children, too. */
	struct sigaction pipe_action = {.sa_handler = ignore_signal, .sa_flags = SA_RESTART};
	struct sdk_conn *c = xcalloc(1, sizeof(*c));

	c->in = c->out = -1;
	c->chunk = xmalloc(SDK_READ_SIZE);
	sigaction(SIGPIPE, &pipe_action, NULL);
	if (open_private(c, err) < 0 || start_watch(c->in, err) < 0) {
		sdk_conn_free(c);
		return -1;
	}
	*ret = c;
	return 0;
}

void sdk_conn_free(struct sdk_conn *c)
{
	if (!c)
		return;
	frame_decoder_finish(&c->decoder);
	rpc_msg_finish(&c->queued);
	free(c->chunk);
	close_fdp(&c->out); /* `in` stays: the thread waits on it until the process ends */
	free(c);
}

static void lost(struct sdk_conn *c, int status)
{
	if (!c->gone)
		c->status = status;
	c->gone = true;
}

/* 1: bytes came. 0: none in time. -1: gone. */
static int fill(struct sdk_conn *c, int64_t deadline)
{
	for (;;) {
		struct pollfd p = {.fd = c->in, .events = POLLIN};
		int64_t left = deadline < 0 ? -1 : MAX(deadline - sdk_now_ms(), (int64_t)0);
		ssize_t n;
		int r = poll(&p, 1, (int)MIN(left, (int64_t)INT32_MAX));

		if (r == 0 && left <= 0)
			return 0;
		if (r <= 0)
			continue;
		n = read(c->in, c->chunk, SDK_READ_SIZE);
		if (n > 0) {
			frame_decoder_feed(&c->decoder, c->chunk, (size_t)n);
			return 1;
		}
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		lost(c, 0);
		return -1;
	}
}

int sdk_conn_receive(struct sdk_conn *c, int64_t timeout_ms, struct rpc_msg *ret)
{
	int64_t deadline = timeout_ms < 0 ? -1 : sdk_now_ms() + timeout_ms;
	_cleanup_err_ struct err err = ERR_INIT;

	while (!c->gone) {
		const char *body;
		size_t len;
		int64_t id;
		int code, r = frame_decoder_next(&c->decoder, &body, &len, &err);

		if (r < 0) { /* F5 */
			fprintf(stderr, "%s; giving up\n", err_msg(&err));
			lost(c, 1);
			break;
		}
		if (r == 0) {
			if ((r = fill(c, deadline)) <= 0)
				return r;
			continue;
		}
		if (rpc_parse(body, len, ret, &code, &id, &err) == 0)
			return 1;
		sdk_conn_send_error(c, id, code, &err);
	}
	return -1;
}

static void write_all(struct sdk_conn *c, const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(c->out, data, len);

		if (n < 0 && errno == EAGAIN) {
			struct pollfd p = {.fd = c->out, .events = POLLOUT};
			poll(&p, 1, -1);
		} else if (n < 0 && errno != EINTR) {
			lost(c, 0);
			return;
		} else if (n > 0) {
			data += n;
			len -= (size_t)n;
		}
	}
}

int sdk_conn_send(struct sdk_conn *c, const struct buf *body, struct err *err)
{
	_cleanup_buf_ struct buf frame = BUF_INIT;

	if (frame_encode(&frame, buf_str(body), body->len, err) < 0)
		return -1;
	write_all(c, frame.data, frame.len);
	return 0;
}

void sdk_conn_send_error(struct sdk_conn *c, int64_t id, int code, const struct err *error)
{
	_cleanup_buf_ struct buf body = BUF_INIT;
	_cleanup_err_ struct err err = ERR_INIT;

	rpc_write_error(&body, id, code, error);
	if (sdk_conn_send(c, &body, &err) < 0)
		fprintf(stderr, "an error message is too long to be sent\n");
}

void sdk_conn_send_result(struct sdk_conn *c, int64_t id, const struct json *result)
{
	_cleanup_buf_ struct buf body = BUF_INIT;
	_cleanup_err_ struct err err = ERR_INIT;

	rpc_write_result(&body, id, result);
	if (sdk_conn_send(c, &body, &err) < 0) {
		err_wrap(&err, "the answer cannot be sent");
		err.code = ERR_INTERNAL;
		sdk_conn_send_error(c, id, RPC_DRIVER_ERROR, &err);
	}
}
