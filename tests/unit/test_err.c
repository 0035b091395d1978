#include "err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above it */
#include <cmocka.h>

#include <errno.h>

static void test_set_and_wrap(void **state)
{
	_cleanup_err_ struct err err = ERR_INIT;

	assert_int_equal(err_set(&err, ERR_AUTH, "%d %s", 403, "Forbidden"), -1);
	err.retryable = true;
	assert_int_equal(err_wrap(&err, "import %s", "key pair"), -1);
	err_wrap(&err, "create w1");
	assert_string_equal(err_msg(&err), "create w1: import key pair: 403 Forbidden");
	assert_int_equal(err.code, ERR_AUTH);
	assert_true(err.retryable);
}

static void test_replaces(void **state)
{
	_cleanup_err_ struct err err = ERR_INIT;

	err_set(&err, ERR_QUOTA, "old");
	err.retry_after_ms = 5;
	err.may_exist = true;
	err_set(&err, ERR_USER, "new, after %s", err_msg(&err));
	assert_string_equal(err_msg(&err), "new, after old");
	assert_int_equal(err.code, ERR_USER);
	assert_int_equal(err.retry_after_ms, 0);
	assert_false(err.may_exist);
}

static void test_errno(void **state)
{
	_cleanup_err_ struct err err = ERR_INIT;

	assert_int_equal(err_errno(&err, ENOENT, "open %s", "x"), -1);
	assert_string_equal(err_msg(&err), "open x: No such file or directory");
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_int_equal(err.errnum, ENOENT);
	err_errno(&err, EEXIST, "mkdir");
	assert_int_equal(err.code, ERR_EXISTS);
	err_errno(&err, ENOSPC, "write");
	assert_int_equal(err.code, ERR_IO);
	assert_string_equal(err_msg(&err), "write: No space left on device");
}

static void test_unset(void **state)
{
	_cleanup_err_ struct err err = ERR_INIT;

	assert_string_equal(err_msg(&err), "unknown error");
	err_wrap(&err, "x");
	assert_string_equal(err_msg(&err), "x: unknown error");
	assert_int_equal(err.code, ERR_INTERNAL);
}

static void test_move(void **state)
{
	_cleanup_err_ struct err a = ERR_INIT;
	_cleanup_err_ struct err b = ERR_INIT;

	err_set(&a, ERR_USER, "a");
	err_set(&b, ERR_IO, "b");
	assert_int_equal(err_move(&a, &b), -1);
	assert_string_equal(err_msg(&a), "b");
	assert_null(b.msg);
	assert_int_equal(b.code, ERR_NONE);
	err_move(&a, &a);
	assert_string_equal(err_msg(&a), "b");
}

static void test_kinds(void **state)
{
	for (int c = ERR_INTERNAL; c <= ERR_NOT_RUNNING; c++)
		assert_int_equal(err_kind_parse(err_kind_name((enum err_code)c)), c);
	assert_string_equal(err_kind_name(ERR_PROTOCOL), "internal");
	assert_string_equal(err_kind_name(ERR_NONE), "internal");
	assert_string_equal(err_kind_name((enum err_code)999), "internal");
	assert_int_equal(err_kind_parse(NULL), ERR_INTERNAL);
	assert_int_equal(err_kind_parse("NotFound"), ERR_INTERNAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_set_and_wrap),
		cmocka_unit_test(test_replaces),
		cmocka_unit_test(test_errno),
		cmocka_unit_test(test_unset),
		cmocka_unit_test(test_move),
		cmocka_unit_test(test_kinds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
