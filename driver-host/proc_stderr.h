/* A child's standard error as log lines: cut in length, limited in rate. No I/O. */
#pragma once

#include "buf.h"

#include <stdbool.h>
#include <stdint.h>

struct proc_stderr {
	const char *name; /* borrowed */
	int pid;
	char *machine;   /* whom the lines are about, or NULL */
	struct buf line; /* begun, not ended */
	bool cut;        /* the rest of this line is dropped */
	char *last;      /* last line that was not empty */
	uint64_t window; /* the second that is being counted */
	unsigned lines;
	uint64_t dropped;
};

void proc_stderr_feed(struct proc_stderr *s, uint64_t now_ms, const char *data, size_t len);
void proc_stderr_end(struct proc_stderr *s); /* an unfinished line counts */
void proc_stderr_finish(struct proc_stderr *s);
