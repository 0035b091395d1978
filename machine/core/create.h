/*
 * The create flow: a table of named steps. The record is saved after each, so that a killed create
 * can be continued, and removed, from wherever it was.
 */
#pragma once

#include "host.h"

/* The CA and the client pair are there afterwards; under the store's certificate lock. Prints
 * `Creating CA: …` lines. */
int create_certs(struct co *co, struct app *app, const struct json *auth, bool force_client,
	struct err *err);

/* A new machine: configure, pre-create check, claim, steps. flags: values by flag name for the
 * driver. host_options is taken. *ret_kept: a failure has left a machine that is half made, for
 * create_resume and remove_machine. */
int create_machine(struct co *co, struct app *app, const char *name, const char *driver_name,
	const struct json *flags, struct json *take_host_options, bool *ret_kept, struct err *err);
/* The code of errors from the pre-create check, for exit status 3. */
bool create_failed_precheck(const struct err *err);
/* Continues where an earlier create ended. */
int create_resume(
	struct co *co, struct app *app, const char *name, bool *ret_kept, struct err *err);
