/*
 * The create flow: a table of named steps. The record is saved after each, so that a killed create
 * can be continued, and removed, from wherever it was.
 */
#pragma once

#include "host.h"

/* The CA and the client pair are there afterwards; under the store's certificate lock. Prints
 * `Creating CA: …` lines, and which machines a new CA leaves behind: those of the list get their
 * certificates from it now. */
int create_certs(struct co *co, struct app *app, const struct record *rec,
	const struct strv *machines, bool force_client, struct err *err);

/* What there is of the machine when its create has failed. */
enum create_left {
	CREATE_LEFT_NOTHING, /* surely */
	CREATE_LEFT_HALF,    /* for create_resume and remove_machine */
	CREATE_LEFT_REMOVED, /* it was half made, and is gone */
	CREATE_LEFT_WHOLE,   /* it is complete; what came after it failed */
	CREATE_LEFT_OTHERS,  /* it was there before, or is somebody else's: not touched */
};
struct create_end {
	bool remove_failed; /* in: what is half made is not kept, unless the user wants to end */
	bool context;       /* a docker context is wanted. create_machine: in; create_resume: out */
	enum create_left left; /* out */
};

/* A new machine: configure, pre-create check, claim, steps. flags: values by flag name for the
 * driver. host_options is taken. */
int create_machine(struct co *co, struct app *app, const char *name, const char *driver_name,
	const struct json *flags, struct json *take_host_options, struct create_end *end,
	struct err *err);
/* The code of errors from the pre-create check, for exit status 3. */
bool create_failed_precheck(const struct err *err);
/* Continues where an earlier create ended. */
int create_resume(
	struct co *co, struct app *app, const char *name, struct create_end *end, struct err *err);
