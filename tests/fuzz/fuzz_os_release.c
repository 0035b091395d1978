/* What a host says about itself: os-release, and the report that carries it. */
#include "detect.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	struct provision_host h;
	struct os_release os;
	struct facts f;

	os_release_parse((const char *)data, size, &os);
	os_release_finish(&os);
	if (facts_parse((const char *)data, size, &f, &err) == 0) {
		if (provision_host_from_facts(&f, &h, &err) == 0)
			provision_host_finish(&h);
		facts_finish(&f);
	}
	err_finish(&err);
	return 0;
}
