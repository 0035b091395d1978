#include "co_group.h"

#include "loop.h"
#include "mem.h"

#include <errno.h>
#include <stdlib.h>

struct co_group_member {
	struct co_group *group;
	struct co_group_member *prev, *next;
	struct co *co;
	struct co_deadline fixed, stops; /* copies of the parent's */
	co_fn fn;
	void *arg;
};

void co_group_init(struct co_group *g, struct co *parent)
{
	*g = (struct co_group){.parent = parent};
}

static void run_member(struct co *co, void *arg)
{
	struct co_group_member *m = arg;
	struct co_group *g = m->group;

	m->fn(co, m->arg);
	co->deadline = NULL;
	*(m->prev ? &m->prev->next : &g->first) = m->next;
	if (m->next)
		m->next->prev = m->prev;
	g->n--;
	free(m);
	co_wake(g->parent);
}

/* The nearest of each kind. */
static void inherit_deadlines(struct co_group_member *m, const struct co *parent)
{
	m->fixed = (struct co_deadline){.at = UINT64_MAX};
	m->stops = m->fixed;
	for (const struct co_deadline *d = parent->deadline; d; d = d->outer) {
		struct co_deadline *mine = d->stopped ? &m->stops : &m->fixed;
		if (co_deadline_at(d) < co_deadline_at(mine))
			*mine = *d;
	}
	m->fixed.outer = NULL;
	m->stops.outer = &m->fixed;
	m->co->deadline = &m->stops;
}

void co_group_spawn(struct co_group *g, const char *name, co_fn fn, void *arg)
{
	struct co_group_member *m = xcalloc(1, sizeof(*m));

	*m = (struct co_group_member){.group = g, .fn = fn, .arg = arg, .next = g->first};
	m->co = co_spawn(g->parent->loop, name, run_member, m);
	m->co->masked = g->parent->masked;
	inherit_deadlines(m, g->parent);
	if (m->next)
		m->next->prev = m;
	g->first = m;
	g->n++;
}

int co_group_wait(struct co_group *g, size_t n)
{
	int r = co_interrupted(g->parent);

	while (r == 0 && g->n > n)
		r = co_wait(g->parent);
	return r;
}

static void cancel_members(struct co_group *g)
{
	for (struct co_group_member *m = g->first; m; m = m->next)
		co_cancel(m->co);
}

/* Past a deadline the members end by themselves, so only a cancel is of interest here. */
void co_group_finish(struct co_group *g)
{
	struct co_deadline *deadline = take(g->parent->deadline);
	int r = co_group_wait(g, 0);

	if (r < 0) {
		cancel_members(g);
		co_mask(g->parent);
		co_group_wait(g, 0);
		co_unmask(g->parent);
	}
	g->parent->deadline = deadline;
}

struct each_item {
	co_each_fn fn;
	void *arg;
	size_t i;
};

static void run_item(struct co *co, void *arg)
{
	struct each_item item = *(struct each_item *)arg;

	free(arg);
	item.fn(co, item.i, item.arg);
}

int co_each(struct co *co, size_t n, unsigned parallel, co_each_fn fn, void *arg)
{
	struct co_group g;
	int r = 0;

	co_group_init(&g, co);
	for (size_t i = 0; i < n && r == 0; i++) {
		struct each_item *item;

		r = co_group_wait(&g, parallel ? parallel - 1 : SIZE_MAX);
		if (r < 0)
			break;
		item = xmalloc(sizeof(*item));
		*item = (struct each_item){.fn = fn, .arg = arg, .i = i};
		co_group_spawn(&g, "each", run_item, item);
	}
	co_group_finish(&g);
	return r;
}
