#include "ssh_child.h"

#include "mem.h"
#include "nofile.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define READ_SIZE 65536u
#define KILL_GRACE_MS 1000u

struct stream {
	struct ssh_child *child;
	uv_pipe_t pipe;
	struct buf pending;
	bool reading;
	bool eof;
};

struct ssh_child {
	uv_process_t process;
	uv_pipe_t in;
	struct stream streams[2];
	uv_timer_t timer;
	uv_write_t write;
	unsigned open; /* handles not closed yet */
	bool in_closed;
	bool exited;
	int status;
	bool timed_out;
	struct co *waiter;
	char scratch[READ_SIZE];
};

static void wake(struct ssh_child *c)
{
	if (c->waiter)
		co_wake(c->waiter);
}

static void on_closed(uv_handle_t *h)
{
	struct ssh_child *c = h->data;

	c->open--;
	wake(c);
}

static void close_handle(uv_handle_t *h)
{
	if (!uv_is_closing(h))
		uv_close(h, on_closed);
}

static void close_input(struct ssh_child *c)
{
	c->in_closed = true;
	close_handle((uv_handle_t *)&c->in);
}

static void on_exit_status(uv_process_t *p, int64_t status, int signal)
{
	struct ssh_child *c = p->data;

	c->exited = true;
	c->status = signal ? -1 : (int)status;
	wake(c);
}

static void on_timer(uv_timer_t *t)
{
	struct ssh_child *c = t->data;

	c->timed_out = true;
	wake(c);
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *ret)
{
	struct ssh_child *c = h->data;

	(void)suggested;
	*ret = uv_buf_init(c->scratch, READ_SIZE);
}

static void on_read(uv_stream_t *pipe, ssize_t n, const uv_buf_t *data)
{
	struct ssh_child *c = pipe->data;
	struct stream *s =
		pipe == (uv_stream_t *)&c->streams[0].pipe ? &c->streams[0] : &c->streams[1];

	if (n > 0)
		buf_add(&s->pending, data->base, (size_t)n);
	if (n < 0)
		s->eof = true;
	if (n < 0 || s->pending.len >= CHILD_MAX_PENDING) {
		uv_read_stop(pipe);
		s->reading = false;
	}
	wake(c);
}

static void start_reading(struct stream *s)
{
	if (s->reading || s->eof)
		return;
	s->reading = true;
	if (uv_read_start((uv_stream_t *)&s->pipe, on_alloc, on_read) < 0) {
		s->reading = false;
		s->eof = true;
	}
}

static void on_written(uv_write_t *w, int status)
{
	struct ssh_child *c = w->data;

	(void)status; /* a command need not read its input */
	close_input(c);
}

static void init_handles(struct ssh_child *c, uv_loop_t *uv)
{
	uv_pipe_init(uv, &c->in, 0);
	c->in.data = c;
	for (size_t i = 0; i < ARRAY_SIZE(c->streams); i++) {
		uv_pipe_init(uv, &c->streams[i].pipe, 0);
		c->streams[i].pipe.data = c;
	}
	uv_timer_init(uv, &c->timer);
	c->timer.data = c;
	c->process.data = c;
	c->open = 5; /* the process's handle is in the loop even when uv_spawn fails */
}

int ssh_child_start(struct co *co, const struct strv *argv, struct ssh_child **ret, struct err *err)
{
	struct ssh_child *c = xcalloc(1, sizeof(*c));

	init_handles(c, loop_uv(co_loop(co)));
	uv_stdio_container_t stdio[] = {
		{.flags = UV_CREATE_PIPE | UV_READABLE_PIPE, .data.stream = (uv_stream_t *)&c->in},
		{.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE,
			.data.stream = (uv_stream_t *)&c->streams[0].pipe},
		{.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE,
			.data.stream = (uv_stream_t *)&c->streams[1].pipe},
	};
	uv_process_options_t options = {
		.exit_cb = on_exit_status,
		.file = argv->items[0],
		.args = argv->items,
		.flags = UV_PROCESS_DETACHED,
		.stdio_count = ARRAY_SIZE(stdio),
		.stdio = stdio,
	};
	int r = uv_spawn(loop_uv(co_loop(co)), &c->process, &options);
	if (r < 0) {
		c->exited = true;
		co_mask(co);
		ssh_child_end(co, c, 0);
		co_unmask(co);
		return err_errno(err, -r, "start %s", argv->items[0]);
	}
	nofile_restore(c->process.pid);
	start_reading(&c->streams[0]);
	start_reading(&c->streams[1]);
	*ret = c;
	return 0;
}

void ssh_child_feed(struct ssh_child *c, const void *data, size_t n)
{
	uv_buf_t b = uv_buf_init((char *)(uintptr_t)data, (unsigned)n);

	c->write.data = c;
	if (n == 0 || uv_write(&c->write, (uv_stream_t *)&c->in, &b, 1, on_written) < 0)
		close_input(c);
}

struct buf *ssh_child_output(struct ssh_child *c, unsigned stream)
{
	return &c->streams[stream].pending;
}

void ssh_child_taken(struct ssh_child *c, unsigned stream)
{
	buf_clear(&c->streams[stream].pending);
	start_reading(&c->streams[stream]);
}

bool ssh_child_exited(const struct ssh_child *c)
{
	return c->exited;
}

bool ssh_child_done(const struct ssh_child *c)
{
	return c->exited && c->streams[0].eof && c->streams[1].eof;
}

int ssh_child_status(const struct ssh_child *c)
{
	return c->status;
}

static bool has_news(const struct ssh_child *c)
{
	return c->streams[0].pending.len || c->streams[1].pending.len || ssh_child_done(c);
}

static bool has_exited(const struct ssh_child *c)
{
	return c->exited;
}

static bool is_closed(const struct ssh_child *c)
{
	return c->open == 0;
}

/* A timer of its own: co's deadlines do not count while it is masked. */
static int await(
	struct co *co, struct ssh_child *c, bool (*met)(const struct ssh_child *), uint64_t ms)
{
	int r = 0;

	c->waiter = co;
	c->timed_out = false;
	if (ms)
		uv_timer_start(&c->timer, on_timer, ms, 0);
	while (r == 0 && !met(c)) {
		if (c->timed_out)
			r = -ETIMEDOUT;
		else
			r = co_wait(co);
	}
	if (ms)
		uv_timer_stop(&c->timer);
	c->waiter = NULL;
	return r;
}

int ssh_child_await(struct co *co, struct ssh_child *c, uint64_t ms)
{
	return await(co, c, has_news, ms);
}

static void stop(struct co *co, struct ssh_child *c, uint64_t grace_ms)
{
	if (!c->in_closed)
		close_input(c);
	if (c->exited || (grace_ms && await(co, c, has_exited, grace_ms) == 0))
		return;
	uv_process_kill(&c->process, SIGTERM);
	if (await(co, c, has_exited, KILL_GRACE_MS) == 0)
		return;
	uv_process_kill(&c->process, SIGKILL);
	await(co, c, has_exited, 0);
}

void ssh_child_end(struct co *co, struct ssh_child *c, uint64_t grace_ms)
{
	if (!c)
		return;
	stop(co, c, grace_ms);
	close_handle((uv_handle_t *)&c->process);
	close_handle((uv_handle_t *)&c->streams[0].pipe);
	close_handle((uv_handle_t *)&c->streams[1].pipe);
	close_handle((uv_handle_t *)&c->timer);
	await(co, c, is_closed, 0);
	buf_finish(&c->streams[0].pending);
	buf_finish(&c->streams[1].pending);
	free(c);
}
