/* What provisioning consists of; provision.c says in which order. */
#pragma once

#include "provision.h"

struct run {
	struct ssh *ssh;
	struct provision_host *h;
	const struct provision_request *rq;
	bool force; /* restart the engine in any case */
};

struct step {
	const char *name;
	unsigned seconds;                    /* at most */
	bool (*needed)(const struct run *r); /* NULL: always */
	int (*run)(struct co *co, struct run *r, struct err *err);
};

int run_step(struct co *co, struct run *r, const struct step *s, struct err *err);
void run_progress(const struct run *r, const char *line);

bool cloud_init_runs(const struct run *r);
int cloud_init_wait(struct co *co, struct run *r, struct err *err);
bool hostname_differs(const struct run *r);
int hostname_set(struct co *co, struct run *r, struct err *err);
bool engine_missing(const struct run *r);
int engine_is_missing(const struct run *r, struct err *err); /* an error, with the way out */
int install_url_check(const char *url, struct err *err); /* ERR_IO/ERR_USER: no use on any host */
int engine_install(struct co *co, struct run *r, struct err *err);
/* Removes the package of an engine that cannot be upgraded in place; engine_missing then. One that
 * came in another way is left alone. */
int engine_purge(struct co *co, struct run *r, struct err *err);
int engine_upgrade(struct co *co, struct run *r, struct err *err);

/* Is there an engine that would start again as it is? */
int engine_check_restart(const struct run *r, struct err *err);

/* Certificates, options, restart, wait. */
int configure_engine(struct co *co, struct run *r, struct err *err);
int configure_certs(struct co *co, struct run *r, struct err *err);
int configure_nothing(struct co *co, struct run *r, struct err *err); /* just the restart */
