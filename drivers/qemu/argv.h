/* QEMU's command line, from plain data. */
#pragma once

#include "json.h"
#include "strv.h"

#include <stdbool.h>
#include <stdint.h>

#define UEFI_FILE "uefi-variables.fd" /* in the machine's folder */

struct qemu_vm { /* borrowed; "" or NULL where there is none */
	const char *program, *name, *uuid, *dir;
	const char *sockets;  /* the folder of the sockets */
	int64_t memory, cpus; /* MiB */
	bool kvm;
	const char *cpu;
	const char *machine;
	const char *firmware; /* a file; "": the built-in one */
	const char *uefi;     /* the code of a UEFI firmware; its variables are in dir */
	const char *kernel, *initrd, *cmdline; /* kernel "": the disk boots by itself */
	const char *cache, *io;                /* of the disk */
	const char *display;                   /* "": none */
	const char *network;                   /* user, bridge, tap */
	const char *bridge, *interface, *mac;
	const char *bind;            /* of the forwarded ports */
	int ssh_port, engine_port;   /* 0: QEMU takes a free one */
	const struct json *forwards; /* list of "tcp:BIND:HOST-:GUEST" */
	const struct json *shares;   /* list of {Host, Guest, Tag, ReadOnly, Type} */
	const struct json *extra;    /* list of further arguments */
};

void qemu_argv(const struct qemu_vm *vm, struct strv *ret);
/* A value within an option, where a comma is written twice; malloc'ed. */
char *qemu_escape(const char *s);
/* The rule for a forwarded port. */
char *qemu_hostfwd(const char *bind, int host, int guest);
/* The port of the host that "info usernet" shows for one of the guest; 0: none. */
int qemu_usernet_port(const char *text, int guest);
