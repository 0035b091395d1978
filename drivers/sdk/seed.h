/* Inside the SDK: the ISO 9660 image of a seed. */
#pragma once

#include "machine-driver.h"

#define SEED_MAX (16u << 20) /* of all files together */

struct seed_file {
	const char *short_name; /* ISO 9660: 8.3 with version */
	const char *name;       /* Joliet; ASCII */
	const char *data;
	size_t len;
};

struct seed_iso {
	unsigned char *data;
	size_t len;
};

/* Files in a root folder, which are in the order of their names. ERR_USER: too large. */
int seed_iso_make(const struct seed_file *files, size_t n, struct seed_iso *ret, struct err *err);
void seed_iso_finish(struct seed_iso *iso); /* overwrites it: there is a key in it */
