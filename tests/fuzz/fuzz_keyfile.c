/* SSH private key files, as the driver looks at them and as the program does. */
#include "keyfile.h"
#include "mem.h"
#include "sshkey.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = xstrndup((const char *)data, size);
	struct sshkey_info info = {0};
	const char *problem = keyfile_problem(text, size);

	if (problem && strncmp(problem, "is ", 3) != 0)
		abort();
	if (!problem && !strstr(text, " PRIVATE KEY-----"))
		abort();
	if (sshkey_inspect_text(text, &info) && info.type > SSHKEY_DSA)
		abort();
	hostkey_problem(text);
	return 0;
}
