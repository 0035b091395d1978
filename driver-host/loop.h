/* Inside of the loop and its coroutines: shared by loop.c, co.c and co_group.c only. */
#pragma once

#include "co.h"
#include "co_switch.h"

#if CO_ASAN
#define CO_STACK_SIZE (256u << 10)
#else
#define CO_STACK_SIZE (64u << 10)
#endif
#define CO_STACKS_KEPT 64u

struct co_stack {
	struct co_stack *next;
	void *map; /* begins with the guard page */
	size_t map_size;
	void *base;
	unsigned valgrind_id;
};

struct co {
	struct loop *loop;
	char *name;
	char *tag; /* see co_tag */
	co_fn fn;
	void *arg;
	struct co_ctx ctx;
	struct co_stack *stack;
	struct co *prev, *next; /* all that are alive */
	struct co *next_ready;
	bool queued;  /* on the ready queue */
	bool waiting; /* suspended */
	bool woken;   /* co_wake was called and no wait has taken it yet */
	bool cancelled;
	bool done;
	bool timer_open;
	unsigned masked;
	struct co_deadline *deadline;
	uv_timer_t timer;
};

struct loop {
	uv_loop_t uv;
	uv_idle_t busy; /* active while the ready queue is not empty, so that polling does not block
			 */
	struct co_ctx main;
	struct co *current;
	struct co *all;
	struct co *ready_head, **ready_tail;
	struct co_stack *stacks;
	unsigned n_stacks;
};

void loop_ready(struct co *co);
struct co_stack *stack_get(struct loop *loop);
void stack_put(struct loop *loop, struct co_stack *stack);
/* To the loop; returns when the coroutine is resumed. */
void co_suspend(struct co *co);
/* What a wait returns before it waits: 0, -ECANCELED or -ETIMEDOUT. */
int co_interrupted(const struct co *co);
uint64_t co_deadline_at(const struct co_deadline *d);
/* When the nearest deadline passes, UINT64_MAX if never. */
uint64_t co_limit(const struct co *co);
