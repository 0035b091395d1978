/*
 * A terminal session over libssh2. The pump waits for the socket, standard input, window size
 * changes and its keepalive timer at once, hence handles of its own instead of co_fd. The terminal
 * is put back on every way out.
 */
#include "ssh_native.h"

#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define CHUNK 16384u
#define DEFAULT_COLUMNS 80
#define DEFAULT_ROWS 24
#define STATUS_SIGNAL 255 /* as the system's ssh exits */

struct terminal {
	struct native *n;
	LIBSSH2_CHANNEL *ch;
	struct co *co;
	uv_poll_t socket, input;
	uv_signal_t resize;
	uv_timer_t timer;
	unsigned open;
	bool input_polls; /* false: a regular file, always readable */
	bool input_ready, input_eof, eof_sent, resized;
	bool in_line;       /* what was read last is no end of a line */
	struct buf pending; /* read from the terminal, not sent yet */
	struct termios saved;
	bool raw;
	char *scratch;
};

static void enter_raw(struct terminal *t)
{
	struct termios raw;

	if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &t->saved) < 0)
		return;
	raw = t->saved;
	cfmakeraw(&raw);
	t->raw = tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == 0;
}

static void leave_raw(struct terminal *t)
{
	if (t->raw)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &t->saved);
	t->raw = false;
}

static void window_size(int *columns, int *rows)
{
	struct winsize w;

	*columns = DEFAULT_COLUMNS;
	*rows = DEFAULT_ROWS;
	if (ioctl(STDIN_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col && w.ws_row) {
		*columns = w.ws_col;
		*rows = w.ws_row;
	}
}

static void on_socket(uv_poll_t *h, int status, int events)
{
	struct terminal *t = h->data;

	(void)status; /* the next call of libssh2 finds out */
	(void)events;
	uv_poll_stop(h);
	t->n->heard_ms = loop_now(co_loop(t->co));
	co_wake(t->co);
}

static void on_input(uv_poll_t *h, int status, int events)
{
	struct terminal *t = h->data;

	(void)status;
	(void)events;
	uv_poll_stop(h);
	t->input_ready = true;
	co_wake(t->co);
}

static void on_resize(uv_signal_t *h, int signum)
{
	struct terminal *t = h->data;

	(void)signum;
	t->resized = true;
	co_wake(t->co);
}

static void on_timer(uv_timer_t *h)
{
	struct terminal *t = h->data;

	co_wake(t->co);
}

static void on_closed(uv_handle_t *h)
{
	struct terminal *t = h->data;

	t->open--;
	co_wake(t->co);
}

static void add_handle(struct terminal *t, uv_handle_t *h)
{
	h->data = t;
	t->open++;
}

static void open_handles(struct terminal *t)
{
	uv_loop_t *uv = loop_uv(co_loop(t->co));

	if (uv_poll_init(uv, &t->socket, t->n->fd) == 0)
		add_handle(t, (uv_handle_t *)&t->socket);
	int flags = fcntl(STDIN_FILENO, F_GETFL);
	if (flags >= 0 && uv_poll_init(uv, &t->input, STDIN_FILENO) == 0) {
		/* libuv made it non-blocking, also for the shell that we share it with */
		fcntl(STDIN_FILENO, F_SETFL, flags);
		t->input_polls = true;
		add_handle(t, (uv_handle_t *)&t->input);
	}
	uv_signal_init(uv, &t->resize);
	add_handle(t, (uv_handle_t *)&t->resize);
	uv_signal_start(&t->resize, on_resize, SIGWINCH);
	uv_timer_init(uv, &t->timer);
	add_handle(t, (uv_handle_t *)&t->timer);
}

static void close_handles(struct terminal *t)
{
	uv_handle_t *handles[] = {(uv_handle_t *)&t->socket, (uv_handle_t *)&t->input,
		(uv_handle_t *)&t->resize, (uv_handle_t *)&t->timer};

	for (size_t i = 0; i < ARRAY_SIZE(handles); i++)
		if (handles[i]->data)
			uv_close(handles[i], on_closed);
	co_mask(t->co);
	while (t->open)
		co_wait(t->co);
	co_unmask(t->co);
}

/* Closing the channel says nothing to a terminal. Its key for the end is one only where a line
 * begins; within a line it hands over what there is of it. */
static void add_end(struct terminal *t)
{
	if (t->in_line)
		buf_addc(&t->pending, CEOF);
	buf_addc(&t->pending, CEOF);
}

static void read_input(struct terminal *t)
{
	if (t->input_eof || t->pending.len || (t->input_polls && !t->input_ready))
		return;
	ssize_t n = read(STDIN_FILENO, t->scratch, CHUNK);
	t->input_ready = false;
	if (n > 0) {
		buf_add(&t->pending, t->scratch, (size_t)n);
		t->in_line = t->scratch[n - 1] != '\n' && t->scratch[n - 1] != '\r';
	} else if (n == 0 || (errno != EINTR && errno != EAGAIN)) {
		t->input_eof = true;
		add_end(t);
	}
}

/* Each step: 1 something moved, 0 nothing to do now, -1 error. */
static int send_input(struct terminal *t, struct err *err)
{
	int wait_rc = 0;
	ssize_t rc = 0;

	if (t->pending.len)
		rc = native_try(t->co, t->n, &wait_rc,
			libssh2_channel_write(t->ch, t->pending.data, t->pending.len));
	else if (t->input_eof && !t->eof_sent)
		rc = native_try(t->co, t->n, &wait_rc, libssh2_channel_send_eof(t->ch));
	else
		return 0;
	if (wait_rc < 0)
		return native_wait_err(t->n, wait_rc, err);
	if (rc == LIBSSH2_ERROR_EAGAIN)
		return 0;
	if (rc == LIBSSH2_ERROR_CHANNEL_CLOSED || rc == LIBSSH2_ERROR_CHANNEL_EOF_SENT) {
		t->input_eof = t->eof_sent = true;
		buf_clear(&t->pending);
		return 1;
	}
	if (rc < 0)
		return native_err(t->n, (int)rc, "send", err);
	t->eof_sent = t->input_eof && t->pending.len == 0;
	buf_consume(&t->pending, (size_t)rc);
	return 1;
}

/* Who reads there may be slow, or stopped. The loop waits, so that signals are heard; for files it
 * cannot, and need not. */
static int wait_writable(struct terminal *t, int fd, struct err *err)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};

	if (poll(&p, 1, 0) != 0)
		return 0;
	int r = co_fd(t->co, fd, UV_WRITABLE, 0, NULL);
	return r == -ECANCELED ? native_wait_err(t->n, r, err) : 0;
}

/* In pieces that do not block a pipe with room for any. */
static int write_out(struct terminal *t, int fd, const char *data, size_t n, struct err *err)
{
	while (n > 0) {
		if (wait_writable(t, fd, err) < 0)
			return -1;
		ssize_t done = write(fd, data, MIN(n, (size_t)PIPE_BUF));

		if (done < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (done < 0)
			return err_errno(err, errno, "write to the terminal");
		data += done;
		n -= (size_t)done;
	}
	return 0;
}

static int show(struct terminal *t, int stream, int fd, struct err *err)
{
	int wait_rc;
	ssize_t rc = native_try(
		t->co, t->n, &wait_rc, libssh2_channel_read_ex(t->ch, stream, t->scratch, CHUNK));

	if (wait_rc < 0)
		return native_wait_err(t->n, wait_rc, err);
	if (rc == LIBSSH2_ERROR_EAGAIN || rc == 0)
		return 0;
	if (rc < 0)
		return native_err(t->n, (int)rc, "receive", err);
	return write_out(t, fd, t->scratch, (size_t)rc, err) < 0 ? -1 : 1;
}

static int send_size(struct terminal *t, struct err *err)
{
	int columns, rows, wait_rc;

	if (!t->resized)
		return 0;
	t->resized = false;
	window_size(&columns, &rows);
	int rc = native_do(t->co, t->n, &wait_rc,
		libssh2_channel_request_pty_size_ex(t->ch, columns, rows, 0, 0));
	if (wait_rc < 0)
		return native_wait_err(t->n, wait_rc, err);
	return rc < 0 ? native_err(t->n, rc, "set the window's size", err) : 1;
}

static int sleep_till_news(struct terminal *t, struct err *err)
{
	int ms = native_keepalive(t->n, loop_now(co_loop(t->co)));

	if (ms < 0)
		return native_wait_err(t->n, ms, err);
	uv_poll_start(&t->socket, UV_READABLE, on_socket);
	if (t->input_polls && !t->input_eof && !t->pending.len)
		uv_poll_start(&t->input, UV_READABLE, on_input);
	uv_timer_start(&t->timer, on_timer, (uint64_t)ms, 0);
	int r = co_wait(t->co);
	uv_poll_stop(&t->socket); /* native_try watches it by itself */
	if (t->input_polls)
		uv_poll_stop(&t->input);
	uv_timer_stop(&t->timer);
	return r < 0 ? native_wait_err(t->n, r, err) : 0;
}

static int pump(struct terminal *t, struct err *err)
{
	for (;;) {
		int sent, out = 0, errout = 0;

		read_input(t);
		if (send_size(t, err) < 0 || (sent = send_input(t, err)) < 0 ||
			(out = show(t, 0, STDOUT_FILENO, err)) < 0 ||
			(errout = show(t, SSH_EXTENDED_DATA_STDERR, STDERR_FILENO, err)) < 0)
			return -1;
		if (sent || out || errout) {
			int r = co_yield (t->co);
			if (r < 0)
				return native_wait_err(t->n, r, err);
			continue;
		}
		if (libssh2_channel_eof(t->ch))
			return 0;
		if (sleep_till_news(t, err) < 0)
			return -1;
	}
}

static int start(struct terminal *t, const struct strv *words, struct err *err)
{
	_cleanup_free_ char *command = words->n ? strv_join(words, " ") : NULL;
	int columns, rows, wait_rc;

	t->ch = native_open_channel(t->co, t->n, err);
	if (!t->ch)
		return -1;
	window_size(&columns, &rows);
	int rc = native_do(t->co, t->n, &wait_rc,
		libssh2_channel_request_pty_ex(t->ch, "xterm", 5, NULL, 0, columns, rows, 0, 0));
	if (wait_rc < 0)
		return native_wait_err(t->n, wait_rc, err);
	if (rc < 0)
		return native_err(t->n, rc, "ask for a terminal", err);
	return native_start(t->co, t->n, t->ch, command, err);
}

static int run(struct terminal *t, const struct strv *words, int *ret_status, struct err *err)
{
	_cleanup_free_ char *signal = NULL;

	if (start(t, words, err) < 0)
		return -1;
	t->scratch = xmalloc(CHUNK);
	open_handles(t);
	enter_raw(t);
	int rc = pump(t, err);
	leave_raw(t);
	close_handles(t);
	free(t->scratch);
	buf_finish(&t->pending);
	if (rc < 0 || native_finish_channel(t->co, t->n, t->ch, ret_status, &signal, err) < 0)
		return -1;
	if (signal)
		*ret_status = STATUS_SIGNAL;
	return 0;
}

int ssh_interactive_native(struct co *co, const struct ssh_target *target, const struct strv *words,
	int *ret_status, struct err *err)
{
	_cleanup_place_info_ struct ssh_place_info p = {0};
	struct native *n;
	int status;

	if (ssh_place_info(target, &p, err) < 0 || ssh_expect_keys(co, &p, err) < 0 ||
		native_connect(co, &p, &n, err) < 0)
		return -1;
	struct terminal *t = xcalloc(1, sizeof(*t)); /* handles: too much for a small stack */
	t->co = co;
	t->n = n;
	int rc = run(t, words, &status, err);
	free(t);
	co_mask(co);
	native_disconnect(co, n);
	co_unmask(co);
	if (rc == 0)
		*ret_status = status;
	return rc;
}
