/* The distribution table: what differs between systems, as data. */
#pragma once

#include "err.h"
#include "os_release.h"

#include <stdbool.h>

struct buf;
struct engine_line;

/* A row of packages or service is a set of shell functions that the scripts call; scripts/apt.sh
 * and scripts/systemd.sh show which. */
struct package_manager {
	const char *name;
	const char *functions;
};

struct service_manager {
	const char *name; /* as the host reports its init system */
	const char *functions;
	int (*write_options)(const struct engine_line *l, struct buf *ret, struct err *err);
};

struct distro {
	const char *id;          /* os-release ID (or a word of ID_LIKE) */
	const char *name;        /* shown in `Provisioning with X...` */
	const char *options_dir; /* certificates: /etc/docker */
	const char *options_file;
	const char *hostname;                   /* the script that sets it */
	const struct package_manager *packages; /* NULL: the image brings the engine */
	const struct service_manager *service;
	const char *install; /* the engine's packages, where the default install script does not
				know the system; NULL: it does */
	bool script;         /* it knows this ID, though not those that are like it */
	const char *source;  /* where these packages come from, as the package manager takes it */
	const char
		*firewall; /* "iptables": the image filters with it; NULL: firewalld, ufw, none */
	const char *upgrade_packages; /* candidates to upgrade, those installed are taken */
	bool forgets;                 /* what is configured, at a reboot */
	const char *dead; /* not NULL: refused with this text, naming what to use instead */
	bool (*applies)(const struct os_release *os); /* NULL: always; asked for a match by ID only,
							 as a derivative has its own versions */
};

/* By ID, then each word of ID_LIKE (which never finds a dead one). ERR_NOT_SUPPORTED. */
int distro_find(const struct os_release *os, const struct distro **ret, struct err *err);
/* Is the engine to be installed from packages rather than by the default script? */
bool distro_has_packages(const struct distro *d, const struct os_release *os);
/* The distinct engine options files of all rows. */
void distro_options_files(struct strv *ret);
