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
 * driver. host_options is taken. */
int create_machine(struct co *co, struct app *app, const char *name, const char *driver_name,
	const struct json *flags, struct json *take_host_options, struct err *err);
/* The code of errors from the pre-create check, for exit status 3. */
bool create_failed_precheck(const struct err *err);
/* Does the error leave a machine that is half made, for create_resume and remove_machine? */
bool create_kept(const struct err *err);
/* The error's text without the advice about that machine; malloc'ed. */
char *create_reason(const struct err *err);
/* Continues where an earlier create ended. */
int create_resume(struct co *co, struct app *app, const char *name, struct err *err);
