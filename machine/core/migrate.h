/* Older versions of config.json, and stores that were moved. In memory only. */
#pragma once

#include "json.h"
#include "store.h"

/* Replaces *doc (of version 0, 1 or 2) by its version 3. Unknown members of HostOptions are kept.
 */
void migrate_config(const struct store *s, const char *name, struct json **doc, int version);
/* When the recorded store does not exist (any more), paths below it are rewritten to this store. */
void relocate_config(const struct store *s, struct json *doc);
