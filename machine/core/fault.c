#include "fault.h"

#ifdef MACHINE_FAULT_POINTS

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void fault_point(const char *name)
{
	static unsigned long passes;
	const char *want = getenv("MACHINE_TEST_FAULT");
	size_t len = strlen(name);

	if (!want || strncmp(want, name, len) != 0 || (want[len] && want[len] != ':'))
		return;
	unsigned long n = want[len] ? strtoul(want + len + 1, NULL, 10) : 1;
	if (__atomic_add_fetch(&passes, 1, __ATOMIC_RELAXED) == n)
		kill(getpid(), SIGKILL);
}

#endif
