/*
 * Virtual machines on this computer: QEMU, with KVM where it works. A machine is a process, known
 * by its UUID, which is in its arguments; a disk, which is a layer on an image of the cache; and a
 * seed that tells the system its keys at its first boot.
 */
#include "qemu.h"

/* A display needs them; sockets may be in XDG_RUNTIME_DIR. */
static const char *const environment[] = {
	"DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "XDG_RUNTIME_DIR", "QEMU_IMG", NULL};

static const struct md_driver qemu_driver = {
	.name = "qemu",
	.description = "Virtual machines on this computer, by QEMU",
	.flags = qemu_flags,
	.n_flags = N_QEMU_FLAGS,
	.environment = environment,
	.machines_at_once = MD_AS_PROCESSORS,
	.configure = qemu_configure,
	.pre_create_check = qemu_pre_create_check,
	.create = qemu_create,
	.start = qemu_start,
	.stop = qemu_stop,
	.kill = qemu_kill,
	.restart = qemu_restart,
	.remove = qemu_remove,
	.state = qemu_state,
};

MACHINE_DRIVER(qemu_driver)
