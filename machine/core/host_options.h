/* The members of HostOptions in config.json: their order, types and values. */
#pragma once

#include "json.h"
#include "store.h"

/* Every member as a create without flags writes it. */
struct json *host_options_default(const struct store *s, const char *name);
/* Every member in order, with the values of old (NULL: none), else empty ones; members that are not
 * known follow, but for those on the list. */
struct json *host_options_adopt(const struct json *old, const char *const *drop);

/* The same of a record that is of this version already: groups that are null stay so. NULL: old is
 * no object, or has every member, spelled as it is here. */
struct json *host_options_complete(const struct json *old);

/* What a record leaves open of where its certificates are (or says with ""): AuthOptions by
 * default. NULL: nothing. malloc'ed. */
struct json *host_options_auth_missing(
	const struct json *options, const struct store *s, const char *name);

/* Types of what is there; nothing has to be. The error is "HostOptions.X.Y: expected a string". */
int host_options_check(const struct json *options, struct err *err);

enum field_kind { FIELD_STRING, FIELD_BOOL, FIELD_INT, FIELD_NUMBER, FIELD_STRINGS, FIELD_OBJECT };
/* Absent and null always pass, as Go reads them. */
bool field_accepts(enum field_kind kind, const struct json *value);
const char *field_kind_name(enum field_kind kind); /* "a string" */
