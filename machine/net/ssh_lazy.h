/*
 * libssh2 when it is wanted: it brings an OpenSSL along, whose symbols take longer to resolve than
 * most commands run. So the program is not linked with it; ssh_lazy.c has a function of each name
 * that is used, which calls the library's own.
 */
#pragma once

#include "err.h"

/* Loads the library, once; before any of its functions is called. 0, or -1 with ERR_NOT_SUPPORTED:
 * it is not there, or one that lacks a function. */
int ssh_lazy_load(struct err *err);
