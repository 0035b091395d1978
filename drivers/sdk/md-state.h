/* Part of machine-driver.h: the members of a state. */
#pragma once

#include "err.h"
#include "json.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct md_machine;
struct md_request;

#define MD_PORT_MAX 65535

/* A state's members in their order, and the flags that fill them. */
enum md_field_type { MD_TEXT, MD_NUMBER, MD_YES_NO, MD_LIST, MD_PATH };
struct md_field {
	const char *key;
	enum md_field_type type;
	const char *flag; /* NULL: none; it starts as "", 0, false or null */
};
/* Sets them. Of a PATH, "~" and relative ones are made absolute; a list without members is null.
 * SwarmMaster, SwarmHost and SwarmDiscovery are those of `create`, as the clouds' drivers always
 * had them; nothing reads them any more. flags NULL: none. */
void md_fields_set(
	struct md_machine *m, const struct md_field *fields, size_t n, const struct json *flags);
/* Before anything is done with a state that people may have edited: a member of another type than
 * its field's, which would read as if it were not there, is ERR_USER. Those that all drivers have
 * are looked at, too. Absent and null ones are fine. */
int md_fields_check(
	const struct md_machine *m, const struct md_field *fields, size_t n, struct err *err);
/* A port from a flag; ERR_USER names it when it is none. */
int md_flag_port(struct md_machine *m, const char *key, const struct json *flags, const char *flag,
	struct err *err);

/* State members, "" / 0 / false when absent. Borrowed. */
const char *md_state_str(const struct md_machine *m, const char *key);
int64_t md_state_int(const struct md_machine *m, const char *key);
bool md_state_bool(const struct md_machine *m, const char *key);
/* Sets a text and stores the state: md_checkpoint. */
int md_state_note(struct md_request *rq, struct md_machine *m, const char *key, const char *value,
	struct err *err);
