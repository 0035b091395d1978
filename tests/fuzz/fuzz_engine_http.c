/* What answers on the engine's port: HTTP and JSON, whole and byte by byte. */
#include "engine_priv.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define PREFIXES 64u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	char *version = NULL, *text = malloc(size + 1);

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0'; /* as a buffer has it */
	int rc = engine_parse_version(text, size, &version, &err);
	/* set exactly when it says so, and fit to be printed */
	if ((rc == 0) != (version != NULL) || (rc == 0) != (err.code == ERR_NONE))
		abort();
	for (const char *s = version; s && *s; s++)
		if (*s <= ' ' || *s >= 0x7f)
			abort();
	/* what is complete stays so, whatever follows */
	bool complete = false;
	for (size_t n = 0; n <= size; n += 1 + size / PREFIXES) {
		bool now = engine_answer_complete(text, n);
		if (complete && !now)
			abort();
		complete = now;
	}
	free(engine_safe_text(text, size));
	free(version);
	free(text);
	err_finish(&err);
	return 0;
}
