/* Processes that outlive the driver. One is known by its arguments, never by its number alone. */
#pragma once

#include "err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct mark {
	const char *flag, *value; /* two arguments, one after the other; value NULL: flag alone */
	const char *folder;       /* NULL, or value is the name of a file in it */
};
/* Starts a program that goes on without us, in a session of its own, its output in a file that is
 * begun anew. */
int daemon_start(const char *const *argv, const char *log, pid_t *ret, struct err *err);
bool process_is(pid_t pid, struct mark mark);
/* The first process that carries the mark, 0: none. hint: looked at first, 0: none. */
pid_t process_find(struct mark mark, pid_t hint);
/* Time since this computer was started. */
int64_t boot_time_ms(void);
/* Waits for its end. True: it has ended. */
bool process_ended(pid_t pid, struct mark mark, uint32_t timeout_ms);
/* TERM, KILL. ERR_UNAVAILABLE: it is still there. */
int process_kill(pid_t pid, struct mark mark, struct err *err);
