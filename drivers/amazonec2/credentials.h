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
 * for the process until five minutes before its end. fresh: those that were had are over; neither
 * what was kept nor temporary ones of the machine's state are taken. */
int credentials_find(struct md_request *rq, const struct md_machine *m, bool fresh,
	struct credentials *ret, struct err *err);
void credentials_finish(struct credentials *c);
/* May keys, and the token for them, be sent to and from a container's service at that address? Not
 * through a network in the clear. */
bool container_is_trusted(const char *url);

/* Of an INI file: is the section there? KEY in it; malloc'ed, NULL: it is not there. */
bool ini_has(const char *text, const char *section);
char *ini_get(const char *text, const char *section, const char *key);
