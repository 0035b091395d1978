/*
 * Part of machine-driver.h: other programs. Argument lists, never a shell. A program is looked for
 * in PATH and in the sbin folders. It has no standard input, runs in the C locale and with none of
 * the driver's descriptors. It stays in the driver's process group, so that it ends when the driver
 * is ended; it is killed when time is up or the watcher gives up.
 */
#pragma once

#include "err.h"
#include "md-watch.h"

#include <stdint.h>

#define MD_RUN_OUTPUT_MAX (1u << 20) /* of each stream; a program that says more fails */

/*
 * Runs argv (NULL-terminated) and waits at most timeout_ms (0: 60,000). With ret_out the standard
 * output, malloc'ed. Fails when the program cannot be started, is ended by a signal, or exits other
 * than with 0: "qemu-img create: exit status 1: " and what it said last on its standard error. The
 * arguments are not in the text, as one of them may be a secret.
 */
int md_run(const struct md_watch *w, const char *const *argv, uint32_t timeout_ms, char **ret_out,
	struct err *err);
/* As md_run, but an exit status other than 0 is an answer. */
int md_run_status(const struct md_watch *w, const char *const *argv, uint32_t timeout_ms,
	int *ret_status, char **ret_out, struct err *err);
/* The absolute path of a program, malloc'ed; NULL: it is not there. A name with a slash is taken as
 * it is. */
char *md_find_program(const char *name);
