/* Waits for what happens outside: descriptors and threads. Requests live on the heap, so that a
 * coroutine can leave before libuv is done with them. */
#include "loop.h"

#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

struct poll {
	uv_poll_t handle;
	struct co *co; /* NULL: nobody waits any more */
	bool done;
	int status;
	int events;
};

static void free_poll(uv_handle_t *handle)
{
	free(handle->data);
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
	struct poll *p = handle->data;

	if (!p->co)
		return;
	p->done = true;
	p->status = status;
	p->events = events;
	uv_poll_stop(handle);
	co_wake(p->co);
}

/* libuv makes it non-blocking, which a terminal or pipe would then be for all who share it, also
 * after our end. */
static int init_poll(uv_loop_t *uv, uv_poll_t *handle, int fd)
{
	int flags = fcntl(fd, F_GETFL);
	int r = uv_poll_init(uv, handle, fd);

	if (flags >= 0 && !(flags & O_NONBLOCK))
		fcntl(fd, F_SETFL, flags);
	return r;
}

int co_fd(struct co *co, int fd, int events, uint64_t timeout_ms, int *ret_events)
{
	uint64_t now = loop_now(co->loop);
	uint64_t at = timeout_ms && timeout_ms < UINT64_MAX - now ? now + timeout_ms : UINT64_MAX;
	struct poll *p;
	int r = co_interrupted(co);

	if (r < 0)
		return r;
	p = xcalloc(1, sizeof(*p));
	p->co = co;
	p->handle.data = p;
	r = init_poll(&co->loop->uv, &p->handle, fd);
	if (r < 0) {
		free(p);
		return r;
	}
	r = uv_poll_start(&p->handle, events, on_poll);
	while (r == 0 && !p->done) {
		now = loop_now(co->loop);
		r = at == UINT64_MAX ? co_wait(co) : co_wait_ms(co, at > now ? at - now : 0);
	}
	p->co = NULL;
	if (p->done) {
		/* libuv reports a socket's error as a bad descriptor: the caller's own read or
		 * getsockopt finds the true cause. */
		r = p->status == UV_EBADF ? 0 : p->status;
		if (r == 0 && ret_events)
			*ret_events = p->status == 0 ? p->events : events;
	}
	uv_close((uv_handle_t *)&p->handle, free_poll);
	return r;
}

struct work {
	uv_work_t req;
	struct co *co;
	void (*fn)(void *);
	void *arg;
	bool done;
	bool ran;
};

static void on_work(uv_work_t *req)
{
	struct work *w = req->data;

	w->ran = true;
	w->fn(w->arg);
}

static void on_work_done(uv_work_t *req, int status)
{
	struct work *w = req->data;

	w->done = true;
	co_wake(w->co);
}

int co_work(struct co *co, void (*fn)(void *arg), void *arg)
{
	struct work w = {.co = co, .fn = fn, .arg = arg};
	int r = co_interrupted(co), queued;

	if (r < 0)
		return r;
	w.req.data = &w;
	queued = uv_queue_work(&co->loop->uv, &w.req, on_work, on_work_done);
	if (queued < 0)
		return queued;
	while (r == 0 && !w.done)
		r = co_wait(co);
	if (!w.done)
		uv_cancel((uv_req_t *)&w.req); /* fails once a thread has begun */
	co_mask(co);
	while (!w.done)
		co_wait(co);
	co_unmask(co);
	if (w.ran)
		return r == -ECANCELED ? r : 0;
	return r;
}
