#include "pace.h"

#include "mem.h"

#define LEAST_MS 2.0 /* less is nothing */
#define SLOWER 2.0
#define FASTER 0.96

uint32_t pace_wait_ms(struct pace *p, int64_t now_ms)
{
	int64_t begin = MAX(now_ms, p->next_ms);
	int64_t idle = now_ms - p->next_ms - (int64_t)PACE_MOST_MS;

	if (idle > 0) /* calls that could have been made count as served */
		p->apart_ms = MAX(p->apart_ms - (1 - FASTER) * (double)idle, 0.0);
	p->next_ms = begin + (int64_t)p->apart_ms;
	return (uint32_t)(begin - now_ms);
}

void pace_refused(struct pace *p)
{
	p->apart_ms = MIN(MAX(p->apart_ms * SLOWER, (double)PACE_FIRST_MS), (double)PACE_MOST_MS);
}

void pace_served(struct pace *p)
{
	p->apart_ms *= FASTER;
	if (p->apart_ms < LEAST_MS)
		p->apart_ms = 0;
}
