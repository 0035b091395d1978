#include "mstate.h"

#include "buf.h"
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

int driver_state_check(const struct json *state, struct err *err)
{
	_cleanup_buf_ struct buf text = BUF_INIT;

	if (!json_is(state, JSON_OBJECT))
		return err_set(err, ERR_PROTOCOL, "the state is not an object (M4)");
	if (json_depth(state) > DRIVER_STATE_MAX_DEPTH)
		return err_set(err, ERR_PROTOCOL, "the state is nested deeper than %u levels (M4)",
			DRIVER_STATE_MAX_DEPTH);
	json_write(state, JSON_COMPACT, &text);
	if (text.len > DRIVER_STATE_MAX_BYTES)
		return err_set(err, ERR_PROTOCOL, "the state has %zu bytes; at most %u (M4)",
			text.len, DRIVER_STATE_MAX_BYTES);
	return 0;
}
