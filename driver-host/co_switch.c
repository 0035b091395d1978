/*
 * The switch itself: push what the ABI wants kept, exchange stack pointers, pop. A fresh stack is
 * laid out as if it had been suspended just before its first instruction, so starting and resuming
 * are the same thing. The floating point control words are left alone: nothing here changes them.
 *
 * Other processors take swapcontext, which costs two system calls a switch.
 */
#include "co_switch.h"

#include <stdint.h>
#include <string.h>

#if CO_ASAN
#include <sanitizer/common_interface_defs.h>
#endif

#if defined(__x86_64__) && !defined(CO_UCONTEXT)

__asm__(".text\n"
	".p2align 4\n"
	".hidden machine_co_switch\n"
	".globl machine_co_switch\n"
	".type machine_co_switch, @function\n"
	"machine_co_switch:\n"
	"	.cfi_startproc\n"
	"	pushq %rbp\n"
	"	pushq %rbx\n"
	"	pushq %r12\n"
	"	pushq %r13\n"
	"	pushq %r14\n"
	"	pushq %r15\n"
	"	.cfi_adjust_cfa_offset 48\n"
	"	movq %rsp, (%rdi)\n"
	"	movq %rsi, %rsp\n"
	"	popq %r15\n"
	"	popq %r14\n"
	"	popq %r13\n"
	"	popq %r12\n"
	"	popq %rbx\n"
	"	popq %rbp\n"
	"	.cfi_adjust_cfa_offset -48\n"
	"	ret\n"
	"	.cfi_endproc\n"
	".size machine_co_switch, .-machine_co_switch\n"
	".p2align 4\n"
	".hidden machine_co_start\n"
	".globl machine_co_start\n"
	".type machine_co_start, @function\n"
	"machine_co_start:\n"
	"	.cfi_startproc\n"
	"	.cfi_undefined rip\n" /* unwinding ends here */
	"	movq %r12, %rdi\n"
	"	callq *%r13\n"
	"	ud2\n"
	"	.cfi_endproc\n"
	".size machine_co_start, .-machine_co_start\n");

enum {
	SLOT_R15,
	SLOT_R14,
	SLOT_ENTRY,
	SLOT_ARG,
	SLOT_RBX,
	SLOT_RBP,
	SLOT_PC,
	SLOT_COUNT = 9
}; /* the call finds rsp aligned */

#elif defined(__aarch64__) && !defined(CO_UCONTEXT)

__asm__(".text\n"
	".p2align 4\n"
	".hidden machine_co_switch\n"
	".globl machine_co_switch\n"
	".type machine_co_switch, %function\n"
	"machine_co_switch:\n"
	"	.cfi_startproc\n"
	"	sub sp, sp, #160\n"
	"	.cfi_adjust_cfa_offset 160\n"
	"	stp x19, x20, [sp, #0]\n"
	"	stp x21, x22, [sp, #16]\n"
	"	stp x23, x24, [sp, #32]\n"
	"	stp x25, x26, [sp, #48]\n"
	"	stp x27, x28, [sp, #64]\n"
	"	stp x29, x30, [sp, #80]\n"
	"	stp d8, d9, [sp, #96]\n"
	"	stp d10, d11, [sp, #112]\n"
	"	stp d12, d13, [sp, #128]\n"
	"	stp d14, d15, [sp, #144]\n"
	"	mov x9, sp\n"
	"	str x9, [x0]\n"
	"	mov sp, x1\n"
	"	ldp x19, x20, [sp, #0]\n"
	"	ldp x21, x22, [sp, #16]\n"
	"	ldp x23, x24, [sp, #32]\n"
	"	ldp x25, x26, [sp, #48]\n"
	"	ldp x27, x28, [sp, #64]\n"
	"	ldp x29, x30, [sp, #80]\n"
	"	ldp d8, d9, [sp, #96]\n"
	"	ldp d10, d11, [sp, #112]\n"
	"	ldp d12, d13, [sp, #128]\n"
	"	ldp d14, d15, [sp, #144]\n"
	"	add sp, sp, #160\n"
	"	.cfi_adjust_cfa_offset -160\n"
	"	ret\n"
	"	.cfi_endproc\n"
	".size machine_co_switch, .-machine_co_switch\n"
	".p2align 4\n"
	".hidden machine_co_start\n"
	".globl machine_co_start\n"
	".type machine_co_start, %function\n"
	"machine_co_start:\n"
	"	.cfi_startproc\n"
	"	.cfi_undefined x30\n"
	"	mov x0, x19\n"
	"	blr x20\n"
	"	brk #1\n"
	"	.cfi_endproc\n"
	".size machine_co_start, .-machine_co_start\n");

enum { SLOT_ARG = 0, SLOT_ENTRY = 1, SLOT_PC = 11, SLOT_COUNT = 20 };

#else
#include <stdlib.h>
#include <ucontext.h>
#ifndef CO_UCONTEXT
#define CO_UCONTEXT 1
#endif
#endif

#ifdef CO_UCONTEXT

struct start {
	ucontext_t uc;
	void (*fn)(void *);
	void *arg;
};

static void start_ucontext(unsigned high, unsigned low)
{
	uintptr_t bits = ((uintptr_t)high << 16 << 16) | low;
	struct start *s;

	memcpy(&s, &bits, sizeof(s));
	s->fn(s->arg);
	abort();
}

/* The context lives at the top of the stack that it describes; main's own in swap_to's frame. */
void co_ctx_init(struct co_ctx *ctx, void *stack, size_t size, void (*fn)(void *), void *arg)
{
	size_t room = (sizeof(struct start) + 63) & ~(size_t)63;
	struct start *s = (struct start *)(void *)((char *)stack + size - room);
	uintptr_t bits = (uintptr_t)s;

	*ctx = (struct co_ctx){.sp = s, .bottom = stack, .size = size};
	getcontext(&s->uc);
	s->uc.uc_stack.ss_sp = stack;
	s->uc.uc_stack.ss_size = size - room;
	s->uc.uc_link = NULL;
	s->fn = fn;
	s->arg = arg;
	makecontext(&s->uc, (void (*)(void))start_ucontext, 2, (unsigned)(bits >> 16 >> 16),
		(unsigned)bits);
}

static void swap_to(struct co_ctx *self, struct co_ctx *to)
{
	ucontext_t here, *there = to->sp;

	self->sp = &here;
	swapcontext(&here, there);
}

#else

void machine_co_switch(void **save_sp, void *load_sp);
void machine_co_start(void);

void co_ctx_init(struct co_ctx *ctx, void *stack, size_t size, void (*fn)(void *), void *arg)
{
	uintptr_t top = ((uintptr_t)stack + size) & ~(uintptr_t)15;
	void *slots[SLOT_COUNT] = {NULL};
	char *sp = (char *)stack + (top - (uintptr_t)stack) - sizeof(slots);
	void (*start)(void) = machine_co_start;

	memcpy(&slots[SLOT_ENTRY], &fn, sizeof(fn));
	memcpy(&slots[SLOT_PC], &start, sizeof(start));
	slots[SLOT_ARG] = arg;
	memcpy(sp, slots, sizeof(slots));
	*ctx = (struct co_ctx){.sp = sp, .bottom = stack, .size = size};
}

static void swap_to(struct co_ctx *self, struct co_ctx *to)
{
	machine_co_switch(&self->sp, to->sp);
}

#endif

static void arrived(struct co_ctx *self)
{
#if CO_ASAN
	__sanitizer_finish_switch_fiber(self->fake_stack, &self->from->bottom, &self->from->size);
#else
	(void)self;
#endif
}

void co_ctx_enter(struct co_ctx *self)
{
	arrived(self);
}

void co_ctx_switch(struct co_ctx *self, struct co_ctx *to)
{
	to->from = self;
#if CO_ASAN
	__sanitizer_start_switch_fiber(&self->fake_stack, to->bottom, to->size);
#endif
	swap_to(self, to);
	arrived(self);
}

_Noreturn void co_ctx_leave(struct co_ctx *self, struct co_ctx *to)
{
	to->from = self;
#if CO_ASAN
	__sanitizer_start_switch_fiber(NULL, to->bottom, to->size);
#endif
	swap_to(self, to);
	__builtin_unreachable();
}
