/* Strings as Go's %q prints them. */
#include "quote.h"

#include "mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_quote(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{"", "\"\""}, {"web-1", "\"web-1\""}, {"a\"b\\c", "\"a\\\"b\\\\c\""},
		{"\a\b\f\n\r\t\v", "\"\\a\\b\\f\\n\\r\\t\\v\""},
		{"\x01\x1b\x7f", "\"\\x01\\x1b\\x7f\""}, {"∞ ä 😀", "\"∞ ä 😀\""},
		{"\xff\xc3", "\"\\xff\\xc3\""},          /* no UTF-8 */
		{"\xc2\x9b", "\"\\xc2\\x9b\""},          /* a C1 control */
		{"\xed\xa0\x80", "\"\\xed\\xa0\\x80\""}, /* a surrogate */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *got = go_quote(cases[i].text);
		assert_string_equal(got, cases[i].want);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {cmocka_unit_test(test_quote)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
