/* Machines and the docker client's contexts. */
#pragma once

#include "docker_context.h"
#include "host.h"

/* The machine has a context that leads to its engine. An action: see action_fn. */
int host_context_make(struct co *co, struct host *h, struct err *err);
/* After what may have changed its address or its certificates: if it has one, that is corrected.
 * Failures are warnings. */
void host_context_refresh(struct co *co, struct host *h);
/* With the machine; failures are warnings. */
void host_context_forget(const struct store *s, const char *machine);
