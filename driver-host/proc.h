/*
 * A child process with pipes, in a session and process group of its own. Callbacks come from the
 * loop, never from within these functions.
 */
#pragma once

#include "buf.h"
#include "co.h"
#include "err.h"

#include <stdbool.h>
#include <stddef.h>

#define PROC_READ_SIZE 65536u
#define PROC_STDERR_LINE_MAX 4096u
#define PROC_STDERR_LINES_PER_SECOND 200u
#define PROC_STDERR_BURST (1u << 20) /* bytes read before a pause */
#define PROC_PAUSE_MS 10u
#define PROC_LAST_WORDS_MAX 400u
#define PROC_WRITE_MAX (16u << 20) /* bytes waiting to be written */

/* How patiently a process is ended. */
struct proc_graces {
	unsigned eof_ms;  /* from end of input to SIGTERM */
	unsigned term_ms; /* from SIGTERM to SIGKILL */
};

struct proc_options {
	const char *name; /* for log lines: driver "NAME" */
	const char *file; /* run without arguments */
	char **env;
	struct proc_graces graces;
};

struct proc_events {
	void (*output)(void *ud, const char *data, size_t len); /* bytes from its stdout */
	/* It closed its standard input or output, and lives on. */
	void (*closed)(void *ud, const char *which);
	/* The last event: it has ended, everything that it wrote was delivered, its group is
	 * killed. proc_free is allowed from now on. */
	void (*ended)(void *ud);
};

struct proc;

int proc_start(struct loop *loop, const struct proc_options *opt, const struct proc_events *events,
	void *ud, struct proc **ret, struct err *err);
/* Takes the bytes; -1 when more than PROC_WRITE_MAX wait already. */
int proc_write(struct proc *p, struct buf *take_data);
/* Reads no standard output for a while: somebody floods. */
void proc_pause(struct proc *p);
/* No more output events. */
void proc_ignore_output(struct proc *p);
/* End of input now, SIGTERM after a grace, then SIGKILL. */
void proc_end(struct proc *p);
/* SIGTERM now, SIGKILL after a grace. To the whole group. */
void proc_terminate(struct proc *p);
/* SIGKILL to all there are, for who cannot wait for their ends. */
void proc_kill_all(void);
int proc_pid(const struct proc *p);
/* "exited with status 3", "died by signal 11 (Segmentation fault)" */
void proc_describe_end(const struct proc *p, struct buf *out);
/* The machine that its standard error is about from now on, for log lines; NULL: none, or several.
 */
void proc_about(struct proc *p, const char *machine);
/* The last line on standard error, cleaned of control characters; "" if there was none. */
const char *proc_last_words(const struct proc *p);
void proc_free(struct proc *p);
