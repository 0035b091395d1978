/* Shared by channel.c (what arrives, in callbacks) and channel_call.c (the caller's coroutine). */
#pragma once

#include "channel.h"
#include "frame.h"
#include "rpc.h"

struct progress {
	char *message;
	int64_t current, total;
};

struct call {
	struct co *co;
	const char *method;
	const char *machine; /* NULL: none, or several */
	int64_t id;
	bool answered;
	struct json *result; /* NULL: error is set */
	struct err error;
	bool over; /* the process is gone */
	struct progress progress[CHANNEL_PROGRESS_MAX];
	unsigned first_progress, n_progress;
	int64_t checkpoint_id;   /* 0: none waits for its answer */
	struct json *checkpoint; /* not yet taken by the caller */
	unsigned checkpoints;
};

struct channel {
	struct loop *loop;
	struct proc *proc;
	char *name;
	struct trace *trace;
	struct graces graces;
	void (*on_end)(void *ud);
	void *ud;
	struct frame_decoder in;
	int64_t next_id;
	struct call *call;
	const char *method; /* the last one called */
	struct err fault;   /* how the driver broke the protocol */
	bool ending;        /* we asked it to end */
	bool ended;
	uint64_t window; /* the second in which notes are counted */
	unsigned notes;
	bool flooded;
};

/* Adds a frame with this body to what the driver reads. */
void channel_send(struct channel *ch, const struct buf *body);
/* The driver broke the protocol: it is ended, and whoever waits is told. */
void channel_fault(struct channel *ch, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void channel_answer(struct channel *ch, int64_t id, int code, const struct err *error);
