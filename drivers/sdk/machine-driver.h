/*
 * The driver SDK: write a driver as plain, blocking C. Fill in a struct md_driver, name it in
 * MACHINE_DRIVER, and link with the SDK; the result is a machine-driver-NAME executable that speaks
 * the protocol (PROTOCOL.md).
 *
 * Every function gets the request it serves (rq), which checkpoints, progress and waiting need, and
 * reports failure by returning -1 with err set. Strings and trees given to a function are borrowed
 * until it returns, but for m->state, which it edits in place: what it holds at return (success or
 * not) is what the host stores on success, and what the last md_checkpoint stored on failure.
 */
#pragma once

#include "err.h"
#include "flagspec.h"
#include "json.h"
#include "log.h"
#include "mem.h"
#include "mstate.h"
#include "strv.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct md_request; /* opaque */

struct md_machine {
	const char *name; /* "web1" */
	const char *id;   /* 32 hex digits; "" once create is done (M2): keep it in the state */
	const char *dir;  /* the machine's folder; exists from create on */
	const char *store_path; /* the store's root */
	struct json *state;     /* an object, edited in place */
};

enum md_status { MD_DONE = 0, MD_WAIT, MD_RUN };

struct md_outcome { /* zeroed: done. Strings are malloc'ed and freed by the SDK */
	enum md_status status;
	enum machine_state wait_for; /* WAIT: STATE_NONE = just call again */
	uint32_t retry_after_ms;     /* WAIT: 100 to 60,000; 0 = the host's default */
	char *message;               /* WAIT: what is being waited for */
	char *command;               /* RUN: executed on the machine over SSH */
	bool disconnects;            /* RUN: the command cuts the connection (a reboot) */
	bool again; /* RUN: not finished; when the command has succeeded, the same request comes
		     */
};

struct md_report { /* zeroed: nothing known. Strings are malloc'ed and freed by the SDK */
	enum machine_state state;
	char *message;
	char *ip;
	char *url;
	bool url_always; /* offered whatever the state */
	int engine_port; /* where the engine listens in the machine, if that is not url's port; 0 */
	bool slow;       /* an emulated machine: the host waits several times as long for it */
	char *ssh_host;
	int ssh_port;
	char *ssh_user;
	char *ssh_key_path;
	struct strv ssh_host_keys; /* known before the first contact: lines, fingerprints */
	char *probe_tcp; /* HOST:PORT: the host connects; state is then probe_open or probe_closed
			  */
	char *probe_greeting; /* what the peer's first words begin with; NULL: any, and none */
	enum machine_state probe_open, probe_closed; /* STATE_NONE: Running, Stopped */
	uint32_t probe_timeout_ms;                   /* at most 60,000; 0: the host's default */
};

typedef int (*md_op_fn)(
	struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err);

#define MD_AS_PROCESSORS UINT_MAX /* one for each, but two at least */

struct md_driver {
	const char *name;
	const char *version; /* NULL: the SDK's */
	const char *description;
	const struct flagspec *flags;
	size_t n_flags;
	const char *const *environment; /* further variables, NULL-terminated; may be NULL */
	const char *const *group_by;    /* state members, NULL-terminated; may be NULL */
	bool no_provision;
	unsigned max_workers;  /* 0: the protocol's default, 8 */
	unsigned states_batch; /* 0: the protocol's default, 200 */
	/* How many may be made at once, where the user does not say. 0: as many as keep the workers
	 * busy. For machines of this computer, which boot on its processors: MD_AS_PROCESSORS. */
	unsigned machines_at_once;

	/* flags: every flag by name. m->state holds the base members (md_base_state) already. */
	int (*configure)(struct md_request *rq, struct md_machine *m, const struct json *flags,
		struct err *err);
	int (*pre_create_check)(
		struct md_request *rq, struct md_machine *m, struct err *err); /* may be NULL */
	md_op_fn create;                     /* NULL: nothing to do */
	md_op_fn start, stop, restart, kill; /* NULL: not supported */
	md_op_fn remove;                     /* NULL: nothing to do */
	/* One of the two. A failure of `state` is that machine's; `states` fills errs[i] for
	 * machines that failed (code != ERR_NONE). */
	int (*state)(struct md_request *rq, struct md_machine *m, struct md_report *out,
		struct err *err);
	int (*states)(struct md_request *rq, struct md_machine *machines, size_t n,
		struct md_report *reports, struct err *errs, struct err *err);
	md_op_fn upgrade_image; /* NULL: upgrades are the engine's packages */
};

/* The main loop. Returns the exit status. */
int md_main(const struct md_driver *driver, int argc, char **argv);

#define MACHINE_DRIVER(driver)                         \
	int main(int argc, char **argv)                \
	{                                              \
		return md_main(&(driver), argc, argv); \
	}

/* Returns when the state is on disk. -1: create nothing more, fail the request. (After a cancel the
 * state is stored all the same, and the result is -1.) */
int md_checkpoint(struct md_request *rq, const struct json *state, struct err *err);
/* A line for the user. Messages of more than 4,096 bytes are cut. */
void md_progress(struct md_request *rq, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void md_progress_of(struct md_request *rq, int64_t current, int64_t total, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* A log line of the program; debug only when the user asked for it. */
void md_log(struct md_request *rq, enum log_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Looks for a cancel without blocking. Also true when the program is gone. */
bool md_cancelled(struct md_request *rq);
/* -1 with ERR_CANCELED as soon as the request is cancelled. */
int md_sleep(struct md_request *rq, uint32_t ms, struct err *err);

#include "md-api.h"
#include "md-helpers.h"
#include "md-image.h"
#include "md-lock.h"
#include "md-run.h"
#include "md-seed.h"
#include "md-sshkey.h"
#include "md-state.h"
#include "md-watch.h"
#include "md-xml.h"
#include "md-yaml.h"
