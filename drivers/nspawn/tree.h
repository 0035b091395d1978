/* Whole folders: removed, and recognized. Symbolic links are not followed. */
#pragma once

#include "err.h"

#include <stdint.h>

/* rm -rf; nothing there is fine. Refuses to go into another file system. */
int tree_remove(const char *path, struct err *err);
/* A number for the names, types, modes, owners, sizes, times and link targets of all that is below,
 * in whatever order it is read. It tells whether a tree was changed by accident. */
int tree_digest(const char *path, uint64_t *ret, struct err *err);
