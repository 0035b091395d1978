/* A child process of the external backend: three pipes, awaited from coroutines. */
#pragma once

#include "buf.h"
#include "co.h"
#include "err.h"
#include "strv.h"

#define CHILD_MAX_PENDING (1u << 20) /* output waiting to be taken; more stays in the pipe */

struct ssh_child;

/* argv[0] is looked up in PATH. The child gets a session of its own: a Ctrl-C on the terminal is
 * ours to handle. */
int ssh_child_start(
	struct co *co, const struct strv *argv, struct ssh_child **ret, struct err *err);
/* Writes data in the background (it must stay valid until the child's end), then end of file. */
void ssh_child_feed(struct ssh_child *c, const void *data, size_t n);

/* Suspends until there is output to take, the child has ended or ms (0: no limit) have passed. 0 or
 * negative errno. */
int ssh_child_await(struct co *co, struct ssh_child *c, uint64_t ms);
/* Output since the last call, 0 or 1; consume it with ssh_child_taken. */
struct buf *ssh_child_output(struct ssh_child *c, unsigned stream);
void ssh_child_taken(struct ssh_child *c, unsigned stream);
/* It has exited and its output is complete. */
bool ssh_child_done(const struct ssh_child *c);
bool ssh_child_exited(const struct ssh_child *c);
/* After its exit; -1: ended by a signal. */
int ssh_child_status(const struct ssh_child *c);

/* Ends it (its standard input's end, then after grace_ms SIGTERM, then SIGKILL) and frees. Call
 * masked. */
void ssh_child_end(struct co *co, struct ssh_child *c, uint64_t grace_ms);
