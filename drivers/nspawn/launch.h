/* Starts a host's supervisor, which outlives the driver. */
#pragma once

#include "plan.h"

#include "machine-driver.h"

/* On a computer whose first process is systemd it becomes a scope of that. */
bool launch_by_systemd(void);
/* lock: RUNNING_HOST, taken; borrowed. Returns when the host's processes run. */
int launch(struct md_request *rq, const char *dir, const struct plan *p, int lock, struct err *err);
