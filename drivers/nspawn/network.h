/*
 * The hosts' network: one bridge for the whole computer, address translation for what leaves it,
 * and rules that let it pass beside a dockerd or a firewall that forwards nothing. Everything here
 * can be done twice. The caller holds the registry's lock.
 */
#pragma once

#include "md-watch.h"
#include "subnet.h"

#include "err.h"
#include "strv.h"

/* The networks of the computer, but for the bridge's own, as text. Malloc'ed. */
int network_listing(const struct md_watch *w, char **ret, struct err *err);
int network_up(const struct md_watch *w, const struct subnet *s, struct err *err);
int network_down(const struct md_watch *w, const struct subnet *s, struct err *err);
/* Deletes the computer's end of a host's link, if it is still there. */
int network_drop_link(const struct md_watch *w, uint32_t number, struct err *err);

/* The name servers of texts in the form of /etc/resolv.conf that a host can reach: none on the
 * loopback. */
void network_name_servers(const char *resolv_conf, struct strv *ret);
/* The host's configuration for systemd-networkd. Malloc'ed. */
char *network_file(const struct subnet *s, uint32_t number, const struct strv *name_servers);
/* The same, with the computer's name servers of now. */
char *network_file_now(const struct subnet *s, uint32_t number);
