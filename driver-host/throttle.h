/* How much of a driver may be under way at once, when its provider asks to slow down: halved each
 * time it does, never below one, and one more for each call that went well since. Pure arithmetic;
 * the pool asks it before it gives out a worker. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define THROTTLE_FIRST_MS 1000u   /* how long nobody is asked, where the provider does not say: */
#define THROTTLE_MOST_MS 30000u   /* doubled each time, up to this */
#define THROTTLE_REPEATS_MAX 10u  /* of one request */
#define THROTTLE_TOTAL_MS 900000u /* from the first time that it was throttled */

struct throttle {
	unsigned limit;  /* calls at once; 0: none but the pool's own */
	unsigned in_row; /* slow-downs without a success between them */
	uint64_t until;  /* nobody is asked before */
	uint64_t slowed; /* when the limit was lowered last */
	uint64_t paused; /* for how long in all nobody was asked, up to `until` */
};

/* How many of at most `max` may be under way. */
unsigned throttle_limit(const struct throttle *t, unsigned max);
/* Milliseconds until somebody may be asked; 0: now. */
uint64_t throttle_pause(const struct throttle *t, uint64_t now);
/* A call that began then was throttled; told_ms: when it may be repeated, 0: not said. Of calls
 * that were under way together the first lowers the limit. */
void throttle_slow(
	struct throttle *t, unsigned max, uint64_t began, uint64_t now, uint32_t told_ms);
/* … went well. */
void throttle_ease(struct throttle *t, unsigned max, uint64_t began);

/* The repetitions of one request. */
struct throttle_patience {
	unsigned repeats;
	uint64_t first; /* when it was throttled first */
};
/* May it be sent once more, after that long? left_ms: to its deadline. */
bool throttle_again(struct throttle_patience *p, uint64_t now, uint32_t told_ms, uint64_t left_ms);
