/*
 * Starting programs without fork(): the caller's memory is not copied, page by page, while the
 * child gets ready.
 */
#pragma once

#include <sys/types.h>

enum spawn_group {
	SPAWN_WITH_US, /* in our process group and session */
	SPAWN_GROUP,   /* leads a process group of its own */
	SPAWN_SESSION, /* leads a session of its own */
};

/* Runs file, a path. fds become its descriptors 0 to 2, all others are closed; -1: /dev/null, to be
 * read; otherwise each is above 2, or in its place already, or a later one's. Its signals have
 * their defaults, none is blocked. env NULL: ours. 0, or the errno that says why it does not run.
 */
int spawn_program(const char *file, char *const argv[], char *const env[], const int fds[3],
	enum spawn_group group, pid_t *ret);
