/*
 * Who has which address, for all stores of the computer: NSPAWN_REGISTRY has a lock, net.json with
 * the subnet, and hosts/ADDRESS for each machine. An entry is made when the machine's FILE_ID is
 * there, and before anything else is made for it; one whose FILE_ID is gone, or another machine's,
 * is collected whenever the registry is opened: what still runs of it is ended. With the last entry
 * goes the network.
 */
#pragma once

#include "md-watch.h"
#include "subnet.h"

#include "err.h"

#include <stdbool.h>
#include <stddef.h>

struct registry_entry {
	uint32_t number;
	char *dir, *name, *id; /* of the machine */
};

struct registry {
	const struct md_watch *watch;
	const char *root;
	int lock;
	bool has_subnet;
	struct subnet subnet;
	uint32_t last; /* the number given last */
	struct registry_entry *entries;
	size_t n;
};

struct registry_machine { /* borrowed */
	const char *dir, *name, *id;
};

/* Takes the lock, reads, collects. */
int registry_open(struct registry *r, const struct md_watch *w, struct err *err);
void registry_close(struct registry *r);
#define _cleanup_registry_ __attribute__((cleanup(registry_close)))

/* The machine's own entry; NULL: none. */
const struct registry_entry *registry_find(
	const struct registry *r, const struct registry_machine *m);
/* Gives the machine an address: its own entry's, or `wanted` if that is free (the registry was
 * lost, or the store moved), or with "" the next. subnet: where it must be, "" for anywhere. The
 * network is up afterwards. */
int registry_reserve(struct registry *r, const struct registry_machine *m, const char *wanted,
	const char *subnet, uint32_t *ret_number, struct err *err);
/* Ends what is left of a host, and frees its control groups and link. */
int registry_wipe(struct registry *r, uint32_t number, struct err *err);
/* Wipes and forgets. A machine without entry is fine. */
int registry_release(struct registry *r, const struct registry_machine *m, struct err *err);
