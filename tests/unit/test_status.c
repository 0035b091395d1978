#include "status.h"

#include "mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct status_entry entries[] = {
	{"web1", "create", 2000, 0},
	{"web2", "waiting for SSH", 62000, 0},
};

static void check(size_t n, uint64_t now, size_t width, const char *want)
{
	_cleanup_free_ char *text = status_text(entries, n, now, width);

	assert_string_equal(text, want);
}

static void test_text(void **state)
{
	check(0, 4000, 80, "");
	check(1, 2000, 80, "| web1: create (0s)");
	check(1, 2500, 80, "/ web1: create (0s)");
	check(1, 61999, 80, "\\ web1: create (59s)");
	check(1, 62000, 80, "| web1: create (1m 00s)");
	check(2, 72000, 80, "| 2 machines: web1: create (1m 10s), web2: waiting for SSH (10s)");
}

static void test_width(void **state)
{
	check(1, 2000, 19, "| web1: create (0s)");
	check(1, 2000, 18, "| web1: create (0s");
	check(1, 2000, 0, "");
	check(2, 72000, 20, "| 2 machines: web1: ");
}

static void test_percent(void **state)
{
	entries[0].percent = 42;
	check(1, 2000, 80, "| web1: create 42% (0s)");
	check(2, 72000, 80, "| 2 machines: web1: create 42% (1m 10s), web2: waiting for SSH (10s)");
	entries[0].percent = 0;
}

/* A character is cut off whole or not at all. */
static void test_characters(void **state)
{
	entries[0].text = "Gr\xc3\xbc\xc3\x9f"
			  "e";
	check(1, 2000, 12, "| web1: Gr\xc3\xbc\xc3\x9f");
	entries[0].text = "\xff\xfe";
	check(1, 2000, 9, "| web1: \xff");
	entries[0].text = "create";
}

static void test_no_terminal(void **state)
{
	FILE *file = tmpfile();

	assert_non_null(file);
	assert_null(status_new(NULL, file));
	status_set(NULL, "web1", "create", 0);
	status_hide(NULL);
	status_show(NULL);
	status_free(NULL);
	fclose(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_width),
		cmocka_unit_test(test_percent),
		cmocka_unit_test(test_characters),
		cmocka_unit_test(test_no_terminal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
