/* The driver of a create that names none: the best local one that can work here. */
#pragma once

#include <sys/types.h>

/* The driver's name; *ret_why: half a sentence that says why this one. Both malloc'ed. */
char *default_driver_choose(uid_t uid, char **ret_why);
