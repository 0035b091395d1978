/*
 * Part of machine-driver.h: what a new system is told at its first boot, in cloud-init's NoCloud
 * form. The #cloud-config is written as JSON, which is YAML too.
 */
#pragma once

#include "err.h"
#include "strv.h"

#include <stdbool.h>
#include <stddef.h>

struct md_seed {                 /* borrowed; NULL or "" where there is none */
	const char *instance_id; /* a new one makes the system look at the seed again */
	const char *hostname;
	const char *user; /* gets sudo without a password, and the group docker */
	struct strv authorized_keys;
	const char *host_key_private; /* OpenSSH format; the only host key that is served */
	const char *host_key_public;  /* alone: the system has its key already, and keeps it */
	const char *mac;              /* of the network card that network_address is for */
	const char *address;          /* "A.B.C.D/P", "" for DHCP */
	const char *gateway;
	const char *dns;
	const struct json *mounts; /* list of fstab lines, each a list of strings */
	const char *user_data;     /* the user's own file, merged as a second MIME part */
	bool cloud; /* a provider's image on its own network: disk, packages and logins are as it
		     * sets them */
	bool lean;  /* for MD_SEED_LEAN, which needs not be told to use its whole disk */
};

/* Each malloc'ed. user-data is checked: of one of the kinds that cloud-init knows by their
 * beginnings ("#cloud-config", "#!", MIME …); else ERR_USER. */
char *md_seed_meta_data(const struct md_seed *s);
int md_seed_user_data(const struct md_seed *s, char **ret, struct err *err);
char *md_seed_network_config(const struct md_seed *s);
/* An ISO 9660 image with the volume id CIDATA and a Joliet tree with the three files; 0600,
 * replaced whole. */
int md_seed_write_iso(const char *path, const struct md_seed *s, struct err *err);
