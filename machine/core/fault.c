#include "fault.h"

#ifdef MACHINE_FAULT_POINTS

#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Is this the pass of the point that a variable names, "POINT:N"? */
static bool is_due(const char *variable, const char *name, unsigned long *passes)
{
	const char *want = getenv(variable);
	size_t len = strlen(name);

	if (!want || strncmp(want, name, len) != 0 || (want[len] && want[len] != ':'))
		return false;
	unsigned long n = want[len] ? strtoul(want + len + 1, NULL, 10) : 1;
	return __atomic_add_fetch(passes, 1, __ATOMIC_RELAXED) == n;
}

void fault_point(const char *name)
{
	static unsigned long kills, stops;

	if (is_due("MACHINE_TEST_FAULT", name, &kills))
		kill(getpid(), SIGKILL);
	if (is_due("MACHINE_TEST_STOP", name, &stops))
		kill(getpid(), SIGSTOP); /* until the test lets it go on */
}

#endif
