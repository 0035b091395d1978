/*
 * What every flow of the program shares: the store, the opened drivers, settings. One per run;
 * everything happens on one loop.
 */
#pragma once

#include "co.h"
#include "driver.h"
#include "store.h"

#include <stdbool.h>

struct app_event;

struct app {
	struct loop *loop;
	struct store *store;
	struct driver_set *drivers;
	bool native_ssh;
	bool only_asks; /* the command changes nothing */
	/* Who shows what machines are at; NULL: nobody. */
	void (*status)(void *userdata, const struct app_event *event);
	void *status_userdata;
};

/* What a machine is at: half a line for a display, not for logs. */
struct app_event {
	const char *machine;
	const char *step;       /* that it comes to; NULL: the one that it is at */
	const char *text;       /* within the step; both NULL: it is at nothing any more */
	int64_t current, total; /* of what text says; total 0: not counted */
};

void app_step(const struct app *app, const char *machine, const char *step);
/* Within the step. fmt NULL: nothing more. */
void app_status(const struct app *app, const char *machine, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* … of which so much is done. */
void app_progress(const struct app *app, const char *machine, const char *text, int64_t current,
	int64_t total);

/* Opened drivers by name: each is opened once, also when many flows ask at the same time. */
struct driver_set;
/* hasty: see struct driver_options */
struct driver_set *driver_set_new(bool hasty);
int driver_set_get(struct co *co, struct driver_set *set, const char *name, struct driver **ret,
	struct err *err);
void driver_set_close(struct co *co, struct driver_set *set); /* closes all and frees set */

/* "$USER", as certificates name their owner: USER, else USERNAME, else "unknown". */
const char *app_user(void);
