/*
 * Command-line flags as Go's flag package reads them, with the original's way of moving
 * positionals: section by section in flags.c. A flag is a flagspec (also drivers declare theirs so)
 * plus an optional short name.
 */
#pragma once

#include "err.h"
#include "flagspec.h"
#include "json.h"
#include "strv.h"

struct cli_flag {
	struct flagspec spec;
	const char *alias; /* second name ("d"), or NULL */
};

struct parsed {
	const struct cli_flag *flags; /* borrowed */
	size_t n;
	struct json **values; /* per flag; never NULL after flags_parse: command line, else
				 environment, else default */
	bool *given;          /* on the command line */
	bool *from_env;
	struct strv args; /* positionals */
	bool help;        /* -h or --help was among the flags */
};

/* ERR_USER with the texts of Go's flag package. */
int flags_parse(const struct cli_flag *flags, size_t n, const struct strv *args, bool reorder,
	struct parsed *ret, struct err *err);
void parsed_finish(struct parsed *p);

/* Does the command know that flag? */
bool parsed_has(const struct parsed *p, const char *name);
const char *parsed_str(const struct parsed *p, const char *name);
bool parsed_bool(const struct parsed *p, const char *name);
int64_t parsed_int(const struct parsed *p, const char *name);
const struct json *parsed_value(const struct parsed *p, const char *name);
bool parsed_given(const struct parsed *p, const char *name); /* command line or environment */

/* Go's ParseBool: 1 t T TRUE true True, 0 f F FALSE false False. */
bool go_parse_bool(const char *s, bool *ret);
/* Decimal, 0x, 0o, 0b and leading-0 octal, with sign. */
bool go_parse_int(const char *s, int64_t *ret);
