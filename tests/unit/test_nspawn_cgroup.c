/* Control groups: which folders, from the kernel's tables; limits and removal, in ordinary folders.
 */
#include "cert_fixture.h"

#include "cgroup.h"
#include "mem.h"

#include <fcntl.h>

#define NAME "machine-nspawn-7"

static const char v1[] =
	"23 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n"
	"32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n"
	"35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
	"39 31 0:32 / /mnt/memory\\040again rw,relatime - cgroup cgroup rw,memory\n"
	"40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime shared:5 - cgroup cgroup rw,name=systemd\n"
	"41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";
static const char v2[] =
	"23 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n"
	"31 23 0:28 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";

static void check(const char *mountinfo, const char *self, const char *expected)
{
	_cleanup_strv_ struct strv v = STRV_INIT;

	cgroup_folders(mountinfo, self, NAME, &v);
	_cleanup_free_ char *got = strv_join(&v, " ");
	assert_string_equal(got, expected);
}

static void test_without_systemd(void **state)
{
	check(v1, "9:name=systemd:/\n4:memory:/some/where\n1:cpu:/\n0::/\n",
		"/sys/fs/cgroup/cpu/" NAME " /sys/fs/cgroup/memory/" NAME
		" /sys/fs/cgroup/systemd/" NAME " /sys/fs/cgroup/unified/" NAME);
	check(v2, "0::/user.slice/x.scope\n", "/sys/fs/cgroup/" NAME);
	check("", "", "");
}

static void test_in_a_scope(void **state)
{
	check(v2, "0::/machine.slice/" NAME ".scope\n",
		"/sys/fs/cgroup/machine.slice/" NAME ".scope");
	check(v2, "0::/machine.slice/" NAME ".scope/driver\n",
		"/sys/fs/cgroup/machine.slice/" NAME ".scope");
	/* hybrid: systemd manages some hierarchies and leaves others alone */
	check(v1,
		"5:cpu:/\n4:memory:/machine.slice/" NAME
		".scope\n1:name=systemd:/machine.slice/" NAME ".scope\n0::/machine.slice/" NAME
		".scope\n",
		"/sys/fs/cgroup/cpu/" NAME " /sys/fs/cgroup/memory/machine.slice/" NAME
		".scope /sys/fs/cgroup/systemd/machine.slice/" NAME
		".scope /sys/fs/cgroup/unified/machine.slice/" NAME ".scope");
	/* another host's scope is not ours */
	check(v2, "0::/machine.slice/" NAME "0.scope\n", "/sys/fs/cgroup/" NAME);
}

static void test_leftovers(void **state)
{
	_cleanup_strv_ struct strv v = STRV_INIT;

	cgroup_leftovers(v2, NAME, &v);
	_cleanup_free_ char *got = strv_join(&v, " ");
	assert_string_equal(
		got, "/sys/fs/cgroup/" NAME " /sys/fs/cgroup/machine.slice/" NAME ".scope");
}

static int new_folder(void **state)
{
	return new_dir(dir, sizeof(dir));
}

static void put(const char *name, const char *text)
{
	_cleanup_free_ char *path = in_dir(name);
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void assert_content(const char *name, const char *expected)
{
	_cleanup_free_ char *path = in_dir(name);
	char text[64] = "";
	_cleanup_close_ int fd = open(path, O_RDONLY);

	assert_true(fd >= 0);
	assert_true(read(fd, text, sizeof(text) - 1) >= 0);
	assert_string_equal(text, expected);
}

/* As a hierarchy that has no processors until it is given some. */
static void test_make_and_remove(void **state)
{
	_cleanup_err_ struct err err = ERR_INIT;
	_cleanup_strv_ struct strv v = STRV_INIT;
	_cleanup_free_ char *inner = in_dir("group/boot");

	strv_add_take(&v, in_dir("group"));
	put("cpuset.cpus", "0-1\n");
	assert_int_equal(cgroup_make(&v, "driver", &err), 0);
	put("group/cpuset.cpus", "\n");
	assert_int_equal(cgroup_make(&v, "boot", &err), 0);
	assert_int_equal(cgroup_make(&v, "boot", &err), 0);
	assert_int_equal(access(inner, F_OK), 0);
	/* "0" is who writes */
	put("group/boot/cgroup.procs", "");
	assert_int_equal(cgroup_enter(&v, "boot", &err), 0);
	assert_content("group/boot/cgroup.procs", "0");
	/* files of a real hierarchy do not keep a folder from being removed, here they do */
	_cleanup_free_ char *procs = in_dir("group/boot/cgroup.procs");
	assert_int_equal(cgroup_remove(&v, "boot", 0, &err), -1);
	assert_int_equal(unlink(procs), 0);
	assert_int_equal(cgroup_remove(&v, "boot", 0, &err), 0);
	assert_int_equal(access(inner, F_OK), -1);
	assert_int_equal(cgroup_remove(&v, "boot", 0, &err), 0); /* gone already */
}

static void test_limits(void **state)
{
	_cleanup_err_ struct err err = ERR_INIT;
	_cleanup_strv_ struct strv v = STRV_INIT;

	strv_add_take(&v, in_dir("group"));
	assert_int_equal(cgroup_make(&v, "boot", &err), 0);
	assert_int_equal(cgroup_limit(&v, 0, 0, &err), 0);
	assert_int_equal(cgroup_limit(&v, 2, 0, &err), -1);
	assert_int_equal(err.code, ERR_NOT_SUPPORTED);
	put("group/cpu.max", "");
	put("group/memory.max", "");
	assert_int_equal(cgroup_limit(&v, 2, 512u << 20, &err), 0);
	assert_content("group/cpu.max", "200000 100000");
	assert_content("group/memory.max", "536870912");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_without_systemd),
		cmocka_unit_test(test_in_a_scope),
		cmocka_unit_test(test_leftovers),
		cmocka_unit_test_setup(test_make_and_remove, new_folder),
		cmocka_unit_test_setup(test_limits, new_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
