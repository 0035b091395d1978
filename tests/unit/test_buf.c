#include "buf.h"
#include "mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above it */
#include <cmocka.h>

#include <string.h>

static void test_starts_empty(void **state)
{
	struct buf b = BUF_INIT;

	assert_string_equal(buf_str(&b), "");
	assert_null(b.data);
	buf_finish(&b);
}

static void test_add(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	buf_adds(&b, "one");
	buf_addc(&b, ' ');
	buf_addf(&b, "%d%s", 2, "!");
	buf_add(&b, "\0x", 2);
	assert_int_equal(b.len, 8);
	assert_memory_equal(b.data, "one 2!\0x", 9);
	buf_add(&b, NULL, 0);
	assert_int_equal(b.len, 8);
}

static void test_grows(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	for (int i = 0; i < 100000; i++)
		buf_addc(&b, (char)('a' + i % 26));
	assert_int_equal(b.len, 100000);
	assert_int_equal(strlen(b.data), 100000);
	assert_int_equal(b.data[99999], 'a' + 99999 % 26);
}

static void test_reserve_keeps_the_nul(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	char *room;

	buf_adds(&b, "ab");
	room = buf_reserve(&b, 1000);
	assert_ptr_equal(room, b.data + 2);
	memcpy(room, "cdef", 4);
	b.len += 4;
	assert_string_equal(buf_str(&b), "abcdef");
	memset(buf_reserve(&b, 1000), 'x', 1000);
	b.len += 1000;
	assert_int_equal(strlen(b.data), 1006);
}

static void test_consume(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	buf_consume(&b, 0);
	buf_adds(&b, "abcdef");
	buf_consume(&b, 2);
	assert_string_equal(buf_str(&b), "cdef");
	buf_consume(&b, 100);
	assert_int_equal(b.len, 0);
	assert_string_equal(buf_str(&b), "");
}

static void test_steal(void **state)
{
	struct buf b = BUF_INIT;
	char *s = buf_steal(&b);

	assert_string_equal(s, "");
	free(s);
	buf_adds(&b, "mine");
	s = buf_steal(&b);
	assert_string_equal(s, "mine");
	assert_null(b.data);
	free(s);
}

static void test_clear_keeps_memory(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	size_t cap;

	buf_clear(&b);
	buf_adds(&b, "something");
	cap = b.cap;
	buf_clear(&b);
	assert_int_equal(b.cap, cap);
	assert_string_equal(buf_str(&b), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_starts_empty),
		cmocka_unit_test(test_add),
		cmocka_unit_test(test_grows),
		cmocka_unit_test(test_reserve_keeps_the_nul),
		cmocka_unit_test(test_consume),
		cmocka_unit_test(test_steal),
		cmocka_unit_test(test_clear_keeps_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
