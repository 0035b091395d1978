/* Which machines a create is to make. */
#pragma once

#include "cli.h"

#define NAME_FLAG "name"

/* Flags that say how machines are made, not what: no driver sees them. */
bool create_flag_is_ours(const char *flag);
/* Of the arguments, or of --name and --count. */
int create_names(struct cli *cli, struct strv *ret, struct err *err);
/* Can a machine have that name? */
int create_check_name(const char *name, struct err *err);
/* All that is wrong with the names of several machines, a line each. */
int create_check_names(const struct cli *cli, const struct strv *names, struct err *err);
