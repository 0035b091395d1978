#include "status.h"

#include "mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct status_entry entries[] = {
	{"web1", "create", NULL, 2000, 2000, 0},
	{"web10", "provision", "waiting for SSH", 1000, 62000, 0},
	{"web3", "create", NULL, 3000, 3000, 0},
};

static void check(size_t n, uint64_t now, size_t width, const char *want)
{
	_cleanup_free_ char *text = status_text(n ? &entries[n - 1] : NULL, now, width);

	assert_string_equal(text, want);
}

static void test_text(void **state)
{
	check(0, 4000, 80, "");
	check(1, 2000, 80, "| web1: create (0s)");
	check(1, 2500, 80, "/ web1: create (0s)");
	check(1, 61999, 80, "\\ web1: create (59s)");
	check(1, 62000, 80, "| web1: create (1m 00s)");
	check(2, 72000, 80, "| web10: waiting for SSH (10s)");
}

static void test_width(void **state)
{
	check(1, 2000, 19, "| web1: create (0s)");
	check(1, 2000, 18, "| web1: create (0s");
	check(1, 2000, 0, "");
}

static void test_percent(void **state)
{
	entries[0].percent = 42;
	check(1, 2000, 80, "| web1: create 42% (0s)");
	entries[0].percent = 0;
}

static void check_lines(
	size_t n, struct status_counts counts, size_t width, size_t height, const char *want)
{
	_cleanup_free_ char *text = status_lines(entries, n, &counts, 72000, width, height);

	assert_string_equal(text, want);
}

static void test_lines(void **state)
{
	check_lines(2, (struct status_counts){2, 0, 0}, 80, 24,
		"| 2 machines: 2 at work\n"
		"  web1   create      1m 10s\n"
		"  web10  provision   1m 11s  waiting for SSH");
	check_lines(2, (struct status_counts){200, 10, 1}, 24, 24,
		"| 200 machines: 2 at wor\n"
		"  web1   create      1m \n"
		"  web10  provision   1m ");
	check_lines(1, (struct status_counts){200, 10, 1}, 80, 24,
		"| 200 machines: 1 at work, 10 done, 1 failed, 188 to come\n"
		"  web1  create   1m 10s");
	check_lines(0, (struct status_counts){3, 3, 0}, 80, 24, "| 3 machines: 0 at work, 3 done");
}

/* What the terminal has no room for is one line. */
static void test_height(void **state)
{
	struct status_counts all = {3, 0, 0};

	check_lines(3, all, 80, 4,
		"| 3 machines: 3 at work\n"
		"  web1   create      1m 10s\n"
		"  web10  provision   1m 11s  waiting for SSH\n"
		"  web3   create      1m 09s");
	check_lines(3, all, 80, 3,
		"| 3 machines: 3 at work\n"
		"  web1  create   1m 10s\n"
		"  and 2 more: 1 provision, 1 create");
	check_lines(3, all, 80, 2,
		"| 3 machines: 3 at work\n"
		"  and 3 more: 2 create, 1 provision");
	check_lines(3, all, 80, 1,
		"| 3 machines: 3 at work\n"
		"  and 3 more: 2 create, 1 provision");
}

/* A character is cut off whole or not at all. */
static void test_characters(void **state)
{
	entries[0].text = "Gr\xc3\xbc\xc3\x9f"
			  "e";
	check(1, 2000, 12, "| web1: Gr\xc3\xbc\xc3\x9f");
	entries[0].text = "\xff\xfe";
	check(1, 2000, 9, "| web1: \xff");
	entries[0].text = NULL;
}

static void test_no_terminal(void **state)
{
	FILE *file = tmpfile();

	assert_non_null(file);
	assert_null(status_new(NULL, file));
	status_begin(NULL, 2);
	status_step(NULL, "web1", "create");
	status_set(NULL, "web1", "create", 0);
	status_end(NULL, "web1", false);
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
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_height),
		cmocka_unit_test(test_characters),
		cmocka_unit_test(test_no_terminal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
