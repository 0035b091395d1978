/* The command line of QEMU, and what it says of its ports. */
#include "argv.h"

#include "mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct qemu_vm plain = {
	.program = "qemu-system-x86_64",
	.name = "w1",
	.uuid = "U",
	.dir = "/m",
	.sockets = "/s",
	.machine = "q35",
	.cpu = "max",
	.memory = 2048,
	.cpus = 2,
	.kernel = "/i/vmlinuz",
	.initrd = "/i/initrd.img",
	.cmdline = "root=LABEL=root ro",
	.network = "user",
	.mac = "52:54:00:01:02:03",
	.bind = "127.0.0.1",
};

static void expect(const struct qemu_vm *vm, const char *golden)
{
	_cleanup_strv_ struct strv argv = STRV_INIT;
	_cleanup_free_ char *text = NULL;

	qemu_argv(vm, &argv);
	text = strv_join(&argv, "\n");
	assert_string_equal(text, golden);
}

static void expect_has(const struct qemu_vm *vm, const char *option, const char *value)
{
	_cleanup_strv_ struct strv argv = STRV_INIT;
	bool found = false;

	qemu_argv(vm, &argv);
	for (size_t i = 0; i + 1 < argv.n; i++)
		found |= streq(argv.items[i], option) && streq(argv.items[i + 1], value);
	if (!found)
		fail_msg("no %s %s", option, value);
}

static bool has(const struct qemu_vm *vm, const char *option)
{
	_cleanup_strv_ struct strv argv = STRV_INIT;

	qemu_argv(vm, &argv);
	strv_foreach (arg, &argv)
		if (streq(arg, option))
			return true;
	return false;
}

static void test_emulated(void **state)
{
	expect(&plain,
		"qemu-system-x86_64\n-name\nguest=w1\n-uuid\nU\n-nodefaults\n-no-user-config\n"
		"-machine\nq35\n-accel\ntcg,thread=multi\n-cpu\nmax\n-smp\n2\n-m\n2048\n"
		"-kernel\n/i/vmlinuz\n-initrd\n/i/initrd.img\n-append\nroot=LABEL=root ro\n"
		"-drive\nif=none,id=root,file=/m/disk.qcow2,format=qcow2,discard=unmap,"
		"cache=writeback,aio=threads\n-device\nvirtio-blk-pci,drive=root\n"
		"-drive\nif=none,id=seed,file=/m/seed.iso,format=raw,readonly=on\n"
		"-device\nvirtio-blk-pci,drive=seed\n"
		"-netdev\nuser,id=n0,hostname=w1,hostfwd=tcp:127.0.0.1:0-:22,"
		"hostfwd=tcp:127.0.0.1:0-:2376\n"
		"-device\nvirtio-net-pci,netdev=n0,mac=52:54:00:01:02:03,romfile=\n"
		"-device\nvirtio-rng-pci\n-rtc\nbase=utc\n-display\nnone\n"
		"-serial\nfile:/m/console.log\n-msg\ntimestamp=on\n"
		"-qmp\nunix:/s/monitor,server=on,wait=off\n-pidfile\n/m/qemu.pid\n-sandbox\n"
		"on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
}

static void test_kvm(void **state)
{
	struct qemu_vm vm = plain;

	vm.kvm = true;
	vm.cpu = "host,-arch-capabilities";
	expect_has(&vm, "-accel", "kvm");
	expect_has(&vm, "-cpu", "host,-arch-capabilities");
}

/* Commas are written twice within an option, and stay as they are elsewhere. */
static void test_disk_only(void **state)
{
	struct qemu_vm vm = plain;

	vm.kernel = NULL;
	vm.dir = "/a,b";
	vm.sockets = "/c,d";
	vm.firmware = "/o,vmf";
	vm.cache = "none";
	vm.io = "native";
	expect_has(&vm, "-bios", "/o,vmf");
	expect_has(&vm, "-drive",
		"if=none,id=root,file=/a,,b/disk.qcow2,format=qcow2,discard=unmap,cache=none,"
		"aio=native");
	expect_has(&vm, "-drive", "if=none,id=seed,file=/a,,b/seed.iso,format=raw,readonly=on");
	expect_has(&vm, "-pidfile", "/a,b/qemu.pid");
	expect_has(&vm, "-serial", "file:/a,b/console.log");
	expect_has(&vm, "-qmp", "unix:/c,,d/monitor,server=on,wait=off");
	expect_has(&vm, "-device", "virtio-blk-pci,drive=root,bootindex=0");
	assert_false(has(&vm, "-append"));
	vm.firmware = "";
	vm.uefi = "/o,vmf";
	expect_has(&vm, "-drive", "if=pflash,format=raw,readonly=on,file=/o,,vmf");
	expect_has(&vm, "-drive", "if=pflash,format=raw,file=/a,,b/uefi-variables.fd");
}

static void test_chosen(void **state)
{
	_cleanup_json_ struct json *extra = json_array();
	struct qemu_vm vm = plain;

	json_add(extra, json_string("-device"));
	json_add(extra, json_string("x,y"));
	vm.extra = extra;
	vm.machine = "pc";
	vm.display = "gtk";
	expect_has(&vm, "-machine", "pc");
	expect_has(&vm, "-display", "gtk");
	expect_has(&vm, "-vga", "std");
	expect_has(&vm, "-device", "x,y");
}

static void test_networks(void **state)
{
	_cleanup_json_ struct json *forwards = json_array();
	struct qemu_vm vm = plain;

	json_add(forwards, json_string("tcp:127.0.0.1:8080-:80"));
	json_add(forwards, json_string("udp:0.0.0.0:53-:53"));
	vm.forwards = forwards;
	vm.ssh_port = 40022;
	vm.engine_port = 42376;
	vm.bind = "0.0.0.0";
	expect_has(&vm, "-netdev",
		"user,id=n0,hostname=w1,hostfwd=tcp:0.0.0.0:40022-:22,"
		"hostfwd=tcp:0.0.0.0:42376-:2376,"
		"hostfwd=tcp:127.0.0.1:8080-:80,hostfwd=udp:0.0.0.0:53-:53");
	vm.network = "tap";
	vm.interface = "tap7";
	expect_has(&vm, "-netdev", "tap,id=n0,ifname=tap7,script=no,downscript=no");
	assert_true(has(&vm, "-sandbox"));
	vm.network = "bridge";
	vm.bridge = "br0";
	expect_has(&vm, "-netdev", "bridge,id=n0,br=br0");
	assert_false(has(&vm, "-sandbox"));
}

static struct json *share(const char *host, const char *tag, const char *type, bool read_only)
{
	struct json *j = json_object();

	json_set_str(j, "Host", host);
	json_set_str(j, "Guest", "/mnt");
	json_set_str(j, "Tag", tag);
	json_set(j, "ReadOnly", json_bool(read_only));
	json_set_str(j, "Type", type);
	return j;
}

static void test_shares(void **state)
{
	_cleanup_json_ struct json *shares = json_array();
	struct qemu_vm vm = plain;

	json_add(shares, share("/a,b", "share0", "9p", true));
	json_add(shares, share("/c", "share1", "9p", false));
	vm.shares = shares;
	expect_has(&vm, "-virtfs",
		"local,path=/a,,b,mount_tag=share0,security_model=none,multidevs=remap,readonly="
		"on");
	expect_has(&vm, "-virtfs",
		"local,path=/c,mount_tag=share1,security_model=none,multidevs=remap");
	assert_false(has(&vm, "-object"));
	json_add(shares, share("/d", "share2", "virtiofs", false));
	expect_has(&vm, "-machine", "q35,memory-backend=mem");
	expect_has(&vm, "-object", "memory-backend-memfd,id=mem,size=2048M,share=on");
	expect_has(&vm, "-chardev", "socket,id=fs2,path=/s/virtiofsd-2.sock");
	expect_has(&vm, "-device", "vhost-user-fs-pci,chardev=fs2,tag=share2");
}

static void test_usernet(void **state)
{
	static const char text[] =
		"Hub -1 (net):\r\n"
		"  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ "
		"SendQ\r\n"
		"  TCP[ESTABLISHED]   20       10.0.2.15 22 127.0.0.1  5000     0     0\r\n"
		"  TCP[HOST_FORWARD]  14       127.0.0.1 33963       10.0.2.15    22     0     "
		"0\r\n"
		"  TCP[HOST_FORWARD]  12               * 33183       10.0.2.15  2376     0     "
		"0\r\n"
		"  UDP[HOST_FORWARD]  11               * 99       10.0.2.15  80     0     0\r\n";

	assert_int_equal(qemu_usernet_port(text, 22), 33963);
	assert_int_equal(qemu_usernet_port(text, 2376), 33183);
	assert_int_equal(qemu_usernet_port(text, 80), 0);
	assert_int_equal(qemu_usernet_port("", 22), 0);
	assert_int_equal(qemu_usernet_port("\n\n", 22), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_emulated),
		cmocka_unit_test(test_kvm),
		cmocka_unit_test(test_disk_only),
		cmocka_unit_test(test_chosen),
		cmocka_unit_test(test_networks),
		cmocka_unit_test(test_shares),
		cmocka_unit_test(test_usernet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
