#include "default_driver.h"

#include "mem.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define USER 1000

static const char *const files[] = {
	"systemd-nspawn", "qemu-system-x86_64", "machine-driver-nspawn", "machine-driver-qemu"};
enum { NSPAWN = 1, QEMU = 2, NSPAWN_DRIVER = 4, QEMU_DRIVER = 8, ALL = 15 };

/* A PATH that holds just these files. Drivers beside this program are none: it is no `machine`. */
static void assert_chosen(unsigned present, uid_t uid, const char *name, const char *why)
{
	char dir[] = "/tmp/test_default_driver.XXXXXX";
	_cleanup_free_ char *got_why = NULL;

	assert_non_null(mkdtemp(dir));
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		_cleanup_free_ char *file = xasprintf("%s/%s", dir, files[i]);
		if (present & 1u << i)
			close(open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0755));
	}
	setenv("PATH", dir, 1);
	_cleanup_free_ char *got = default_driver_choose(uid, &got_why);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		_cleanup_free_ char *file = xasprintf("%s/%s", dir, files[i]);
		unlink(file);
	}
	rmdir(dir);
	assert_string_equal(got, name);
	assert_string_equal(got_why, why);
}

static void test_choice(void **state)
{
	static const char nspawn[] = "root, and systemd-nspawn is here";
	static const char qemu[] = "qemu-system-x86_64 is here";

	(void)state;
	unsetenv("MACHINE_DRIVER_PATH");
	assert_chosen(ALL, 0, "nspawn", nspawn);
	assert_chosen(ALL, USER, "qemu", qemu);
	assert_chosen(NSPAWN | NSPAWN_DRIVER, 0, "nspawn", nspawn);
	assert_chosen(QEMU | QEMU_DRIVER, 0, "qemu", qemu);
	assert_chosen(QEMU | QEMU_DRIVER | NSPAWN, 0, "qemu", qemu);
	assert_chosen(QEMU | QEMU_DRIVER | NSPAWN_DRIVER, 0, "qemu", qemu);
	assert_chosen(0, 0, "virtualbox", "nspawn: no systemd-nspawn; qemu: no qemu-system-x86_64");
	assert_chosen(0, USER, "virtualbox", "nspawn: not root; qemu: no qemu-system-x86_64");
	assert_chosen(NSPAWN | QEMU, 0, "virtualbox",
		"nspawn: no machine-driver-nspawn; qemu: no machine-driver-qemu");
	assert_chosen(NSPAWN | NSPAWN_DRIVER | QEMU, USER, "virtualbox",
		"nspawn: not root; qemu: no machine-driver-qemu");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {cmocka_unit_test(test_choice)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
