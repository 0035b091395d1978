#include "pool.h"

#include "log.h"
#include "loop.h"
#include "mem.h"
#include "throttle.h"

#include <errno.h>

#include <stdlib.h>

enum worker_state { BUSY, IDLE, ENDING };

struct worker {
	struct worker *prev, *next;
	struct pool *pool;
	struct channel *channel;
	enum worker_state state;
};

struct waiter {
	struct waiter *next;
	struct co *co;
};

struct pool {
	struct loop *loop;
	char *name, *file;
	struct trace *trace;
	struct strv env;
	struct graces graces;
	int (*greet)(struct co *co, void *ud, struct channel *ch, struct err *err);
	void *ud;
	unsigned max_workers;
	struct throttle throttle;
	struct worker *workers; /* the one used last comes first */
	size_t n;
	struct waiter *waiters; /* who asked first comes first */
	struct co *closer;
};

struct pool *pool_new(struct loop *loop, const struct pool_options *opt)
{
	struct pool *pool = xcalloc(1, sizeof(*pool));

	pool->loop = loop;
	pool->name = xstrdup(opt->name);
	pool->file = xstrdup(opt->file);
	pool->trace = opt->trace;
	pool->graces = opt->hasty ? graces_hasty() : graces_default();
	pool->greet = opt->greet;
	pool->ud = opt->ud;
	pool->max_workers = opt->max_workers;
	return pool;
}

void pool_set_environment(struct pool *pool, struct strv *take_env)
{
	strv_finish(&pool->env);
	pool->env = *take_env;
	*take_env = STRV_INIT;
}

void pool_set_max(struct pool *pool, unsigned max_workers)
{
	pool->max_workers = max_workers;
}

struct channel *worker_channel(struct worker *w)
{
	return w->channel;
}

size_t pool_size(const struct pool *pool)
{
	return pool->n;
}

static void wake_first(struct pool *pool)
{
	if (pool->waiters)
		co_wake(pool->waiters->co);
	if (pool->closer)
		co_wake(pool->closer);
}

static void unlink_worker(struct worker *w)
{
	*(w->prev ? &w->prev->next : &w->pool->workers) = w->next;
	if (w->next)
		w->next->prev = w->prev;
	w->prev = w->next = NULL;
}

static void link_first(struct worker *w)
{
	w->next = w->pool->workers;
	if (w->next)
		w->next->prev = w;
	w->pool->workers = w;
}

static void forget(struct worker *w)
{
	struct pool *pool = w->pool;

	unlink_worker(w);
	channel_free(w->channel);
	free(w);
	pool->n--;
	wake_first(pool);
}

static void on_ended(void *ud)
{
	struct worker *w = ud;

	if (w->state != BUSY) /* else its user still reads why it died */
		forget(w);
}

void pool_discard(struct worker *w)
{
	w->state = ENDING;
	if (channel_ended(w->channel))
		forget(w);
	else
		channel_end(w->channel);
}

void pool_release(struct worker *w)
{
	if (!channel_usable(w->channel)) {
		pool_discard(w);
		return;
	}
	w->state = IDLE;
	unlink_worker(w);
	link_first(w);
	wake_first(w->pool);
}

static int start_worker(struct co *co, struct pool *pool, struct worker **ret, struct err *err)
{
	struct worker *w = xcalloc(1, sizeof(*w));
	struct channel_options opt = {
		.name = pool->name,
		.file = pool->file,
		.env = pool->env.items,
		.graces = pool->graces,
		.trace = pool->trace,
		.ended = on_ended,
		.ud = w,
	};

	w->pool = pool;
	if (channel_start(pool->loop, &opt, &w->channel, err) < 0) {
		free(w);
		return -1;
	}
	link_first(w);
	pool->n++;
	if (pool->greet(co, pool->ud, w->channel, err) < 0) {
		pool_discard(w);
		return -1;
	}
	*ret = w;
	return 0;
}

static struct worker *idle_worker(const struct pool *pool)
{
	for (struct worker *w = pool->workers; w; w = w->next)
		if (w->state == IDLE && channel_usable(w->channel))
			return w;
	return NULL;
}

static void leave_queue(struct pool *pool, struct waiter *self)
{
	struct waiter **p = &pool->waiters;

	while (*p != self)
		p = &(*p)->next;
	*p = self->next;
}

void pool_slow(struct pool *pool, uint64_t began, uint32_t told_ms)
{
	uint64_t now = loop_now(pool->loop);

	throttle_slow(&pool->throttle, pool->max_workers, began, now, told_ms);
	log_debug("driver \"%s\" asks to slow down: %u at once, the next in %llu ms", pool->name,
		pool_limit(pool), (unsigned long long)throttle_pause(&pool->throttle, now));
}

void pool_ease(struct pool *pool, uint64_t began)
{
	throttle_ease(&pool->throttle, pool->max_workers, began);
	wake_first(pool);
}

void pool_stops_deadline(const struct pool *pool, struct co_deadline *d)
{
	const struct throttle *t = &pool->throttle;

	co_deadline_stops(d, &t->paused, t->paused - throttle_pause(t, loop_now(pool->loop)));
}

unsigned pool_limit(const struct pool *pool)
{
	return throttle_limit(&pool->throttle, pool->max_workers);
}

static unsigned n_busy(const struct pool *pool)
{
	unsigned n = 0;

	for (const struct worker *w = pool->workers; w; w = w->next)
		n += w->state == BUSY;
	return n;
}

bool pool_is_busy(const struct pool *pool)
{
	return pool->waiters || n_busy(pool);
}

static bool has_room(const struct pool *pool)
{
	return n_busy(pool) < pool_limit(pool) &&
	       (idle_worker(pool) || pool->n < pool->max_workers);
}

/* Whoever is first watches the clock for all. */
static int wait_first(struct co *co, struct pool *pool)
{
	uint64_t pause = throttle_pause(&pool->throttle, loop_now(pool->loop));
	int r = pause ? co_wait_ms(co, pause) : co_wait(co);

	return pause && r == -ETIMEDOUT ? co_interrupted(co) : r;
}

static bool may_go(const struct pool *pool)
{
	return has_room(pool) && !throttle_pause(&pool->throttle, loop_now(pool->loop));
}

/* Until it is our turn and there is a worker or room for one. */
static int wait_turn(struct co *co, struct pool *pool)
{
	struct waiter self = {.co = co}, **end = &pool->waiters;
	int r = co_interrupted(co);

	while (*end)
		end = &(*end)->next;
	*end = &self;
	while (r == 0 && (pool->waiters != &self || !may_go(pool)))
		r = pool->waiters == &self ? wait_first(co, pool) : co_wait(co);
	leave_queue(pool, &self);
	return r;
}

int pool_acquire(struct co *co, struct pool *pool, bool fresh, struct worker **ret, struct err *err)
{
	int r = wait_turn(co, pool);
	struct worker *w;

	wake_first(pool); /* there may be room for one more */
	if (r < 0)
		return co_err(r, err);
	w = idle_worker(pool);
	if (!w || (fresh && pool->n < pool->max_workers)) {
		r = start_worker(co, pool, ret, err);
	} else {
		w->state = BUSY;
		*ret = w;
	}
	return r;
}

void pool_close(struct co *co, struct pool *pool)
{
	if (!pool)
		return;
	co_mask(co);
	pool->closer = co;
	for (struct worker *w = pool->workers, *next; w; w = next) {
		next = w->next;
		pool_discard(w);
	}
	while (pool->n > 0)
		co_wait(co);
	co_unmask(co);
	strv_finish(&pool->env);
	free(pool->name);
	free(pool->file);
	free(pool);
}
