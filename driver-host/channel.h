/*
 * One driver process that speaks the protocol: a request at a time, with what the driver asks and
 * tells meanwhile. A call ends when the driver has answered, or when its process is gone, never
 * before: nobody acts on a machine any more when the call has returned.
 */
#pragma once

#include "buf.h"
#include "driver.h"
#include "proc.h"

#define CHANNEL_CANCEL_MS 5000u /* X3: from $/cancelRequest to SIGTERM */
#define CHANNEL_TERM_MS 2000u   /* from SIGTERM to SIGKILL */
#define CHANNEL_EOF_MS 2000u    /* Q1: from end of input to SIGTERM */
#define CHANNEL_HASTY_TERM_MS 100u
#define CHANNEL_HASTY_EOF_MS 500u
#define CHANNEL_MESSAGE_MAX 4096u
#define CHANNEL_CHECKPOINTS_MAX 10000u
#define CHANNEL_PROGRESS_MAX 32u      /* waiting for the caller; the oldest are dropped */
#define CHANNEL_NOTES_PER_SECOND 500u /* requests and notifications of the driver */

struct channel;
struct trace;

struct graces {
	unsigned cancel_ms;
	struct proc_graces proc;
};
/* The protocol's; MACHINE_TEST_GRACE_MS shortens them all. */
struct graces graces_default(void);
/* For who has only asked questions and is about to end (X3). */
struct graces graces_hasty(void);

struct channel_options {
	const char *name; /* the driver's */
	const char *file;
	char **env;
	struct graces graces;
	struct trace *trace; /* or NULL; outlives the channel */
	/* The process is gone. From the loop. channel_free is allowed then, unless a call runs. */
	void (*ended)(void *ud);
	void *ud;
};

int channel_start(struct loop *loop, const struct channel_options *opt, struct channel **ret,
	struct err *err);
/* May the next call go here? */
bool channel_usable(const struct channel *ch);
bool channel_ended(const struct channel *ch);
/* method: a literal. params: the text of a JSON object. obs may be NULL. ret_result: the caller's.
 * Cancelled or past its deadline, the call returns the driver's result if it still gives one. */
int channel_call(struct co *co, struct channel *ch, const char *method, const struct buf *params,
	const struct driver_observer *obs, struct json **ret_result, struct err *err);
/* End of input, then SIGTERM, then SIGKILL; `ended` follows. */
void channel_end(struct channel *ch);
void channel_free(struct channel *ch);
