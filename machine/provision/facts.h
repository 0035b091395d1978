/*
 * What a script on the host reports, amid whatever else ends up in its output (a login shell's
 * greeting, a warning): between the lines `@@begin` and `@@end`, each fact is a line `@@NAME` and
 * its text, every line of which has one blank in front. A text that ends with a newline is followed
 * by an empty line, one that does not is not; so any text arrives byte for byte, and no text can
 * pretend to be another fact.
 */
#pragma once

#include "err.h"

#include <stddef.h>

#define FACTS_MAX 64

struct fact {
	char *name;
	char *text; /* followed by NUL */
	size_t len;
};

struct facts {
	struct fact items[FACTS_MAX];
	size_t n;
};

/* ERR_PROTOCOL: no beginning, no end, too many facts. Stray lines are skipped. */
int facts_parse(const char *out, size_t len, struct facts *ret, struct err *err);
void facts_finish(struct facts *f);

/* NULL when absent. */
const struct fact *facts_find(const struct facts *f, const char *name);
const char *facts_text(const struct facts *f, const char *name, const char *fallback);
/* malloc'ed copy of a text that is not empty, else NULL. */
char *facts_dup(const struct facts *f, const char *name);
