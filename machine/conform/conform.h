/*
 * The conformance kit: runs a driver executable through PROTOCOL.md and prints one line per rule:
 *   ok   R5  unknown methods are answered with -32601
 *   FAIL Q1  end of input ends the driver  (still running after 2 s)
 *   skip C2  …  (reason)
 * It owns its process handling (plain poll, no loop), because it has to do to a driver what the
 * host never would.
 */
#pragma once

#include "err.h"
#include "strv.h"

#include <stdio.h>

struct conform_result {
	unsigned passed, failed, skipped;
};

/* flags: the driver's create flags as typed ("--url", "tcp://…"). create and remove are run for
 * real with them. -1 when the executable cannot be started at all, or the flags are not the
 * driver's. Every request has a deadline; MACHINE_CONFORM_SECONDS caps those of the slow ones
 * (create: 15 min). Ctrl-C ends the checks and removes the machines; a second one ends at once. */
int conform_run(const char *executable, const struct strv *flags, FILE *out,
	struct conform_result *ret, struct err *err);
