/* The distribution table: what differs between systems, as data. */
#pragma once

#include "err.h"
#include "os_release.h"

#include <stdbool.h>

struct distro {
	const char *id;          /* os-release ID (or a word of ID_LIKE) */
	const char *name;        /* shown in `Provisioning with X...` */
	const char *options_dir; /* certificates: /etc/docker */
	const char *options_file;
	const struct package_manager *packages; /* NULL: the image brings the engine */
	const struct service_manager *service;
	const char *upgrade_packages; /* candidates to upgrade, those installed are taken */
	const char *dead; /* not NULL: refused with this text, naming what to use instead */
	bool (*applies)(const struct os_release *os); /* NULL: always */
};

/* By ID, then each word of ID_LIKE. ERR_NOT_SUPPORTED. */
int distro_find(const struct os_release *os, const struct distro **ret, struct err *err);
