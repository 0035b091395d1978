/*
 * Points at which tests end the driver's processes: MACHINE_TEST_FAULT=NAME ends the process that
 * passes nspawn_fault("NAME") at once. Compiled in only with -Dfault_points=true.
 */
#pragma once

#ifdef MACHINE_FAULT_POINTS
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NSPAWN_FAULT_VARIABLE "MACHINE_TEST_FAULT"

static inline void nspawn_fault(const char *name)
{
	const char *want = getenv(NSPAWN_FAULT_VARIABLE);

	if (!want || strcmp(want, name) != 0)
		return;
	kill(getpid(), SIGKILL);
	_exit(SIGKILL); /* the first process of a PID namespace cannot kill itself */
}
#else
static inline void nspawn_fault(const char *name)
{
	(void)name;
}
#endif
