/* What the driver does with one machine. */
#pragma once

#include "machine-driver.h"

/* The members of a machine's state. */
#define STATE_IMAGE "Image"
#define STATE_IMAGE_ID "ImageID"
#define STATE_MACHINE_ID "MachineID"
#define STATE_SUBNET "Subnet"
#define STATE_CPUS "CPUs"
#define STATE_MEMORY "Memory" /* MiB */
#define STATE_BINDS "Binds"
#define STATE_HOST_KEY "SSHHostKey"

#define SSH_PORT 22
#define ENGINE_PORT 2376

/* A file of the machine in its folder NSPAWN_DIR. Malloc'ed. */
char *host_file(const struct md_machine *m, const char *name);
/* The unpacked image of the machine. Malloc'ed. */
char *host_tree(const struct md_machine *m);
int host_need_root(struct err *err);

/* create.c */
/* Chooses the machine's image if that has not been done, and sees that it is there, unpacked and
 * unchanged. */
int host_image(struct md_request *rq, struct md_machine *m, struct err *err);
int host_create(
	struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err);
/* power.c */
int host_start(
	struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err);
int host_stop(struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err);
int host_kill(struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err);
int host_restart(
	struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err);
int host_remove(
	struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err);
int host_states(struct md_request *rq, struct md_machine *machines, size_t n,
	struct md_report *reports, struct err *errs, struct err *err);
/* check.c */
int host_check(struct md_request *rq, struct md_machine *m, struct err *err);
