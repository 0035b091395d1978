#include "argv.h"

#include "buf.h"
#include "mem.h"

#include <stdlib.h>
#include <string.h>

#define GUEST_SSH 22
#define GUEST_ENGINE 2376
#define SANDBOX "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"
/* QEMU starts a program with the right to attach to a bridge. */
#define SANDBOX_BRIDGE "on,obsolete=deny,resourcecontrol=deny"

static bool given(const char *s)
{
	return s && *s;
}

char *qemu_escape(const char *s)
{
	struct buf b = BUF_INIT;

	for (; *s; s++) {
		buf_addc(&b, *s);
		if (*s == ',')
			buf_addc(&b, ',');
	}
	return buf_steal(&b);
}

static void add(struct strv *v, const char *option, char *take_value)
{
	strv_add(v, option);
	strv_add_take(v, take_value);
}

static char *in_dir(const struct qemu_vm *vm, const char *name)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", vm->dir, name);

	return qemu_escape(path);
}

static void add_processor(const struct qemu_vm *vm, struct strv *v)
{
	/* 57-bit addresses cost an emulated processor a level of every page table walk */
	const char *cpu = given(vm->cpu)             ? vm->cpu
			  : !vm->kvm                 ? "max,la57=off"
			  : vm->no_arch_capabilities ? "host,arch-capabilities=off"
						     : "host";

	add(v, "-machine",
		xasprintf("%s,accel=%s%s", given(vm->machine) ? vm->machine : "q35",
			vm->kvm ? "kvm" : "tcg", vm->virtiofs ? ",memory-backend=memory" : ""));
	add(v, "-cpu", xstrdup(cpu));
	add(v, "-smp", xasprintf("%lld", (long long)vm->cpus));
	add(v, "-m", xasprintf("%lld", (long long)vm->memory));
	if (vm->virtiofs)
		add(v, "-object",
			xasprintf("memory-backend-memfd,id=memory,size=%lldM,share=on",
				(long long)vm->memory));
}

static void add_uefi(const struct qemu_vm *vm, struct strv *v)
{
	_cleanup_free_ char *code = qemu_escape(vm->uefi), *variables = in_dir(vm, UEFI_FILE);

	add(v, "-drive", xasprintf("if=pflash,format=raw,readonly=on,file=%s", code));
	add(v, "-drive", xasprintf("if=pflash,format=raw,file=%s", variables));
}

static void add_boot(const struct qemu_vm *vm, struct strv *v)
{
	if (given(vm->uefi))
		add_uefi(vm, v);
	if (given(vm->firmware))
		add(v, "-bios", xstrdup(vm->firmware));
	if (!given(vm->kernel))
		return;
	add(v, "-kernel", xstrdup(vm->kernel));
	if (given(vm->initrd))
		add(v, "-initrd", xstrdup(vm->initrd));
	add(v, "-append", xstrdup(vm->cmdline ? vm->cmdline : ""));
}

static void add_disks(const struct qemu_vm *vm, struct strv *v)
{
	_cleanup_free_ char *disk = in_dir(vm, "disk.qcow2"), *seed = in_dir(vm, "seed.iso");
	bool cache = given(vm->cache) && !streq(vm->cache, "default");

	add(v, "-drive",
		xasprintf("file=%s,if=virtio,format=qcow2,discard=unmap,aio=%s%s%s", disk,
			given(vm->io) ? vm->io : "threads", cache ? ",cache=" : "",
			cache ? vm->cache : ""));
	add(v, "-drive", xasprintf("file=%s,if=virtio,format=raw,readonly=on", seed));
}

char *qemu_hostfwd(const char *bind, int host, int guest)
{
	return xasprintf("tcp:%s:%d-:%d", bind, host, guest);
}

static char *user_netdev(const struct qemu_vm *vm)
{
	_cleanup_free_ char *ssh = qemu_hostfwd(vm->bind, vm->ssh_port, GUEST_SSH);
	_cleanup_free_ char *engine = qemu_hostfwd(vm->bind, vm->engine_port, GUEST_ENGINE);
	struct buf b = BUF_INIT;

	buf_addf(&b, "user,id=net,hostfwd=%s,hostfwd=%s", ssh, engine);
	for (size_t i = 0; json_at(vm->forwards, i); i++)
		buf_addf(&b, ",hostfwd=%s", json_str(json_at(vm->forwards, i), ""));
	return buf_steal(&b);
}

static void add_network(const struct qemu_vm *vm, struct strv *v)
{
	_cleanup_free_ char *bridge = qemu_escape(vm->bridge ? vm->bridge : "");
	_cleanup_free_ char *interface = qemu_escape(vm->interface ? vm->interface : "");

	if (streq(vm->network, "bridge"))
		add(v, "-netdev", xasprintf("bridge,id=net,br=%s", bridge));
	else if (streq(vm->network, "tap"))
		add(v, "-netdev",
			xasprintf("tap,id=net,ifname=%s,script=no,downscript=no", interface));
	else
		add(v, "-netdev", user_netdev(vm));
	add(v, "-device", xasprintf("virtio-net-pci,netdev=net,mac=%s,romfile=", vm->mac));
}

static void add_share(const struct qemu_vm *vm, size_t i, struct strv *v)
{
	const struct json *share = json_at(vm->shares, i);
	_cleanup_free_ char *path = qemu_escape(json_str(json_get(share, "HostPath"), ""));
	_cleanup_free_ char *name = xasprintf("virtiofs-%zu.sock", i);
	_cleanup_free_ char *socket = in_dir(vm, name);
	bool read_only = json_bool_or(json_get(share, "ReadOnly"), false);

	if (vm->virtiofs) {
		add(v, "-chardev", xasprintf("socket,id=share%zu,path=%s", i, socket));
		add(v, "-device",
			xasprintf("vhost-user-fs-pci,chardev=share%zu,tag=share%zu", i, i));
		return;
	}
	add(v, "-fsdev",
		xasprintf("local,id=share%zu,path=%s,security_model=none,multidevs=remap%s", i,
			path, read_only ? ",readonly=on" : ""));
	add(v, "-device", xasprintf("virtio-9p-pci,fsdev=share%zu,mount_tag=share%zu", i, i));
}

static void add_devices(const struct qemu_vm *vm, struct strv *v)
{
	_cleanup_free_ char *console = in_dir(vm, "console.log"), *qmp = in_dir(vm, "qmp.sock");

	add(v, "-object", xstrdup("rng-random,id=rng,filename=/dev/urandom"));
	add(v, "-device", xstrdup("virtio-rng-pci,rng=rng"));
	add(v, "-chardev", xasprintf("file,id=console,path=%s", console));
	add(v, "-serial", xstrdup("chardev:console"));
	add(v, "-chardev", xasprintf("socket,id=qmp,path=%s,server=on,wait=off", qmp));
	add(v, "-mon", xstrdup("chardev=qmp,mode=control"));
	if (!given(vm->display)) {
		add(v, "-display", xstrdup("none"));
		return;
	}
	add(v, "-display", xstrdup(vm->display));
	add(v, "-vga", xstrdup("std"));
}

void qemu_argv(const struct qemu_vm *vm, struct strv *ret)
{
	_cleanup_free_ char *name = qemu_escape(vm->name);

	strv_add(ret, vm->program);
	strv_add(ret, "-nodefaults");
	strv_add(ret, "-no-user-config");
	add(ret, "-name", xstrdup(name));
	add(ret, "-uuid", xstrdup(vm->uuid));
	add(ret, "-pidfile", xasprintf("%s/qemu.pid", vm->dir));
	add(ret, "-sandbox", xstrdup(streq(vm->network, "bridge") ? SANDBOX_BRIDGE : SANDBOX));
	add_processor(vm, ret);
	add_boot(vm, ret);
	add_disks(vm, ret);
	add_network(vm, ret);
	for (size_t i = 0; json_at(vm->shares, i); i++)
		add_share(vm, i, ret);
	add_devices(vm, ret);
	for (size_t i = 0; json_at(vm->extra, i); i++)
		strv_add(ret, json_str(json_at(vm->extra, i), ""));
}

/* Words like "TCP[HOST_FORWARD] 14 127.0.0.1 33963 10.0.2.15 22 0 0". */
static int forwarded_port(const struct strv *words, int guest)
{
	static const size_t host_at = 3, guest_at = 5;

	if (words->n <= guest_at || !streq(words->items[0], "TCP[HOST_FORWARD]") ||
		strtol(words->items[guest_at], NULL, 10) != guest)
		return 0;
	long port = strtol(words->items[host_at], NULL, 10);
	return port > 0 && port <= UINT16_MAX ? (int)port : 0;
}

int qemu_usernet_port(const char *text, int guest)
{
	_cleanup_strv_ struct strv lines = STRV_INIT;

	strv_split(&lines, text, '\n');
	strv_foreach (line, &lines) {
		_cleanup_strv_ struct strv words = STRV_INIT;
		int port;

		strv_split(&words, line, ' ');
		port = forwarded_port(&words, guest);
		if (port)
			return port;
	}
	return 0;
}
