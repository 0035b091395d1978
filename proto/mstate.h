/* The states of a machine: numbers and names as Docker Machine's. */
#pragma once

enum machine_state {
	STATE_NONE = 0, /* unknown; printed as an empty string */
	STATE_RUNNING,
	STATE_PAUSED,
	STATE_SAVED,
	STATE_STOPPED,
	STATE_STOPPING,
	STATE_STARTING,
	STATE_ERROR,
	STATE_TIMEOUT,
	STATE_COUNT
};

const char *machine_state_name(
	enum machine_state s); /* "Running"; "" for NONE and unknown numbers */
enum machine_state machine_state_parse(const char *name); /* exact; unknown or NULL: NONE */
