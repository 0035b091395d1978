/*
 * How fast a process calls a provider that has asked to slow down. Several processes of a driver,
 * and other programs, share what an account may do; none knows of the others. Each goes a good deal
 * slower for each refusal and a little faster for each call that was served: together they come
 * close to the limit, with about one refusal for twelve calls. Who makes none for a while forgets.
 * Pure arithmetic.
 */
#pragma once

#include <stdint.h>

#define PACE_FIRST_MS 100u /* between two calls, after the first refusal */
#define PACE_MOST_MS 5000u

struct pace {
	double apart_ms; /* between two calls; 0: as they come */
	int64_t next_ms; /* nobody calls before */
};

/* How long to wait before a call that would be made now. It counts as made then. */
uint32_t pace_wait_ms(struct pace *p, int64_t now_ms);
/* What became of a call: refused because there were too many; served. */
void pace_refused(struct pace *p);
void pace_served(struct pace *p);
