/* Older versions of config.json, and stores that were moved. In memory only. */
#pragma once

#include "json.h"
#include "store.h"

/* The version 3 of a document of version 0, 1 or 2, whose Driver is an object. Members that no
 * version knew are kept. */
struct json *migrate_config(
	const struct json *old, int64_t version, const struct store *s, const char *name);

/* The STORE that the document was written for, by its own account; NULL if it does not tell. Of
 * any version; malloc'ed. */
char *recorded_store(const struct json *doc, const char *name);
/* When `recorded` does not exist (any more), paths below it become paths below this store. Also
 * repairs what Docker Machine's own migration wrote instead of the store. */
void relocate_config(
	struct json *doc, const char *recorded, const struct store *s, const char *name);
