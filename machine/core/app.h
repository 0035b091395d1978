/*
 * What every flow of the program shares: the store, the opened drivers, settings. One per run;
 * everything happens on one loop.
 */
#pragma once

#include "co.h"
#include "driver.h"
#include "store.h"

#include <stdbool.h>

struct app {
	struct loop *loop;
	struct store *store;
	struct driver_set *drivers;
	bool native_ssh;
};

/* Opened drivers by name: each is opened once, also when many flows ask at the same time. */
struct driver_set;
struct driver_set *driver_set_new(void);
int driver_set_get(struct co *co, struct driver_set *set, const char *name, struct driver **ret,
	struct err *err);
void driver_set_close(struct co *co, struct driver_set *set); /* closes all and frees set */

/* "$USER", as certificates name their owner: USER, else USERNAME, else "unknown". */
const char *app_user(void);
