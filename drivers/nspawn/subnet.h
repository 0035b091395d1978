/* The addresses of the hosts: which subnet is free on this computer, which number is free in it.
 * IPv4 only. A host's number is the host part of its address. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define SUBNET_PREFIX_MIN 16u
#define SUBNET_PREFIX_MAX 28u
#define SUBNET_GATEWAY 1u /* the bridge's number */

struct subnet {
	uint32_t base; /* in the computer's byte order */
	unsigned prefix;
};

/* "10.1.2.0/24"; false for anything else, and for an address with bits beyond the prefix. */
bool subnet_parse(const char *text, struct subnet *ret);
char *subnet_text(const struct subnet *s);                     /* malloc'ed */
char *subnet_address(const struct subnet *s, uint32_t number); /* malloc'ed */
/* 0: the address is none that a host can have. */
uint32_t subnet_number(const struct subnet *s, const char *address);
/*
 * Does it overlap with an address or network in the listing? The listing is any text, such as that
 * of `ip route` and `ip address`. Networks wider than /8 are ways to everywhere, and do not count.
 */
bool subnet_in_use(const struct subnet *s, const char *listing);
/* The first candidate that is not in use; false: none. */
bool subnet_choose(const char *listing, struct subnet *ret);
/* The number after `last` that is not taken, in a circle, so that an address is not given again at
 * once. 0: all are taken. */
uint32_t subnet_next(const struct subnet *s, uint32_t last,
	bool (*taken)(uint32_t number, const void *arg), const void *arg);
