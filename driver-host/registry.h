/*
 * Finds driver executables: machine-driver-NAME in (1) the folder of our own drivers, (2) each
 * folder of MACHINE_DRIVER_PATH, (3) each folder of PATH. The first hit wins. NAME matches
 * [a-zA-Z0-9][a-zA-Z0-9_.-]*, at most 64 bytes.
 *
 * "Our own" is where `make install` puts them, found relative to the running binary
 * (BIN/../libexec/machine), or the drivers/ folders of a build tree when the binary runs from
 * there, else the configured libexecdir.
 */
#pragma once

#include "err.h"

#include <stdbool.h>
#include <stddef.h>

#define DRIVER_PREFIX "machine-driver-"

enum driver_origin { DRIVER_ORIGIN_BUILTIN, DRIVER_ORIGIN_DRIVER_PATH, DRIVER_ORIGIN_PATH };

struct registry_entry {
	char *name;
	char *file; /* absolute */
	enum driver_origin origin;
};

struct registry_list {
	struct registry_entry *items; /* sorted by name, one entry per name */
	size_t n;
};

bool driver_name_valid(const char *name);
/* ERR_NOT_FOUND: `Driver "X" not found. Do you have the plugin binary "docker-machine-driver-X"
 * accessible in your PATH?` with a second line naming machine-driver-X and where it was looked for.
 */
int registry_find(const char *name, struct registry_entry *ret, struct err *err);
/* An executable of ours that is no driver, at the same places; malloc'ed. */
int registry_find_helper(const char *executable, char **ret, struct err *err);
void registry_scan(struct registry_list *ret);
const char *driver_origin_name(
	enum driver_origin o); /* "built in", "MACHINE_DRIVER_PATH", "PATH" */
void registry_entry_finish(struct registry_entry *e);
void registry_list_finish(struct registry_list *l);
