/* A TCP connection attempt on the loop: is something listening there? */
#pragma once

#include "co.h"
#include "err.h"

#include <stdint.h>

/* "HOST:PORT" or "[V6]:PORT" → parts, malloc'ed. ERR_USER when it is neither. */
int tcp_split(const char *address, char **ret_host, int *ret_port, struct err *err);
/* HOST:PORT with brackets where HOST is an IPv6 literal; malloc'ed. */
char *tcp_join(const char *host, int port);

/* Connects (getaddrinfo on the thread pool, each address in turn) within timeout_ms. *ret_fd: a
 * non-blocking, close-on-exec socket; pass NULL to just probe. ERR_UNAVAILABLE with "HOST:PORT:
 * cause", or ERR_TIMEOUT / ERR_CANCELED. */
int tcp_connect(struct co *co, const char *host, int port, uint64_t timeout_ms, int *ret_fd,
	struct err *err);
/* Is something listening there, and are its first words greeting? "" or NULL: it need not say
 * anything. Errors as of tcp_connect. */
int tcp_probe(struct co *co, const char *host, int port, const char *greeting, uint64_t timeout_ms,
	struct err *err);
