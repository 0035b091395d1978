#include "qemu.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define CONSOLE_ID "serial0"    /* what QEMU calls that of the first -serial */
#define MEMORY_SIZE (128 << 10) /* a power of two; in JSON at most six times as much */
#define QMP_MS 3000

static int swap_backend(struct qmp *q, struct err *err)
{
	struct json *data = json_object(), *backend = json_object(), *arguments = json_object();

	json_set(data, "size", json_int(MEMORY_SIZE));
	json_set_str(backend, "type", "ringbuf");
	json_set(backend, "data", data);
	json_set_str(arguments, "id", CONSOLE_ID);
	json_set(arguments, "backend", backend);
	return qmp_command(q, "chardev-change", arguments, NULL, err);
}

void console_to_memory(const struct md_machine *m)
{
	_cleanup_err_ struct err err = ERR_INIT;
	_cleanup_qmp_ struct qmp *q = NULL;

	if (vm_qmp(m, QMP_MS, &q, &err) < 0 || swap_backend(q, &err) < 0)
		log_debug("the console of %s stays a file: %s", m->name, err_msg(&err));
}

void console_save(const struct md_machine *m, struct qmp *q)
{
	_cleanup_free_ char *path = md_file(m, CONSOLE_FILE);
	_cleanup_err_ struct err ignored = ERR_INIT;
	_cleanup_json_ struct json *said = NULL;
	struct json *arguments = json_object();
	_cleanup_close_ int fd = -1;
	const char *text;

	json_set_str(arguments, "device", CONSOLE_ID);
	json_set(arguments, "size", json_int(MEMORY_SIZE));
	/* while it is a file, QEMU refuses */
	if (qmp_command(q, "ringbuf-read", arguments, &said, &ignored) < 0)
		return;
	text = json_str(said, "");
	fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd >= 0 && write(fd, text, strlen(text)) < 0)
		log_debug("write %s: %m", path);
}
