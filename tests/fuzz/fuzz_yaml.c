/* YAML files: what is taken is a tree within the limits of JSON. */
#include "md-yaml.h"

#include "mem.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_json_ struct json *j = NULL, *again = NULL;
	_cleanup_err_ struct err err = ERR_INIT;

	if (md_yaml_parse((const char *)data, size, &j, &err) < 0) {
		if (j || err.code != ERR_USER)
			abort();
		return 0;
	}
	if (!j || json_depth(j) > JSON_MAX_DEPTH)
		abort();
	_cleanup_free_ char *text = json_to_string(j, JSON_COMPACT);
	_cleanup_err_ struct err too_long = ERR_INIT;
	/* longer than a text of JSON may be, by aliases; else it reads the same again */
	if (json_parse(text, strlen(text), &again, &too_long) < 0 && strlen(text) <= JSON_MAX_BYTES)
		abort();
	if (again && !json_equal(j, again))
		abort();
	md_yaml_text(j);
	md_yaml_bool(json_get(j, "verify"), true);
	return 0;
}
