/* Writing whole: to a descriptor; files of keys and certificates beside their place, flushed, then
 * renamed. */
#pragma once

#include "err.h"

#include <stddef.h>
#include <sys/types.h>

/* All of it, whatever signals come in between; 0, or the errno that ended it. The descriptor
 * blocks. */
int write_all(int fd, const void *data, size_t len);

/* DIR/.NAME.new, malloc'ed: where the new content waits. */
char *putfile_staged(const char *path);
/* Writes and flushes the staged file, which has the mode (less umask) from its creation. */
int putfile_stage(const char *path, const void *data, size_t len, mode_t mode, struct err *err);
/* Puts the staged file in place, durably. */
int putfile_commit(const char *path, struct err *err);
void putfile_discard(const char *path);
/* Both steps; nothing is left behind on failure. */
int putfile(const char *path, const void *data, size_t len, mode_t mode, struct err *err);
