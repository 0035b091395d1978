/* --json: one list of objects, one for each machine. JSON.md has the members. */
#pragma once

#include "cli.h"

#define FLAG_JSON FLAG_B("json", NULL, NULL, "Output as JSON: a list of objects")

/* An answer about one machine; malloc'ed. */
typedef int (*query_fn)(struct co *co, struct host *h, char **ret, struct err *err);

/* Asks the machines that the arguments name, all at once, and prints the answers as member `key`.
 * Fails, after that, where a machine has none. */
int query_json(struct co *co, struct cli *cli, const char *key, query_fn fn, struct err *err);
/* The same with the stored records. */
int inspect_json(struct cli *cli, struct err *err);

/* A machine's object: name, the answer (NULL: null) as `key`, the error (not set: null). */
struct json *json_entry(
	const char *name, const char *key, struct json *take_value, const struct err *e);
/* NULL and "" are null. */
struct json *json_text(const char *s);
void json_print(const struct json *list);
