/* Where an access key comes from: flags, environment, files, the container or instance this runs
 * in. */
#pragma once

#include "machine-driver.h"

#include <stdint.h>

struct credentials {
	char *key, *secret, *token; /* token: "" for none */
	int64_t expires;            /* seconds since 1970; 0: never */
};

/* The first source that has a key and a secret. ERR_AUTH names them all. What a role gave is kept
 * for the process until five minutes before its end; fresh: not. */
int credentials_find(struct md_request *rq, const struct md_machine *m, bool fresh,
	struct credentials *ret, struct err *err);
void credentials_finish(struct credentials *c);

/* KEY in the section of an INI file; malloc'ed, NULL: it is not there. */
char *ini_get(const char *text, const char *section, const char *key);
