/* Ctrl-C and its relatives: the first cancels what is under way, the second quits at once. */
#pragma once

#include "co.h"

struct interrupts;

/* parent_fd: a socket whose end is a wish to end, too, or -1. plugin: the docker client started us,
 * which takes an end by a signal for status 255; it is told by the status 128 + N. */
struct interrupts *interrupts_watch(struct loop *loop, int take_parent_fd, bool plugin);
/* After loop_run; returns the signal that came first, 0 if none did. */
int interrupts_end(struct interrupts *in);
