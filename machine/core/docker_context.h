/*
 * A machine as a context of the docker client: `docker --context web1 ps`. Contexts of other makers
 * are left alone: one of ours says in its metadata which machine of which store it is for.
 */
#pragma once

#include "store.h"

enum context_owner {
	CONTEXT_NONE,   /* there is no context of that name */
	CONTEXT_OURS,   /* it is this machine's */
	CONTEXT_FOREIGN /* somebody else made it, or another store's machine of that name */
};

struct context_endpoint {
	const char *url;
	const char *ca, *cert, *key; /* files */
};

/* The machine's name; "machine-NAME" for the few that docker does not take. malloc'ed. */
char *docker_context_name(const char *machine);

/* Whose context has the name of the machine's. */
int docker_context_look(
	const struct store *s, const char *machine, enum context_owner *ret, struct err *err);
/* Makes it, or brings it up to date. ERR_EXISTS when it is not ours. */
int docker_context_put(const struct store *s, const char *machine, const struct context_endpoint *e,
	struct err *err);
/* Removes it if it is ours; *ret tells what was there. */
int docker_context_remove(
	const struct store *s, const char *machine, enum context_owner *ret, struct err *err);
/* The error that says that the name is taken. Returns -1. */
int docker_context_taken(const char *machine, struct err *err);
/* Is it what the docker client uses when nobody says? */
bool docker_context_is_current(const char *machine);
/* Which engine the client would call: DOCKER_HOST, else the one of DOCKER_CONTEXT, else that of its
 * current context; NULL: none. malloc'ed. */
char *docker_context_engine(void);
