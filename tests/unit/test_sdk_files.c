/* The SDK's helpers that need no request. */
#include "machine-driver.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void test_addresses(void **state)
{
	static const struct {
		const char *host, *url;
	} cases[] = {{"192.0.2.1", "tcp://192.0.2.1:2376"}, {"a.example", "tcp://a.example:2376"},
		{"2001:db8::1", "tcp://[2001:db8::1]:2376"},
		{"[2001:db8::1]", "tcp://[2001:db8::1]:2376"}};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *url = md_url(cases[i].host, 2376);
		assert_string_equal(url, cases[i].url);
	}
}

static void test_paths(void **state)
{
	static const struct {
		const char *path, *expanded;
	} cases[] = {{"", ""}, {"/a/../b", "/a/../b"}, {"~", "/home/x"}, {"~/k", "/home/x/k"},
		{"~user/k", "/tmp/~user/k"}, {"k", "/tmp/k"}, {"././k", "/tmp/k"}};

	assert_int_equal(setenv("HOME", "/home/x", 1), 0);
	assert_int_equal(chdir("/tmp"), 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *got = md_expand_path(cases[i].path);
		assert_string_equal(got, cases[i].expanded);
	}
}

static void test_copy_file(void **state)
{
	char folder[] = "/tmp/test_sdk_XXXXXX";
	_cleanup_err_ struct err err = ERR_INIT;
	struct md_machine m = {.dir = mkdtemp(folder)};
	_cleanup_free_ char *from = md_file(&m, "from"), *to = md_file(&m, "to");
	char text[6] = "";
	struct stat st;
	FILE *f;

	assert_int_equal(md_copy_file(from, to, 0600, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	f = fopen(from, "w");
	assert_non_null(f);
	fputs("hello", f);
	fclose(f);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(md_copy_file(from, to, 0600, &err), 0);
		assert_int_equal(stat(to, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0600);
	}
	f = fopen(to, "r");
	assert_non_null(f);
	assert_int_equal(fread(text, 1, 5, f), 5);
	fclose(f);
	assert_string_equal(text, "hello");
	assert_int_equal(md_copy_file(folder, to, 0600, &err), -1);
	unlink(from);
	unlink(to);
	assert_int_equal(rmdir(folder), 0); /* so no temporary file is left */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_copy_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
