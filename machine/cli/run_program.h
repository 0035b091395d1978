/* A program of the system that takes over the terminal: ssh, scp, rsync, sshfs. */
#pragma once

#include "err.h"
#include "strv.h"

/*
 * Runs it (argv[0] is looked up in PATH) with our standard streams until it ends. The terminal is
 * its own meanwhile: Ctrl-C is its business, and when it suspends itself we stop, too. What ends us
 * otherwise ends it too. With Docker
 * Machine's texts: ERR_USER "exit status N", ERR_CANCELED "signal: NAME".
 */
int run_program(const struct strv *argv, struct err *err);
