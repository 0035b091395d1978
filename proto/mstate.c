#include "mstate.h"

#include "mem.h"

#include <string.h>

static const char *const names[STATE_COUNT] = {
	[STATE_NONE] = "",
	[STATE_RUNNING] = "Running",
	[STATE_PAUSED] = "Paused",
	[STATE_SAVED] = "Saved",
	[STATE_STOPPED] = "Stopped",
	[STATE_STOPPING] = "Stopping",
	[STATE_STARTING] = "Starting",
	[STATE_ERROR] = "Error",
	[STATE_TIMEOUT] = "Timeout",
};

const char *machine_state_name(enum machine_state s)
{
	return (unsigned)s < STATE_COUNT ? names[s] : "";
}

enum machine_state machine_state_parse(const char *name)
{
	for (unsigned i = 0; name && i < STATE_COUNT; i++)
		if (streq(name, names[i]))
			return (enum machine_state)i;
	return STATE_NONE;
}
