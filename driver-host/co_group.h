/* Coroutines that belong to another one: it starts them, waits for them, and outlives them. They
 * inherit its deadline and mask. */
#pragma once

#include "co.h"

struct co_group_member;

struct co_group {
	struct co *parent;
	struct co_group_member *first;
	size_t n; /* running */
};

void co_group_init(struct co_group *g, struct co *parent);
/* May be called by the parent and by members. */
void co_group_spawn(struct co_group *g, const char *name, co_fn fn, void *arg);
/* Until at most n are running: 0, -ECANCELED or -ETIMEDOUT, as the parent is. */
int co_group_wait(struct co_group *g, size_t n);
/* Until none is running, whatever happens; cancels them once the parent is cancelled. Required
 * before g goes out of scope. */
void co_group_finish(struct co_group *g);
