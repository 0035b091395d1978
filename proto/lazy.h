/* Libraries that are loaded by the first call that needs them, as they take longer to load than
 * most runs of a program take. Their headers are used as ever; nothing is linked. */
#pragma once

#include "err.h"

#include <stddef.h>

struct lazy_function {
	const char *name;
	void **address; /* filled in; cast it to the function's own type */
};

/* Loads a library ("libcurl.so.4") for the rest of the process and finds the functions. 0, or -1
 * with ERR_NOT_SUPPORTED: it is not there, or lacks one. */
int lazy_load(
	const char *library, const struct lazy_function *functions, size_t n, struct err *err);
