/* From create's flags to the HostOptions of a new machine's record. */
#pragma once

#include "cli.h"

/* *ret may be set on failure, too. */
int create_options(const struct cli *cli, const char *name, struct json **ret, struct err *err);
