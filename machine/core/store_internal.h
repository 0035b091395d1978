/* Shared by the store's own files. */
#pragma once

#include "err.h"

struct store {
	char *path, *certs, *machines, *locks;
};

int store_mkdirs(const char *path, struct err *err);
int store_sync_dir(const char *path, struct err *err);
/* Deletes a tree without ever following a link. */
int store_remove_tree(const char *path, struct err *err);
