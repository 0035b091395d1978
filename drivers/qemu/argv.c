#include "argv.h"

#include "buf.h"
#include "mem.h"

#include <stdlib.h>
#include <string.h>

#define GUEST_SSH 22
#define GUEST_ENGINE 2376
#define SANDBOX "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"

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

static char *in_dir(const char *dir, const char *name)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", dir, name);

	return qemu_escape(path);
}

static bool is_virtiofs(const struct json *share)
{
	return streq(json_str(json_get(share, "Type"), ""), "virtiofs");
}

static bool has_virtiofs(const struct qemu_vm *vm)
{
	for (size_t i = 0; json_at(vm->shares, i); i++)
		if (is_virtiofs(json_at(vm->shares, i)))
			return true;
	return false;
}

static void add_identity(const struct qemu_vm *vm, struct strv *v)
{
	_cleanup_free_ char *name = qemu_escape(vm->name);

	add(v, "-name", xasprintf("guest=%s", name));
	add(v, "-uuid", xstrdup(vm->uuid));
}

static void add_machine(const struct qemu_vm *vm, struct strv *v)
{
	strv_add(v, "-nodefaults");
	strv_add(v, "-no-user-config");
	add(v, "-machine",
		xasprintf("%s%s", vm->machine, has_virtiofs(vm) ? ",memory-backend=mem" : ""));
	add(v, "-accel", xstrdup(vm->kvm ? "kvm" : "tcg,thread=multi"));
	add(v, "-cpu", xstrdup(vm->cpu));
	add(v, "-smp", xasprintf("%lld", (long long)vm->cpus));
	add(v, "-m", xasprintf("%lld", (long long)vm->memory));
}

static void add_uefi(const struct qemu_vm *vm, struct strv *v)
{
	_cleanup_free_ char *code = qemu_escape(vm->uefi), *variables = in_dir(vm->dir, UEFI_FILE);

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
	_cleanup_free_ char *disk = in_dir(vm->dir, "disk.qcow2"),
			    *seed = in_dir(vm->dir, "seed.iso");
	bool usual = !given(vm->cache) || streq(vm->cache, "default");

	add(v, "-drive",
		xasprintf("if=none,id=root,file=%s,format=qcow2,discard=unmap,cache=%s,aio=%s",
			disk, usual ? "writeback" : vm->cache, given(vm->io) ? vm->io : "threads"));
	/* a kernel that is given is the first thing to boot, by that very index */
	add(v, "-device",
		xasprintf("virtio-blk-pci,drive=root%s", given(vm->kernel) ? "" : ",bootindex=0"));
	add(v, "-drive", xasprintf("if=none,id=seed,file=%s,format=raw,readonly=on", seed));
	add(v, "-device", xstrdup("virtio-blk-pci,drive=seed"));
}

char *qemu_hostfwd(const char *bind, int host, int guest)
{
	return xasprintf("tcp:%s:%d-:%d", bind, host, guest);
}

static char *user_netdev(const struct qemu_vm *vm)
{
	_cleanup_free_ char *ssh = qemu_hostfwd(vm->bind, vm->ssh_port, GUEST_SSH);
	_cleanup_free_ char *engine = qemu_hostfwd(vm->bind, vm->engine_port, GUEST_ENGINE);
	_cleanup_free_ char *name = qemu_escape(vm->name);
	struct buf b = BUF_INIT;

	buf_addf(&b, "user,id=n0,hostname=%s,hostfwd=%s,hostfwd=%s", name, ssh, engine);
	for (size_t i = 0; json_at(vm->forwards, i); i++)
		buf_addf(&b, ",hostfwd=%s", json_str(json_at(vm->forwards, i), ""));
	return buf_steal(&b);
}

/* romfile: a card from which nothing boots needs no file that may be missing. */
static void add_network(const struct qemu_vm *vm, struct strv *v)
{
	_cleanup_free_ char *bridge = qemu_escape(vm->bridge ? vm->bridge : "");
	_cleanup_free_ char *interface = qemu_escape(vm->interface ? vm->interface : "");

	if (streq(vm->network, "bridge"))
		add(v, "-netdev", xasprintf("bridge,id=n0,br=%s", bridge));
	else if (streq(vm->network, "tap"))
		add(v, "-netdev",
			xasprintf("tap,id=n0,ifname=%s,script=no,downscript=no", interface));
	else
		add(v, "-netdev", user_netdev(vm));
	add(v, "-device", xasprintf("virtio-net-pci,netdev=n0,mac=%s,romfile=", vm->mac));
}

static void add_share(const struct qemu_vm *vm, size_t i, struct strv *v)
{
	const struct json *share = json_at(vm->shares, i);
	const char *tag = json_str(json_get(share, "Tag"), "");
	_cleanup_free_ char *path = qemu_escape(json_str(json_get(share, "Host"), ""));
	_cleanup_free_ char *name = xasprintf("virtiofsd-%zu.sock", i);
	_cleanup_free_ char *socket = in_dir(vm->sockets, name);
	bool read_only = json_bool_or(json_get(share, "ReadOnly"), false);

	if (is_virtiofs(share)) {
		add(v, "-chardev", xasprintf("socket,id=fs%zu,path=%s", i, socket));
		add(v, "-device", xasprintf("vhost-user-fs-pci,chardev=fs%zu,tag=%s", i, tag));
		return;
	}
	/* mapped-xattr would make files of the machine's symbolic links */
	add(v, "-virtfs",
		xasprintf("local,path=%s,mount_tag=%s,security_model=none,multidevs=remap%s", path,
			tag, read_only ? ",readonly=on" : ""));
}

static void add_shares(const struct qemu_vm *vm, struct strv *v)
{
	if (has_virtiofs(vm))
		add(v, "-object",
			xasprintf("memory-backend-memfd,id=mem,size=%lldM,share=on",
				(long long)vm->memory));
	for (size_t i = 0; json_at(vm->shares, i); i++)
		add_share(vm, i, v);
}

static void add_misc(const struct qemu_vm *vm, struct strv *v)
{
	add(v, "-device", xstrdup("virtio-rng-pci"));
	add(v, "-rtc", xstrdup("base=utc"));
	add(v, "-display", xstrdup(given(vm->display) ? vm->display : "none"));
	if (given(vm->display))
		add(v, "-vga", xstrdup("std"));
	/* the one path that QEMU takes as it is, commas and all */
	add(v, "-serial", xasprintf("file:%s/console.log", vm->dir));
	add(v, "-msg", xstrdup("timestamp=on"));
}

/*
 * No -daemonize: QEMU would fork after it gave up that right (spawn=deny), and be killed for it. We
 * start it apart from us instead, and wait for its monitor. No -D: what QEMU says goes to the log
 * anyway, and a path with a % in it would be a template to -D.
 *
 * On a bridge there is no sandbox, as QEMU starts a program with the right to attach to it.
 */
static void add_control(const struct qemu_vm *vm, struct strv *v)
{
	_cleanup_free_ char *monitor = in_dir(vm->sockets, "monitor");

	add(v, "-qmp", xasprintf("unix:%s,server=on,wait=off", monitor));
	add(v, "-pidfile", xasprintf("%s/qemu.pid", vm->dir));
	if (!streq(vm->network, "bridge"))
		add(v, "-sandbox", xstrdup(SANDBOX));
}

/* The order is fixed, so that a stand-in for QEMU can compare. */
void qemu_argv(const struct qemu_vm *vm, struct strv *ret)
{
	static void (*const parts[])(const struct qemu_vm *vm, struct strv *v) = {add_identity,
		add_machine, add_boot, add_disks, add_network, add_shares, add_misc, add_control};

	strv_add(ret, vm->program);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		parts[i](vm, ret);
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
