#include "mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above it */
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static void test_allocation(void **state)
{
	char *p = xmalloc(0);

	assert_non_null(p);
	p = xrealloc(p, 10, 2);
	memset(p, 'x', 20);
	free(p);
	p = xcalloc(3, 4);
	for (int i = 0; i < 12; i++)
		assert_int_equal(p[i], 0);
	free(p);
}

static void test_strings(void **state)
{
	_cleanup_free_ char *a = xstrdup("abc");
	_cleanup_free_ char *b = xstrndup("abcdef", 2);
	_cleanup_free_ char *c = xstrndup("ab", 100);
	_cleanup_free_ char *d = xasprintf("%s-%d", "n", 7);

	assert_null(xstrdup(NULL));
	assert_string_equal(a, "abc");
	assert_string_equal(b, "ab");
	assert_string_equal(c, "ab");
	assert_string_equal(d, "n-7");
}

static void test_take(void **state)
{
	char *a = xstrdup("a");
	_cleanup_free_ char *b = take(a);

	assert_null(a);
	assert_string_equal(b, "a");
}

static void test_macros(void **state)
{
	int n = 0;

	assert_int_equal(MIN(3, 2), 2);
	assert_int_equal(MAX(n++, -1), 0);
	assert_int_equal(n, 1);
}

static void test_close(void **state)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC), old = fd;

	assert_true(fd >= 0);
	errno = EXDEV;
	close_fdp(&fd);
	assert_int_equal(errno, EXDEV);
	assert_int_equal(fd, -1);
	assert_int_equal(fcntl(old, F_GETFD), -1);
	close_fdp(&fd);
}

static void test_secret_free(void **state)
{
	secret_free(NULL);
	secret_free(xstrdup("hunter2"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_allocation),
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_take),
		cmocka_unit_test(test_macros),
		cmocka_unit_test(test_close),
		cmocka_unit_test(test_secret_free),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
