#include "registry.h"

#include "host_fixture.h"

static void in_folder(const char *folder, const char *name, mode_t mode)
{
	_cleanup_free_ char *path = in_dir(folder);
	_cleanup_free_ char *file = xasprintf("%s/machine-driver-%s", folder, name);

	mkdir(path, 0755);
	free(write_file(file, "#!/bin/sh\n", mode));
}

static int setup(void **state)
{
	_cleanup_free_ char *drivers = NULL;
	_cleanup_free_ char *path = NULL;

	fixture_setup(state);
	in_folder("one", "alpha", 0755);
	in_folder("one", "not-executable", 0644);
	in_folder("two", "alpha", 0755);
	in_folder("two", "beta.x_y", 0755);
	in_folder("three", "beta.x_y", 0755);
	in_folder("three", "gamma", 0755);
	in_folder("three", "bad name", 0755);
	in_folder("three", "not-executable", 0755);
	drivers = xasprintf("relative:%s/one::%s/nowhere:%s/two", dir, dir, dir);
	path = xasprintf("%s/three:.", dir);
	setenv("MACHINE_DRIVER_PATH", drivers, 1);
	setenv("PATH", path, 1);
	return 0;
}

static int teardown(void **state)
{
	setenv("PATH", "/usr/bin:/bin", 1);
	unsetenv("MACHINE_DRIVER_PATH");
	return fixture_teardown(state);
}

static void assert_found(const char *name, const char *folder, enum driver_origin origin)
{
	_cleanup_err_ struct err err = ERR_INIT;
	_cleanup_free_ char *file = xasprintf("%s/%s/machine-driver-%s", dir, folder, name);
	struct registry_entry e = {0};

	assert_int_equal(registry_find(name, &e, &err), 0);
	assert_string_equal(e.name, name);
	assert_string_equal(e.file, file);
	assert_int_equal(e.origin, origin);
	registry_entry_finish(&e);
}

static void test_find(void **state)
{
	assert_found("alpha", "one", DRIVER_ORIGIN_DRIVER_PATH);
	assert_found("beta.x_y", "two", DRIVER_ORIGIN_DRIVER_PATH);
	assert_found("gamma", "three", DRIVER_ORIGIN_PATH);
	assert_found("not-executable", "three", DRIVER_ORIGIN_PATH);
}

static void test_not_found(void **state)
{
	static const char *const names[] = {
		"nonesuch", "", "../one/machine-driver-alpha", "bad name", "-x", "a/b"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_err_ struct err err = ERR_INIT;
		_cleanup_free_ char *first =
			xasprintf("Driver \"%s\" not found. Do you have the plugin binary "
				  "\"docker-machine-driver-%s\" accessible in your PATH?\n",
				names[i], names[i]);
		struct registry_entry e = {0};

		assert_int_equal(registry_find(names[i], &e, &err), -1);
		assert_int_equal(err.code, ERR_NOT_FOUND);
		assert_memory_equal(err_msg(&err), first, strlen(first));
		assert_non_null(strstr(err_msg(&err) + strlen(first), "machine-driver-"));
	}
}

static void test_scan(void **state)
{
	static const char *const want[] = {"alpha", "beta.x_y", "gamma", "not-executable"};
	struct registry_list l;
	size_t k = 0;

	registry_scan(&l);
	for (size_t i = 0; i < l.n; i++) {
		assert_true(driver_name_valid(l.items[i].name));
		if (i > 0)
			assert_true(strcmp(l.items[i - 1].name, l.items[i].name) < 0);
		if (k < ARRAY_SIZE(want) && streq(l.items[i].name, want[k]))
			k++;
	}
	assert_int_equal(k, ARRAY_SIZE(want));
	registry_list_finish(&l);
}

static void test_names(void **state)
{
	char longest[66];

	memset(longest, 'a', sizeof(longest));
	longest[65] = '\0';
	assert_false(driver_name_valid(longest));
	longest[64] = '\0';
	assert_true(driver_name_valid(longest));
	assert_true(driver_name_valid("vmware.v2_x-1"));
	assert_false(driver_name_valid(".hidden"));
	assert_string_equal(driver_origin_name(DRIVER_ORIGIN_BUILTIN), "built in");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
	static const struct CMUnitTest tests[] = {T(find), T(not_found), T(scan), T(names)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
