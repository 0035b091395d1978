#include "throttle.h"

#include "mem.h"

#define DOUBLINGS_MAX 5u

unsigned throttle_limit(const struct throttle *t, unsigned max)
{
	return t->limit ? MIN(t->limit, max) : max;
}

uint64_t throttle_pause(const struct throttle *t, uint64_t now)
{
	return t->until > now ? t->until - now : 0;
}

static uint64_t pause_of(const struct throttle *t, uint32_t told_ms)
{
	if (told_ms)
		return told_ms;
	unsigned doublings = MIN(t->in_row, DOUBLINGS_MAX);
	uint64_t ms = (uint64_t)THROTTLE_FIRST_MS << doublings;
	return MIN(ms, (uint64_t)THROTTLE_MOST_MS);
}

static void pause_until(struct throttle *t, uint64_t now, uint64_t until)
{
	uint64_t from = MAX(t->until, now);

	if (until <= from)
		return;
	t->paused += until - from;
	t->until = until;
}

void throttle_slow(struct throttle *t, unsigned max, uint64_t began, uint64_t now, uint32_t told_ms)
{
	bool news = !t->limit || began > t->slowed;

	if (news || told_ms)
		pause_until(t, now, now + pause_of(t, told_ms));
	if (!news)
		return;
	t->limit = MAX(throttle_limit(t, max) / 2, 1u);
	t->slowed = now;
	t->in_row++;
}

void throttle_ease(struct throttle *t, unsigned max, uint64_t began)
{
	if (!t->limit || began <= t->slowed)
		return;
	t->in_row = 0;
	if (t->limit < max)
		t->limit++;
	if (t->limit >= max)
		t->limit = 0;
}

bool throttle_again(struct throttle_patience *p, uint64_t now, uint32_t told_ms, uint64_t left_ms)
{
	if (!p->repeats)
		p->first = now;
	return p->repeats++ < THROTTLE_REPEATS_MAX && told_ms < left_ms &&
	       now + told_ms - p->first <= THROTTLE_TOTAL_MS;
}
