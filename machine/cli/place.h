/* A place as scp and mount name it, [[user@]machine:]path, and the way there. */
#pragma once

#include "cli.h"

struct place {
	char *machine; /* NULL: this computer */
	char *user;    /* NULL: the machine's own */
	char *path;
	struct host *host;
	struct ssh_place ssh; /* after place_open */
	struct ssh_target target;
};

/* As Docker Machine splits it, and as scp does: nothing before a '/' means a machine. */
void place_parse(const char *word, struct place *ret);
/* The record, with the error of Docker Machine, which says it twice. */
int place_load(struct cli *cli, const struct place *p, struct record **ret, struct err *err);
/* Where the machine is; it runs, and shows the host key that it should. Nothing for a local one. */
int place_open(struct co *co, struct cli *cli, struct place *p, struct err *err);
void place_finish(struct co *co, struct place *p);
/* Ends the drivers before a program takes over, which may run for long. */
void place_leave_drivers(struct co *co, struct cli *cli, struct place *places, size_t n);
