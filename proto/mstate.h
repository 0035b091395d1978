/* The states of a machine: numbers and names as Docker Machine's. And the state: what a driver
 * keeps of it. */
#pragma once

#include "err.h"
#include "json.h"

/* M4. With these limits every request that carries a state is one that can be sent and read. */
#define DRIVER_STATE_MAX_BYTES (1u << 20) /* as compact JSON */
#define DRIVER_STATE_MAX_DEPTH 32u

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

/* An object within the limits? ERR_PROTOCOL */
int driver_state_check(const struct json *state, struct err *err);
