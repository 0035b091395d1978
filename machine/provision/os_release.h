/* /etc/os-release, as os-release(5) says: quotes, escapes, comments, values with '='. */
#pragma once

#include "strv.h"

#include <stddef.h>

#define OS_RELEASE_MAX (64u << 10)

struct os_release { /* strings are never NULL after a parse */
	char *id;
	struct strv id_like; /* the words of ID_LIKE, in order */
	char *version_id;
	char *version_codename;
	char *variant_id;
	char *pretty_name;
};

/* Unparsable lines are skipped. */
void os_release_parse(const char *text, size_t len, struct os_release *ret);
void os_release_finish(struct os_release *o);
