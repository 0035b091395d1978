/* Part of machine-driver.h: XML answers, read as JSON trees. */
#pragma once

#include "err.h"
#include "json.h"

#include <stddef.h>

/*
 * The root's content as a tree: an element with elements in it is an object of them, by their names
 * without prefix; one with text only is a string; an empty one is "". Elements of one name that
 * stand more than once in a parent are a list in its member, and a parent with nothing in it but
 * `item` or `member` elements is itself a list, also of one. Attributes are left out. ret_root: the
 * root's name, malloc'ed; may be NULL.
 *
 * A document type, an entity of its own, or more than JSON_MAX_DEPTH levels: ERR_PROTOCOL, as for
 * what is no XML. Nothing is ever fetched.
 */
int md_xml_parse(const char *text, size_t len, struct json **ret, char **ret_root, struct err *err);
/* Follows names separated by "/"; NULL: it is not there. */
struct json *md_xml_get(const struct json *j, const char *path);
const char *md_xml_text(const struct json *j, const char *path); /* "" where there is none */
