/* The first request on a channel: PROTOCOL.md, section 6. */
#pragma once

#include "channel.h"

#define HANDSHAKE_MAX_WORKERS 64
#define HANDSHAKE_MAX_BATCH 10000
#define HANDSHAKE_MAX_AT_ONCE 1000
#define HANDSHAKE_MAX_NAMES 64 /* environment, groupBy */

/* ret: version, description, flags, environment and the capabilities are set; name, file, origin
 * are not. */
int handshake(struct co *co, struct channel *ch, const char *name, struct driver_info *ret,
	struct err *err);
void driver_info_finish(struct driver_info *info);
