/* Bytes as Go's text/tabwriter prints them. */
#include "tabwriter.h"

#include "ls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void expect(const char *text, size_t min, size_t padding, char pad, const char *want)
{
	_cleanup_buf_ struct buf out = BUF_INIT;

	tabwriter_format(text, min, padding, pad, &out);
	assert_string_equal(buf_str(&out), want);
}

static void test_ls_header(void **state)
{
	(void)state;
	expect("NAME\tACTIVE\tDRIVER\tSTATE\tURL\tSWARM\tDOCKER\tERRORS\n"
	       "m\t-\tnone\tRunning\ttcp://192.0.2.1:2376\t\tUnknown\t\n",
		5, 3, ' ',
		"NAME   ACTIVE   DRIVER   STATE     URL                    SWARM   DOCKER    "
		"ERRORS\n"
		"m      -        none     Running   tcp://192.0.2.1:2376           Unknown   \n");
}

static void test_minimum(void **state)
{
	(void)state;
	expect("a\tb\n", 5, 1, ' ', "a    b\n");
}

static void test_blocks(void **state)
{
	(void)state;
	/* a line without cells ends a column; the next one is measured anew */
	expect("aaaa\tb\nplain\nc\td\n", 0, 1, ' ', "aaaa b\nplain\nc d\n");
}

static void test_tabs(void **state)
{
	(void)state;
	expect("   --a\tone\n   --long-name\ttwo\n", 0, 1, '\t',
		"   --a\t\tone\n   --long-name\ttwo\n");
}

static void test_characters(void **state)
{
	(void)state;
	expect("é\tb\nxx\tc\n", 0, 1, ' ', "é  b\nxx c\n");
}

static void test_natural_order(void **state)
{
	static const char *const sorted[] = {"1a", "a1", "a-1", "m1", "M2", "m02", "m10"};

	(void)state;
	for (size_t i = 0; i + 1 < sizeof(sorted) / sizeof(*sorted); i++)
		assert_true(natural_compare(sorted[i], sorted[i + 1]) < 0);
	assert_int_equal(natural_compare("abc", "abc"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ls_header),
		cmocka_unit_test(test_minimum),
		cmocka_unit_test(test_blocks),
		cmocka_unit_test(test_tabs),
		cmocka_unit_test(test_characters),
		cmocka_unit_test(test_natural_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
