/* Switching between stacks. Only co.c and loop.c need to know. */
#pragma once

#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#define CO_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CO_ASAN 1
#endif
#endif
#ifndef CO_ASAN
#define CO_ASAN 0
#endif

/* What a suspended flow of control is: where it stands, and what AddressSanitizer needs to know of
 * its stack. */
struct co_ctx {
	void *sp;
	struct co_ctx *from; /* who switched here last */
	void *fake_stack;
	const void *bottom;
	size_t size;
};

/* fn(arg) begins at the first switch to ctx. It must never return: it ends in co_ctx_leave. */
void co_ctx_init(struct co_ctx *ctx, void *stack, size_t size, void (*fn)(void *), void *arg);
void co_ctx_enter(struct co_ctx *self); /* the first thing that fn does */
void co_ctx_switch(struct co_ctx *self, struct co_ctx *to);
_Noreturn void co_ctx_leave(struct co_ctx *self, struct co_ctx *to);
