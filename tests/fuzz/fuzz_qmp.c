/* Lines of QEMU's monitor, and what its monitor for people prints. */
#include "argv.h"
#include "mem.h"
#include "qmp.h"

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_err_ struct err err = ERR_INIT;
	_cleanup_free_ char *text = xstrndup((const char *)data, size);
	struct qmp_message m;
	int port = qemu_usernet_port(text, 22);

	(void)port;
	if (qmp_parse((const char *)data, size, &m, &err) == 0) {
		if ((m.kind == QMP_EVENT || m.kind == QMP_ERROR) && !m.text)
			__builtin_trap();
		qmp_message_finish(&m);
	}
	return 0;
}
