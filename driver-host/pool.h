/* The workers of one driver: started on demand up to a limit, given out one request at a time in
 * the order of asking, replaced when they die. */
#pragma once

#include "channel.h"
#include "strv.h"

struct pool;
struct worker;

struct pool_options {
	const char *name;
	const char *file;
	struct trace *trace;
	unsigned max_workers;
	/* Introduces a fresh worker; -1: it is of no use. */
	int (*greet)(struct co *co, void *ud, struct channel *ch, struct err *err);
	void *ud;
	bool hasty; /* see struct driver_options */
};

struct pool *pool_new(struct loop *loop, const struct pool_options *opt);
/* For workers started from now on; takes the strings. */
void pool_set_environment(struct pool *pool, struct strv *take_env);
void pool_set_max(struct pool *pool, unsigned max_workers);
/* Suspends until a worker is free or may be started. fresh: a new process if possible. */
int pool_acquire(
	struct co *co, struct pool *pool, bool fresh, struct worker **ret, struct err *err);
void pool_release(struct worker *w);
/* What a call that began then says of the driver's provider: it asked to slow down (told_ms: until
 * when, 0: not said), or did not. From then on fewer workers, or one more, are given out at once.
 */
void pool_slow(struct pool *pool, uint64_t began, uint32_t told_ms);
void pool_ease(struct pool *pool, uint64_t began);
/* Time in which the provider is not to be asked does not count for this deadline. */
void pool_stops_deadline(const struct pool *pool, struct co_deadline *d);
unsigned pool_limit(const struct pool *pool); /* how many at once, now */
/* Instead of pool_release: ends it, without waiting. */
void pool_discard(struct worker *w);
struct channel *worker_channel(struct worker *w);
size_t pool_size(const struct pool *pool); /* processes that are not gone yet */
bool pool_is_busy(const struct pool *pool);
/* Ends all and waits for it; ignores cancellation. Nobody may be waiting in pool_acquire. */
void pool_close(struct co *co, struct pool *pool);
