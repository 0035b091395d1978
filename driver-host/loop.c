/*
 * The loop: libuv's callbacks run inside uv_run and only put coroutines on the ready queue; the
 * coroutines run between two uv_runs, on their own stacks. So a coroutine never runs inside a
 * callback of libuv, and a callback never sees a coroutine half-way.
 */
#include "loop.h"

#include "log.h"
#include "mem.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#else
#define VALGRIND_STACK_REGISTER(a, b) 0
#define VALGRIND_STACK_DEREGISTER(id) ((void)(id))
#endif

static void on_busy(uv_idle_t *idle)
{
}

int loop_new(struct loop **ret, struct err *err)
{
	struct loop *loop = xcalloc(1, sizeof(*loop));
	int r = uv_loop_init(&loop->uv);

	if (r < 0) {
		free(loop);
		return err_errno(err, -r, "event loop");
	}
	signal(SIGPIPE, SIG_IGN);
	uv_idle_init(&loop->uv, &loop->busy);
	loop->ready_tail = &loop->ready_head;
	*ret = loop;
	return 0;
}

static void close_handle(uv_handle_t *handle, void *arg)
{
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

void loop_free(struct loop *loop)
{
	if (!loop)
		return;
	if (loop->all) {
		log_error("defect: coroutine \"%s\" is alive at the loop's end", loop->all->name);
		abort();
	}
	uv_walk(&loop->uv, close_handle, NULL);
	uv_run(&loop->uv, UV_RUN_DEFAULT);
	uv_loop_close(&loop->uv);
	while (loop->stacks) {
		struct co_stack *stack = loop->stacks;

		loop->stacks = stack->next;
		loop->n_stacks = CO_STACKS_KEPT;
		stack_put(loop, stack);
	}
	free(loop);
}

uv_loop_t *loop_uv(struct loop *loop)
{
	return &loop->uv;
}

uint64_t loop_now(struct loop *loop)
{
	return uv_hrtime() / 1000000;
}

void loop_cancel_all(struct loop *loop)
{
	for (struct co *co = loop->all; co; co = co->next)
		co_cancel(co);
}

void loop_ready(struct co *co)
{
	struct loop *loop = co->loop;

	if (co->queued)
		return;
	if (!loop->ready_head)
		uv_idle_start(&loop->busy, on_busy);
	co->queued = true;
	co->next_ready = NULL;
	*loop->ready_tail = co;
	loop->ready_tail = &co->next_ready;
}

static void free_co(uv_handle_t *timer)
{
	free(timer->data);
}

static void bury(struct co *co)
{
	struct loop *loop = co->loop;

	stack_put(loop, take(co->stack));
	*(co->prev ? &co->prev->next : &loop->all) = co->next;
	if (co->next)
		co->next->prev = co->prev;
	free(take(co->name));
	free(take(co->tag));
	if (co->timer_open)
		uv_close((uv_handle_t *)&co->timer, free_co);
	else
		free(co);
}

/* Runs those that are ready now, each until it suspends. Who becomes ready meanwhile comes after
 * the next poll. */
static void run_ready(struct loop *loop)
{
	struct co *co = loop->ready_head;

	loop->ready_head = NULL;
	loop->ready_tail = &loop->ready_head;
	uv_idle_stop(&loop->busy);
	while (co) {
		struct co *next = co->next_ready;

		co->queued = false;
		loop->current = co;
		co_ctx_switch(&loop->main, &co->ctx);
		loop->current = NULL;
		if (co->done)
			bury(co);
		co = next;
	}
}

void loop_run(struct loop *loop)
{
	if (loop->current) {
		log_error("defect: loop_run inside of coroutine \"%s\"", loop->current->name);
		abort();
	}
	while (loop->all) {
		run_ready(loop);
		if (!loop->all)
			return;
		if (uv_run(&loop->uv, loop->ready_head ? UV_RUN_NOWAIT : UV_RUN_ONCE) == 0 &&
			!loop->ready_head) {
			log_error("defect: coroutine \"%s\" waits, and nothing can wake it",
				loop->all->name);
			abort();
		}
	}
}

struct co_stack *stack_get(struct loop *loop)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct co_stack *stack = loop->stacks;

	if (stack) {
		loop->stacks = stack->next;
		loop->n_stacks--;
		return stack;
	}
	stack = xcalloc(1, sizeof(*stack));
	stack->map_size = CO_STACK_SIZE + page;
	stack->map = mmap(NULL, stack->map_size, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
	if (stack->map == MAP_FAILED || mprotect(stack->map, page, PROT_NONE) < 0) {
		log_error("no memory for a coroutine's stack: %s", strerror(errno));
		abort();
	}
	stack->base = (char *)stack->map + page;
	stack->valgrind_id =
		VALGRIND_STACK_REGISTER(stack->base, (char *)stack->base + CO_STACK_SIZE);
	return stack;
}

void stack_put(struct loop *loop, struct co_stack *stack)
{
	if (loop->n_stacks < CO_STACKS_KEPT) {
		stack->next = loop->stacks;
		loop->stacks = stack;
		loop->n_stacks++;
		return;
	}
	VALGRIND_STACK_DEREGISTER(stack->valgrind_id);
	munmap(stack->map, stack->map_size);
	free(stack);
}
