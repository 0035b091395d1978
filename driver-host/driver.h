/*
 * A driver kind and its workers, as the program sees them: typed calls that suspend the calling
 * coroutine. The pool starts processes on demand, up to the smaller of max_workers and what the
 * driver allows, gives each request to an idle one, replaces those that die, and ends them all in
 * driver_close.
 *
 * What a misbehaving driver gets: the request in flight fails with ERR_CRASHED or ERR_PROTOCOL, and
 * a text that names the driver, the method and what happened (exit status or signal, the rule
 * broken, the last line of its stderr). configure, preCreateCheck, states and upgradeInfo are
 * retried once on a fresh worker after a crash; the others never here.
 *
 * Every call returns -1 with ERR_CANCELED / ERR_TIMEOUT when the coroutine is cancelled or past its
 * deadline; the request is then cancelled in the driver (X1–X3) before the call returns, in bounded
 * time.
 */
#pragma once

#include "co.h"
#include "err.h"
#include "flagspec.h"
#include "json.h"
#include "mstate.h"
#include "registry.h"
#include "strv.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DRIVER_WORKERS_DEFAULT 8u
#define DRIVER_INITIALIZE_MS 10000u
#define DRIVER_STATES_MS 60000u /* of driver_state and driver_address */

struct driver;

struct driver_info {
	char *name; /* as asked for */
	char *file;
	enum driver_origin origin;
	char *version;
	char *description;
	struct flagspecs flags;
	struct json *environment; /* array of names, or NULL */
	bool provision;
	unsigned max_workers;
	unsigned states_batch;
	unsigned machines_at_once; /* to be made; 0: not said */
	struct json *group_by;     /* array of names, or NULL */
};

struct driver_options {
	unsigned max_workers;   /* 0: DRIVER_WORKERS_DEFAULT */
	const char *trace_file; /* protocol trace, appended, 0600; secrets masked; NULL: none */
	const char *file; /* run this executable instead of looking up the name; NULL: registry */
	/* Only questions are asked: a worker whose answer is not wanted any more, or that does not
	 * end by itself, is killed at once rather than given its graces. */
	bool hasty;
};

/* Starts one worker and initializes it. err: ERR_NOT_FOUND for an unknown driver. */
int driver_open(struct co *co, const char *name, const struct driver_options *opt,
	struct driver **ret, struct err *err);
const struct driver_info *driver_info(const struct driver *d);
/* Ends every worker (end of input, then TERM, then KILL) and waits for them; ignores cancellation.
 * NULL is fine. */
void driver_close(struct co *co, struct driver *d);

/* co_deadline_begin for what needs this driver: the time in which its provider is not to be asked,
 * because it asked to slow down, does not count. */
void driver_deadline_begin(
	struct co *co, struct co_deadline *end, const struct driver *d, uint64_t ms);

/* M: borrowed for the duration of a call. */
struct machine_ref {
	const char *name;
	const char *id;
	const char *dir;
	const char *store_path;
	const struct json *state;
};

/* What happens while a request is being served. All members may be NULL. They run on the calling
 * coroutine. */
struct driver_observer {
	const char *machine; /* whom the request is about, for log lines; the calls below set it */
	void *userdata;
	/* Store the state durably; may suspend. -1 makes the checkpoint fail (C3). */
	int (*checkpoint)(struct co *co, void *userdata, const struct json *state, struct err *err);
	/* current, total: -1 if not given */
	void (*progress)(void *userdata, const char *message, int64_t current, int64_t total);
};

int driver_configure(struct co *co, struct driver *d, const struct machine_ref *m,
	const struct json *flags, struct json **ret_state, struct err *err);
int driver_pre_create_check(struct co *co, struct driver *d, const struct machine_ref *m,
	const struct driver_observer *obs, struct err *err);

enum driver_op {
	DRIVER_CREATE,
	DRIVER_START,
	DRIVER_STOP,
	DRIVER_RESTART,
	DRIVER_KILL,
	DRIVER_REMOVE,
	DRIVER_UPGRADE_IMAGE,
	DRIVER_OP_COUNT
};
const char *driver_op_name(enum driver_op op); /* the method's name */

enum outcome_status { OUTCOME_DONE, OUTCOME_WAIT, OUTCOME_RUN };

struct driver_outcome { /* O */
	enum outcome_status status;
	struct json *state;          /* NULL: unchanged */
	enum machine_state wait_for; /* STATE_NONE: just call again */
	uint32_t retry_after_ms;
	char *message;
	char *command;
	bool disconnects;
	bool again; /* RUN: then the same request is sent once more */
};
void driver_outcome_finish(struct driver_outcome *o);

/* One call of the method. The waiting between calls (O2) is the caller's. */
int driver_run(struct co *co, struct driver *d, enum driver_op op, const struct machine_ref *m,
	const struct driver_observer *obs, struct driver_outcome *ret, struct err *err);

struct ssh_address {
	char *host;
	int port; /* 0: unknown */
	char *user;
	char *key_path;
	struct strv host_keys; /* known in advance (S7), unchecked */
};

struct machine_report { /* S */
	enum machine_state state;
	char *message;
	char *ip; /* strings are never NULL in a report that did not fail */
	char *url;
	bool url_always;
	int engine_port; /* where the engine listens in the machine; 0: at url's port */
	bool slow;       /* an emulated machine */
	bool unprobed;   /* driver_address: the state is left to whoever connects */
	struct ssh_address ssh;
	bool failed;
	struct err error; /* set if failed */
};
void machine_report_finish(struct machine_report *r);
/* Of a report that did not fail. */
struct machine_report machine_report_copy(const struct machine_report *r);

/*
 * Asks about n machines: cut into batches by the driver's limits, spread over workers; a batch that
 * ends the driver is asked again in halves; probes (S4) are carried out on the loop, all at once.
 * reports has n elements, zeroed by the caller; each is filled in, failed or not, also when batches
 * crash: the function itself fails only when cancelled or timed out; reports not filled in by then
 * are failed with that error. on_report (may be NULL) is called as each becomes final.
 */
int driver_states(struct co *co, struct driver *d, const struct machine_ref *refs, size_t n,
	struct machine_report *reports, void (*on_report)(void *ud, size_t i), void *ud,
	struct err *err);

/* About one machine, in one request with whoever else asks at about the same time; the first waits
 * gather_ms for others. A failed report is an error here. */
int driver_state(struct co *co, struct driver *d, const struct machine_ref *m, unsigned gather_ms,
	struct machine_report *ret, struct err *err);

/* The same: where a machine is, without carrying out a probe (S4): for who is about to connect
 * anyway. A report whose state hangs on a probe comes as STATE_NONE and unprobed. */
int driver_address(struct co *co, struct driver *d, const struct machine_ref *m, unsigned gather_ms,
	struct machine_report *ret, struct err *err);

/* Is a request being answered, or does one wait for its turn? */
bool driver_is_busy(const struct driver *d);

enum upgrade_kind { UPGRADE_ENGINE, UPGRADE_IMAGE };
int driver_upgrade_info(struct co *co, struct driver *d, const struct machine_ref *m,
	enum upgrade_kind *ret, struct err *err);
