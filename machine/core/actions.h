/* What the action commands do to one machine. Each locks, loads, acts, saves. */
#pragma once

#include "host.h"

typedef int (*action_fn)(struct co *co, struct host *h, struct err *err);

int action_start(struct co *co, struct host *h, struct err *err);
int action_stop(struct co *co, struct host *h, struct err *err);
int action_kill(struct co *co, struct host *h, struct err *err);
int action_restart(struct co *co, struct host *h, struct err *err);
int action_provision(struct co *co, struct host *h, struct err *err);
int action_upgrade(struct co *co, struct host *h, struct err *err);
int action_regenerate_certs(struct co *co, struct host *h, struct err *err);

/* Driver remove, then the folder. With force the folder goes whatever the driver says;
 * *ret_driver_err is then set if the driver failed. */
int remove_machine(struct co *co, struct app *app, const char *name, bool force,
	struct err *ret_driver_err, struct err *err);
/* The same by who holds the machine's lock, which is the caller's to release. */
int remove_locked(struct co *co, struct app *app, const char *name, bool force,
	struct err *ret_driver_err, struct err *err);
