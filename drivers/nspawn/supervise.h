/*
 * The process that runs a host, and outlives the driver that started it:
 *
 *     machine-driver-nspawn --supervise DIR     enters the host's control groups, waits, tidies up
 *       └─ (the same program)                   PID 1 of a PID namespace, in a mount namespace
 *            └─ systemd-nspawn                  again and again, while the host reboots
 *                 └─ systemd of the host
 *
 * Nothing is mounted outside of that mount namespace, and nothing runs outside of that PID
 * namespace: when its first process ends, for whatever reason, all of the host is gone at once. It
 * ends when its parent does.
 *
 * SIGTERM to either of the two switches the host off; SIGKILL to the second is a power cut.
 */
#pragma once

#include "plan.h"

#include <signal.h>

int supervise(const char *dir); /* the exit status */

/* Tells who started us, and the log. */
void supervise_failed(const struct err *err);

/* The second process. parent_gone: a pipe whose other end the parent has. */
_Noreturn void supervise_init(
	const char *dir, const struct plan *p, const struct strv *groups, int parent_gone);
