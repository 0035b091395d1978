/* A driver's flags as data: PROTOCOL.md section 7. */
#pragma once

#include "err.h"
#include "json.h"

#include <stdbool.h>
#include <stddef.h>

#define FLAGSPEC_MAX 256
#define FLAGSPEC_NAME_MAX 64

enum flag_type { FLAG_STRING, FLAG_INT, FLAG_BOOL, FLAG_LIST };

struct flagspec {
	const char *name;
	enum flag_type type;
	const char *env; /* NULL: none */
	const char *usage;
	const char *def_str;         /* STRING; NULL is "" */
	long long def_int;           /* INT */
	const char *const *def_list; /* LIST; NULL-terminated or NULL */
	bool secret;
	bool required;
};

struct flagspecs { /* a parsed list; owns every string */
	struct flagspec *items;
	size_t n;
};

/* The array for `initialize`. */
struct json *flagspec_to_json(const struct flagspec *specs, size_t n);
/* Checks G1–G4; errors name the flag and what is wrong (ERR_PROTOCOL). NULL or absent: no flags. */
int flagspec_from_json(const struct json *array, struct flagspecs *ret, struct err *err);
void flagspecs_finish(struct flagspecs *s);

const struct flagspec *flagspec_find(const struct flagspec *specs, size_t n, const char *name);
const char *flag_type_name(enum flag_type type);
/* The default as a JSON value of the flag's type. */
struct json *flagspec_default(const struct flagspec *spec);
/* Does the value have the flag's type? */
bool flagspec_accepts(const struct flagspec *spec, const struct json *value);
/* [A-Za-z_][A-Za-z0-9_]* and not LD_… */
bool env_name_valid(const char *name);
