/*
 * Points at which tests kill the program: MACHINE_TEST_FAULT=NAME[:N] ends the process by SIGKILL
 * at the N-th (first) pass of fault_point("NAME"); MACHINE_TEST_STOP stops it there (SIGSTOP), so
 * that another process can come in between. Compiled in only with -Dfault_points=true.
 */
#pragma once

#ifdef MACHINE_FAULT_POINTS
void fault_point(const char *name);
#else
static inline void fault_point(const char *name)
{
	(void)name;
}
#endif
