/* The environment of a driver: PROTOCOL.md, P3. */
#pragma once

#include "driver.h"
#include "strv.h"

/* info NULL: what every driver gets. */
void environment_build(struct strv *ret, const struct driver_info *info);
/* Is one of the variables that the driver declares set here, and not passed to it anyway? */
bool environment_declared_set(const struct driver_info *info);
