/* Part of machine-driver.h: YAML files, read as JSON trees. */
#pragma once

#include "err.h"
#include "json.h"

#include <stddef.h>

#define MD_YAML_MAX (1u << 20) /* bytes of a text */

/*
 * The first document of a text. Plain scalars are null, booleans and numbers where JSON writes them
 * the same way (true, -1.5; a number keeps its digits); all others, and what is quoted, are
 * strings: "yes" and "0123" are text. Keys are scalars. Anchors and aliases are followed, "<<"
 * merges mappings; what they make of a text is limited. No text at all is null.
 *
 * More than MD_YAML_MAX bytes, JSON_MAX_DEPTH levels or 20,000 values or 4 MiB of texts: ERR_USER,
 * as for what is no YAML. Errors tell the line, never the content.
 */
int md_yaml_parse(const char *text, size_t len, struct json **ret, struct err *err);
/* The text of a scalar: a string, or a number's digits; "" for all else. */
const char *md_yaml_text(const struct json *j);
/* Also of texts that YAML once took for one: yes, no, on, off. */
bool md_yaml_bool(const struct json *j, bool fallback);
