/* Shared by host.c and host_state.c. */
#pragma once

#include "host.h"

/* How often to ask, where `wanted` is what the driver says, or 0. */
unsigned host_poll_ms(unsigned wanted);
/* Asks, that often, until the machine is in the state; polling: it is not the first time. *last:
 * why there was no report the last time; not set if there was one. */
int host_poll_state(struct co *co, struct host *h, enum machine_state want, unsigned ms,
	bool polling, struct err *last, struct err *err);
/* Adds to the error of a wait that took too long what was known last. Returns -1. */
int host_tell_last(struct err *err, const char *text);
