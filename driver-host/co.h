/*
 * Coroutines on one libuv loop. A flow (create a machine, list one machine) is a straight-line
 * function that runs on a stack of its own and suspends where it waits.
 *
 * Rules: functions that may suspend take `struct co *co` first. Suspend only on the coroutine's own
 * stack, never in a libuv callback. Never nest loop_run. Once cancelled, every wait returns
 * -ECANCELED at once (unless masked); once past its deadline, -ETIMEDOUT. Waits return 0 otherwise.
 * Callbacks wake coroutines with co_wake, which only puts them on the loop's ready queue.
 */
#pragma once

#include "err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct loop;
struct co;
typedef void (*co_fn)(struct co *co, void *arg);

int loop_new(struct loop **ret, struct err *err);
/* Every coroutine must have ended. Closes what is left open on the loop. */
void loop_free(struct loop *loop);
uv_loop_t *loop_uv(struct loop *loop);
/* Runs until no coroutine is alive. */
void loop_run(struct loop *loop);
uint64_t loop_now(struct loop *loop); /* monotonic milliseconds */
/* Cancels every live coroutine. May be called from a libuv callback (a signal handler of the loop).
 */
void loop_cancel_all(struct loop *loop);

/* Starts at the loop's next turn. name (copied) is for debugging. The coroutine frees itself at its
 * end unless somebody joins it. */
struct co *co_spawn(struct loop *loop, const char *name, co_fn fn, void *arg);
struct loop *co_loop(struct co *co);
/* Whom its work is about, for log lines: copied; NULL: nobody. Coroutines that it spawns from then
 * on have the same. */
void co_tag(struct co *co, const char *tag);
/* That of the coroutine that runs now; NULL in callbacks. */
const char *loop_tag(const struct loop *loop);

/* Suspends until co_wake. A wake that came before the call counts: so test your condition in a
 * loop. */
int co_wait(struct co *co);
/* co_wait that gives up with -ETIMEDOUT after ms, also while masked. */
int co_wait_ms(struct co *co, uint64_t ms);
void co_wake(struct co *co); /* from callbacks or other coroutines; idempotent */
int co_sleep(struct co *co, uint64_t ms);
int co_yield (struct co *co); /* lets the others run */

/* Waits for a descriptor (UV_READABLE | UV_WRITABLE). timeout_ms 0: none. ret_events may be NULL.
 * 0, -ETIMEDOUT, -ECANCELED or another negative errno. One coroutine at a time per descriptor,
 * which blocks or not as before. An error of the socket itself (a refused connection) counts as
 * ready. */
int co_fd(struct co *co, int fd, int events, uint64_t timeout_ms, int *ret_events);

/* Runs fn on a thread of libuv's pool and waits for its end (also when cancelled: the memory
 * belongs to fn until then). fn must not touch the loop. Returns 0, or -ECANCELED after fn has
 * ended. Cancelled or past its deadline before a thread was free, fn is not run at all: -ECANCELED,
 * -ETIMEDOUT. */
int co_work(struct co *co, void (*fn)(void *arg), void *arg);

/* Cancellation. A cancelled coroutine stays cancelled. While masked (calls nest), waits ignore
 * cancellation and deadlines: for clean-up that must finish; bound it by co_fd/co_sleep timeouts of
 * its own. */
void co_cancel(struct co *co);
bool co_cancelled(const struct co *co);
void co_mask(struct co *co);
void co_unmask(struct co *co);

/* A deadline for everything until co_deadline_end. They nest; the earliest counts. ms 0: no further
 * limit. */
struct co_deadline {
	struct co_deadline *outer;
	uint64_t at;
	const uint64_t *stopped; /* NULL: its clock never stops */
	uint64_t stopped_before;
};
void co_deadline_begin(struct co *co, struct co_deadline *d, uint64_t ms);
/* After that: its clock stops at times. *stopped says for how long in all, what has been announced
 * included; `before` of that lies before the deadline's beginning. It lives as long as the
 * deadline. An hour of it counts. */
void co_deadline_stops(struct co_deadline *d, const uint64_t *stopped, uint64_t before);
void co_deadline_end(struct co *co, struct co_deadline *d);
/* Milliseconds to the nearest deadline; UINT64_MAX if none. */
uint64_t co_deadline_left(struct co *co);

/* Turns the negative result of a wait into an err: ERR_CANCELED "cancelled", ERR_TIMEOUT "timed
 * out", else errno. Returns -1. */
int co_err(int result, struct err *err);

/* Calls fn(co, i, arg) for i in 0 … n-1 in coroutines of their own, at most `parallel` at a time
 * (0: all), started in order; returns when all have ended. Cancelling co cancels them and starts no
 * more; they inherit co's deadline. Returns 0, or -ECANCELED / -ETIMEDOUT (in which case fn was not
 * called for every i). */
typedef void (*co_each_fn)(struct co *co, size_t i, void *arg);
int co_each(struct co *co, size_t n, unsigned parallel, co_each_fn fn, void *arg);
