/* XML answers of a provider: what is taken is a tree within the limits of JSON. */
#include "md-xml.h"

#include "mem.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_json_ struct json *j = NULL;
	_cleanup_free_ char *root = NULL;
	_cleanup_err_ struct err err = ERR_INIT;

	if (md_xml_parse((const char *)data, size, &j, &root, &err) < 0) {
		if (j || root || err.code != ERR_PROTOCOL)
			abort();
		return 0;
	}
	if (!j || !root || json_depth(j) > JSON_MAX_DEPTH)
		abort();
	md_xml_text(j, "Errors/Error/Code");
	return 0;
}
