/* Regular expressions as Go writes them (RE2), for the name filter. */
#pragma once

#include "err.h"

#include <regex.h>

/* ERR_USER `error parsing regexp: …`. Free with regfree. */
int regex_compile(const char *text, regex_t *ret, struct err *err);
