/* A connection of libssh2 and what can be done on it. */
#pragma once

#include "ssh_priv.h"

#include <libssh2.h>

struct native {
	struct ssh base;
	LIBSSH2_SESSION *session;
	int fd;
	uint64_t heard_ms; /* loop time of the last sign of life */
	uint64_t asked_ms; /* and of the last question for one */
};

int native_connect(struct co *co, struct ssh_place_info *p, struct native **ret, struct err *err);
void native_disconnect(struct co *co, struct native *n); /* frees */
/* The key that the host shows when asked for one of these types, a list of algorithms: 1 and the
 * key; 0: it has none, or libssh2 cannot ask for it; -1. */
int native_ask_key(struct co *co, struct ssh_place_info *p, const char *algorithms, struct buf *ret,
	struct err *err);
bool native_send_pending(struct native *n);
/* Waits until the last call that said EAGAIN is worth repeating. 0 or negative errno; -ENOTCONN
 * when the server has gone silent. */
int native_await(struct co *co, struct native *n);
/* Is it time for a keepalive, or too late? Milliseconds until the next call, or -ENOTCONN. */
int native_keepalive(struct native *n, uint64_t now);
/* Turns libssh2's error into an err and marks the connection dead where it is. Returns -1. */
int native_err(struct native *n, int rc, const char *what, struct err *err);
int native_wait_err(struct native *n, int rc, struct err *err);

/*
 * Repeats a call of libssh2 as long as it is stuck in the middle of sending a packet: nothing else
 * may be sent before that, or the packets get mixed up. Result: what the call returned (EAGAIN: it
 * waits for the server), or a negative errno of the wait in *wait_rc with EAGAIN.
 */
#define native_try(co, n, wait_rc, call)                                                       \
	({                                                                                     \
		__typeof__(call) try_rc_;                                                      \
		*(wait_rc) = 0;                                                                \
		while ((try_rc_ = (call)) == LIBSSH2_ERROR_EAGAIN && native_send_pending(n) && \
			(*(wait_rc) = native_await(co, n)) == 0)                               \
			;                                                                      \
		try_rc_;                                                                       \
	})

/* Repeats a call until it has an answer other than EAGAIN. 0 or less than 0 in *wait_rc. */
#define native_do(co, n, wait_rc, call)                             \
	({                                                          \
		__typeof__(call) do_rc_;                            \
		*(wait_rc) = 0;                                     \
		while ((do_rc_ = (call)) == LIBSSH2_ERROR_EAGAIN && \
			(*(wait_rc) = native_await(co, n)) == 0)    \
			;                                           \
		do_rc_;                                             \
	})

LIBSSH2_CHANNEL *native_open_channel(struct co *co, struct native *n, struct err *err);
/* Starts a command; NULL: a login shell. */
int native_start(
	struct co *co, struct native *n, LIBSSH2_CHANNEL *ch, const char *command, struct err *err);
/* After end of file: waits for the status. Frees the channel unless the connection is dead. */
int native_finish_channel(struct co *co, struct native *n, LIBSSH2_CHANNEL *ch, int *ret_status,
	char **ret_signal, struct err *err);
