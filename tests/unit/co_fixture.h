/* For tests of coroutines: a loop per test, and what the coroutines of one noted. */
#pragma once

#include "co.h"
#include "mem.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct loop *loop;

static inline int setup(void **state)
{
	_cleanup_err_ struct err err = ERR_INIT;

	return loop_new(&loop, &err);
}

static inline int teardown(void **state)
{
	loop_free(loop);
	return 0;
}

struct record {
	int results[16];
	size_t n;
	struct co *other;
	int fds[2];
	int events;
	uint64_t took;
	unsigned counter, peak, running;
	bool flag;
};

static inline void note(struct record *r, int result)
{
	r->results[r->n++] = result;
}

static inline void cancels(struct co *co, void *arg)
{
	struct record *r = arg;

	co_sleep(co, 5);
	co_cancel(r->other);
}
