/* Shared by driver.c, states.c and gather.c. */
#pragma once

#include "driver.h"
#include "pool.h"

struct gathering;

struct driver {
	struct loop *loop;
	struct driver_info info;
	struct pool *pool;
	bool hasty; /* see struct driver_options */
	struct trace *trace;
	struct driver_info *greeted; /* where the next handshake goes; NULL: it is only checked */
	struct gathering *gathering[2]; /* that are open: for questions with and without probes */
	size_t gatherings;              /* that have not ended */
	struct co *closer;              /* who waits for their ends */
};

/* {"name": …, "state": …} */
void driver_write_ref(struct buf *out, const struct machine_ref *m);
/* A request that changes nothing is sent again: */
enum repeat {
	REPEAT_NEVER,
	REPEAT_THROTTLED, /* when the provider asked to slow down, as often as throttle.h allows */
	REPEAT_FAILED, /* then, and once more on a fresh worker if the driver fails as a process */
};
/* One request on some worker. ret_began NULL: an answer says that the provider is well. Else only
 * its reader can tell, to whom *ret_began says when the request was sent. */
int driver_call(struct co *co, struct driver *d, const char *method, const struct buf *params,
	const struct driver_observer *obs, enum repeat repeat, uint64_t *ret_began,
	struct json **ret, struct err *err);
/* "driver "X" broke the protocol in its answer to M: …" */
int driver_bad_answer(const struct driver *d, const char *method, struct err *err);
/* driver_states; no_probes: reports whose state hangs on a probe come unprobed. */
int driver_ask(struct co *co, struct driver *d, const struct machine_ref *refs, size_t n,
	bool no_probes, struct machine_report *reports, void (*on_report)(void *ud, size_t i),
	void *ud, struct err *err);
/* Waits for the ends of questions that their askers have left. */
void driver_end_gatherings(struct co *co, struct driver *d);
