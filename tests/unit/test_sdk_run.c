/* Programs: what they say, how they end, when they are ended. */
#include "machine-driver.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define ARGV(...) ((const char *const[]){__VA_ARGS__, NULL})
#define SH(script) ARGV("sh", "-c", script)

static int run_sh(const char *script, char **out, struct err *err)
{
	return md_run(NULL, SH(script), 10000, out, err);
}

static void test_output(void **state)
{
	_cleanup_err_ struct err err = ERR_INIT;
	_cleanup_free_ char *out = NULL, *long_out = NULL, *locale = NULL, *in = NULL;

	assert_int_equal(run_sh("echo one; echo two >&2; echo three", &out, &err), 0);
	assert_string_equal(out, "one\nthree\n");
	assert_int_equal(run_sh("head -c 300000 /dev/zero | tr '\\0' x", &long_out, &err), 0);
	assert_int_equal(strlen(long_out), 300000);
	setenv("LC_ALL", "de_DE.UTF-8", 1);
	assert_int_equal(run_sh("echo $LC_ALL", &locale, &err), 0);
	unsetenv("LC_ALL");
	assert_string_equal(locale, "C\n");
	assert_int_equal(run_sh("cat", &in, &err), 0); /* no standard input */
	assert_string_equal(in, "");
}

static void test_failures(void **state)
{
	static const struct {
		const char *script, *message;
	} cases[] = {
		{"exit 3", "sh: exit status 3"},
		{"echo no room >&2; echo x; exit 1", "sh: exit status 1: no room"},
		{"echo on stdout; exit 1", "sh: exit status 1: on stdout"},
		{"printf 'a\\nb\\033[1m\\n' >&2; exit 1", "sh: exit status 1: a b?[1m"},
		{"kill -KILL $$", "sh: ended by signal 9 (Killed)"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_err_ struct err err = ERR_INIT;
		char *out = NULL;

		assert_int_equal(run_sh(cases[i].script, &out, &err), -1);
		assert_string_equal(err_msg(&err), cases[i].message);
		assert_null(out);
	}
}

static void test_names(void **state)
{
	_cleanup_err_ struct err err = ERR_INIT;
	_cleanup_free_ char *sh = md_find_program("sh"), *none = md_find_program("no-such-prog");

	assert_non_null(sh);
	assert_int_equal(*sh, '/');
	assert_null(none);
	assert_int_equal(md_run(NULL, ARGV("no-such-prog"), 0, NULL, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_int_equal(md_run(NULL, ARGV("/bin/ls", "nowhere"), 0, NULL, &err), -1);
	assert_non_null(strstr(err_msg(&err), "ls nowhere: exit status 2: "));
	/* other arguments may be secrets */
	assert_int_equal(md_run(NULL, ARGV("sh", "-c", "exit 1 # s3cret"), 0, NULL, &err), -1);
	assert_null(strstr(err_msg(&err), "s3cret"));
}

static void test_status(void **state)
{
	_cleanup_err_ struct err err = ERR_INIT;
	_cleanup_free_ char *out = NULL;
	int status = -1;

	assert_int_equal(md_run_status(NULL, SH("echo x; exit 7"), 0, &status, &out, &err), 0);
	assert_int_equal(status, 7);
	assert_string_equal(out, "x\n");
}

static void test_too_much(void **state)
{
	_cleanup_err_ struct err err = ERR_INIT;

	assert_int_equal(run_sh("exec cat /dev/zero", NULL, &err), -1);
	assert_non_null(strstr(err_msg(&err), "sh says more than 1048576 bytes"));
}

static void test_timeout(void **state)
{
	_cleanup_err_ struct err err = ERR_INIT;

	assert_int_equal(md_run(NULL, SH("exec sleep 60"), 200, NULL, &err), -1);
	assert_int_equal(err.code, ERR_TIMEOUT);
	assert_string_equal(err_msg(&err), "sh did not end within 1 s");
}

static bool at_once(void *arg)
{
	++*(int *)arg;
	return true;
}

static void test_cancel(void **state)
{
	_cleanup_err_ struct err err = ERR_INIT;
	int asked = 0;
	struct md_watch w = {.cancelled = at_once, .arg = &asked};

	assert_int_equal(md_run(&w, SH("exec sleep 60"), 60000, NULL, &err), -1);
	assert_int_equal(err.code, ERR_CANCELED);
	assert_int_equal(asked, 1);
}

/* A daemon that keeps the streams open is not waited for. */
static void test_daemon(void **state)
{
	_cleanup_err_ struct err err = ERR_INIT;
	_cleanup_free_ char *out = NULL;

	assert_int_equal(run_sh("sleep 60 & echo $!", &out, &err), 0);
	pid_t daemon = (pid_t)strtol(out, NULL, 10);
	assert_true(daemon > 1);
	assert_int_equal(kill(daemon, SIGKILL), 0);
}

/* No descriptor of ours reaches the program, whatever its flags. */
static void test_descriptors(void **state)
{
	_cleanup_err_ struct err err = ERR_INIT;
	_cleanup_free_ char *out = NULL;
	int fd = dup(STDERR_FILENO);

	assert_true(fd > 2);
	assert_int_equal(run_sh("ls /proc/self/fd | wc -l", &out, &err), 0);
	close(fd);
	assert_string_equal(out, "4\n"); /* three, and the folder's own */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_output),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_too_much),
		cmocka_unit_test(test_timeout),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_daemon),
		cmocka_unit_test(test_descriptors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
