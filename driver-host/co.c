#include "co.h"

#include "loop.h"
#include "mem.h"

#include <errno.h>
#include <stdlib.h>

static void co_main(void *arg)
{
	struct co *co = arg;

	co_ctx_enter(&co->ctx);
	co->fn(co, co->arg);
	co->done = true;
	co_ctx_leave(&co->ctx, &co->loop->main);
}

struct co *co_spawn(struct loop *loop, const char *name, co_fn fn, void *arg)
{
	struct co *co = xcalloc(1, sizeof(*co));

	co->loop = loop;
	co->name = xstrdup(name);
	co_tag(co, loop_tag(loop));
	co->fn = fn;
	co->arg = arg;
	co->stack = stack_get(loop);
	co_ctx_init(&co->ctx, co->stack->base, CO_STACK_SIZE, co_main, co);
	co->next = loop->all;
	if (co->next)
		co->next->prev = co;
	loop->all = co;
	loop_ready(co);
	return co;
}

void co_tag(struct co *co, const char *tag)
{
	char *copy = tag ? xstrdup(tag) : NULL;

	free(co->tag);
	co->tag = copy;
}

const char *loop_tag(const struct loop *loop)
{
	return loop->current ? loop->current->tag : NULL;
}

struct loop *co_loop(struct co *co)
{
	return co->loop;
}

void co_suspend(struct co *co)
{
	if (co->loop->current != co)
		abort(); /* only the running coroutine can suspend, and only itself */
	co->waiting = true;
	co_ctx_switch(&co->ctx, &co->loop->main);
	co->waiting = false;
}

#define STOPPED_MAX_MS 3600000u

static uint64_t add_ms(uint64_t at, uint64_t ms)
{
	return ms < UINT64_MAX - at ? at + ms : UINT64_MAX;
}

uint64_t co_deadline_at(const struct co_deadline *d)
{
	uint64_t stopped = d->stopped ? *d->stopped - d->stopped_before : 0;

	return add_ms(d->at, MIN(stopped, (uint64_t)STOPPED_MAX_MS));
}

uint64_t co_limit(const struct co *co)
{
	uint64_t at = UINT64_MAX;

	for (const struct co_deadline *d = co->deadline; d; d = d->outer)
		at = MIN(at, co_deadline_at(d));
	return at;
}

int co_interrupted(const struct co *co)
{
	if (co->masked > 0)
		return 0;
	if (co->cancelled)
		return -ECANCELED;
	return co_limit(co) <= loop_now(co->loop) ? -ETIMEDOUT : 0;
}

static void on_timer(uv_timer_t *timer)
{
	loop_ready(timer->data);
}

static void timer_start(struct co *co, uint64_t at)
{
	uint64_t now;

	if (!co->timer_open) {
		uv_timer_init(&co->loop->uv, &co->timer);
		co->timer.data = co;
		co->timer_open = true;
	}
	uv_update_time(&co->loop->uv);
	now = uv_now(&co->loop->uv);
	uv_timer_start(&co->timer, on_timer, at > now ? at - now : 0, 0);
}

/* 0: woken. -ETIMEDOUT: the time `at`, or the deadline, has come. */
static int wait_until(struct co *co, uint64_t at)
{
	int r = co_interrupted(co);

	while (r == 0 && !co->woken) {
		/* may have moved on while we waited */
		uint64_t end = co->masked ? at : MIN(at, co_limit(co));

		if (end <= loop_now(co->loop))
			return -ETIMEDOUT;
		if (end != UINT64_MAX)
			timer_start(co, end);
		co_suspend(co);
		if (co->timer_open)
			uv_timer_stop(&co->timer);
		r = co_interrupted(co);
	}
	if (r == 0)
		co->woken = false;
	return r;
}

static uint64_t time_after(struct co *co, uint64_t ms)
{
	return add_ms(loop_now(co->loop), ms);
}

int co_wait(struct co *co)
{
	return wait_until(co, UINT64_MAX);
}

int co_wait_ms(struct co *co, uint64_t ms)
{
	return wait_until(co, time_after(co, ms));
}

void co_wake(struct co *co)
{
	co->woken = true;
	if (co->waiting)
		loop_ready(co);
}

int co_sleep(struct co *co, uint64_t ms)
{
	uint64_t at = time_after(co, ms);
	bool woken = false;
	int r;

	while ((r = wait_until(co, at)) == 0)
		woken = true;
	if (woken) /* somebody's wake is still owed to the next co_wait */
		co->woken = true;
	if (r == -ETIMEDOUT && co_interrupted(co) == 0)
		return 0;
	return r;
}

int co_yield (struct co *co)
{
	int r = co_interrupted(co);

	if (r < 0)
		return r;
	loop_ready(co);
	co_suspend(co);
	return co_interrupted(co);
}

void co_cancel(struct co *co)
{
	co->cancelled = true;
	if (co->waiting && co->masked == 0)
		loop_ready(co);
}

bool co_cancelled(const struct co *co)
{
	return co->cancelled;
}

void co_mask(struct co *co)
{
	co->masked++;
}

void co_unmask(struct co *co)
{
	co->masked--;
}

/* So that a test of a driver that hangs need not wait as long as a user would. Never in a release.
 */
static uint64_t capped(uint64_t ms)
{
#ifdef MACHINE_FAULT_POINTS
	const char *cap = getenv("MACHINE_TEST_DEADLINE_MS");

	if (cap && ms)
		return MIN(ms, (uint64_t)strtoull(cap, NULL, 10));
#endif
	return ms;
}

void co_deadline_begin(struct co *co, struct co_deadline *d, uint64_t ms)
{
	ms = capped(ms);
	*d = (struct co_deadline){
		.outer = co->deadline, .at = ms ? time_after(co, ms) : UINT64_MAX};
	co->deadline = d;
}

void co_deadline_stops(struct co_deadline *d, const uint64_t *stopped, uint64_t before)
{
	d->stopped = stopped;
	d->stopped_before = before;
}

void co_deadline_end(struct co *co, struct co_deadline *d)
{
	co->deadline = d->outer;
}

uint64_t co_deadline_left(struct co *co)
{
	uint64_t now = loop_now(co->loop), at = co_limit(co);

	if (at == UINT64_MAX)
		return UINT64_MAX;
	return at > now ? at - now : 0;
}

int co_err(int result, struct err *err)
{
	if (result == -ECANCELED)
		return err_set(err, ERR_CANCELED, "cancelled");
	if (result == -ETIMEDOUT)
		return err_set(err, ERR_TIMEOUT, "timed out");
	return err_errno(err, result < 0 ? -result : EINVAL, "wait");
}
