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

static void test_emulated(void **state)
{
	expect(&plain,
		"qemu-system-x86_64\n-nodefaults\n-no-user-config\n-name\nw1\n-uuid\nU\n"
		"-pidfile\n/m/qemu.pid\n-sandbox\n"
		"on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny\n"
		"-machine\nq35,accel=tcg\n-cpu\nmax,la57=off\n-smp\n2\n-m\n2048\n"
		"-kernel\n/i/vmlinuz\n-initrd\n/i/initrd.img\n-append\nroot=LABEL=root ro\n"
		"-drive\nfile=/m/disk.qcow2,if=virtio,format=qcow2,discard=unmap,aio=threads\n"
		"-drive\nfile=/m/seed.iso,if=virtio,format=raw,readonly=on\n"
		"-netdev\nuser,id=net,hostfwd=tcp:127.0.0.1:0-:22,hostfwd=tcp:127.0.0.1:0-:2376\n"
		"-device\nvirtio-net-pci,netdev=net,mac=52:54:00:01:02:03,romfile=\n"
		"-object\nrng-random,id=rng,filename=/dev/"
		"urandom\n-device\nvirtio-rng-pci,rng=rng\n"
		"-chardev\nfile,id=console,path=/m/console.log\n-serial\nchardev:console\n"
		"-chardev\nsocket,id=qmp,path=/m/qmp.sock,server=on,wait=off\n"
		"-mon\nchardev=qmp,mode=control\n-display\nnone");
}

static void test_kvm(void **state)
{
	struct qemu_vm vm = plain;

	vm.kvm = true;
	expect_has(&vm, "-machine", "q35,accel=kvm");
	expect_has(&vm, "-cpu", "host");
	vm.no_arch_capabilities = true;
	expect_has(&vm, "-cpu", "host,arch-capabilities=off");
}

/* A boot loader of the image's own; a comma in a path is written twice. */
static void test_disk_only(void **state)
{
	struct qemu_vm vm = plain;
	_cleanup_strv_ struct strv argv = STRV_INIT;

	vm.kernel = vm.initrd = vm.cmdline = "";
	vm.firmware = "/f,w";
	vm.dir = "/a,b";
	vm.cache = "unsafe";
	vm.io = "native";
	vm.display = "gtk";
	expect_has(&vm, "-bios", "/f,w");
	expect_has(&vm, "-drive",
		"file=/a,,b/disk.qcow2,if=virtio,format=qcow2,discard=unmap,aio=native,"
		"cache=unsafe");
	expect_has(&vm, "-chardev", "socket,id=qmp,path=/a,,b/qmp.sock,server=on,wait=off");
	expect_has(&vm, "-display", "gtk");
	qemu_argv(&vm, &argv);
	assert_false(strv_contains(&argv, "-kernel"));
	assert_false(strv_contains(&argv, "-append"));
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
	vm.cpu = "Nehalem";
	vm.machine = "pc";
	vm.kvm = vm.no_arch_capabilities = true;
	expect_has(&vm, "-cpu", "Nehalem");
	expect_has(&vm, "-machine", "pc,accel=kvm");
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
		"user,id=net,hostfwd=tcp:0.0.0.0:40022-:22,hostfwd=tcp:0.0.0.0:42376-:2376,"
		"hostfwd=tcp:127.0.0.1:8080-:80,hostfwd=udp:0.0.0.0:53-:53");
	vm.network = "tap";
	vm.interface = "tap7";
	expect_has(&vm, "-netdev", "tap,id=net,ifname=tap7,script=no,downscript=no");
	vm.network = "bridge";
	vm.bridge = "br0";
	expect_has(&vm, "-netdev", "bridge,id=net,br=br0");
	expect_has(&vm, "-sandbox", "on,obsolete=deny,resourcecontrol=deny");
}

static void test_shares(void **state)
{
	_cleanup_json_ struct json *shares = json_array();
	struct json *one = json_object(), *two = json_object();
	struct qemu_vm vm = plain;

	json_set_str(one, "HostPath", "/a,b");
	json_set(one, "ReadOnly", json_bool(true));
	json_set_str(two, "HostPath", "/c");
	json_add(shares, one);
	json_add(shares, two);
	vm.shares = shares;
	expect_has(&vm, "-fsdev",
		"local,id=share0,path=/a,,b,security_model=none,multidevs=remap,readonly=on");
	expect_has(&vm, "-device", "virtio-9p-pci,fsdev=share1,mount_tag=share1");
	vm.virtiofs = true;
	expect_has(&vm, "-machine", "q35,accel=tcg,memory-backend=memory");
	expect_has(&vm, "-object", "memory-backend-memfd,id=memory,size=2048M,share=on");
	expect_has(&vm, "-chardev", "socket,id=share1,path=/m/virtiofs-1.sock");
	expect_has(&vm, "-device", "vhost-user-fs-pci,chardev=share1,tag=share1");
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
