/*
 * Whether a host runs, and who runs it. The answer is a lock on a file in the machine's folder, not
 * a number that another process may have by now: the lock is taken before the host's first process
 * is started, inherited by it, and gone with the last of them. Two more locks name the processes to
 * be signalled; the kernel says who holds them.
 */
#pragma once

#include "err.h"

#include <stdbool.h>

enum running_part {         /* which byte of the file */
	RUNNING_HOST,       /* the host as a whole; inherited */
	RUNNING_INIT,       /* the process whose end is the end of all processes of the host */
	RUNNING_SUPERVISOR, /* its parent */
};

/* Makes the file and locks it for a host that is about to start; ERR_EXISTS: it runs. */
int running_take(const char *path, int *ret_fd, struct err *err);
/* This process is that part. fd: of the file, not used for anything else and not closed. */
int running_mark(int fd, enum running_part part, struct err *err);
/* 1: it runs. 0: not, or there is no such file. */
int running_held(const char *path, struct err *err);
/* Signals the process that is the part; 0: there is none. -1: cannot */
int running_signal(const char *path, enum running_part part, int number, struct err *err);
