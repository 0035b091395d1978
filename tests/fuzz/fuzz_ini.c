/* The files of ~/.aws: what is found has no blanks around it and no line ends in it. */
#include "credentials.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const sections[] = {"default", "profile web", ""};
	_cleanup_free_ char *text = xstrndup((const char *)data, size);

	for (size_t i = 0; i < ARRAY_SIZE(sections); i++) {
		_cleanup_free_ char *value = ini_get(text, sections[i], "aws_access_key_id");
		size_t len = value ? strlen(value) : 0;

		if (len && (isspace((unsigned char)value[0]) ||
				   isspace((unsigned char)value[len - 1]) || strchr(value, '\n')))
			abort();
	}
	return 0;
}
