#include "place.h"

#include "mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void assert_text(const char *got, const char *want)
{
	if (want)
		assert_string_equal(got ? got : "(null)", want);
	else
		assert_null(got);
}

static void test_parse(void **state)
{
	static const struct {
		const char *word, *user, *machine, *path;
	} cases[] = {
		{"/tmp/foo", NULL, NULL, "/tmp/foo"},
		{"", NULL, NULL, ""},
		{"a b", NULL, NULL, "a b"},
		{"web1:/a", NULL, "web1", "/a"},
		{"web1:", NULL, "web1", ""},
		{"web1:a:b", NULL, "web1", "a:b"},
		{"web1:C:\\path", NULL, "web1", "C:\\path"},
		{"u@web1:/a@b", "u", "web1", "/a@b"},
		{"u@v@web1:x", "u", "v@web1", "x"}, /* as the original */
		{"@web1:x", NULL, "web1", "x"},
		{":x", NULL, "", "x"},
		{"localhost:a:b", NULL, "localhost", "a:b"},
		{"./a:b", NULL, NULL, "./a:b"}, /* no machine's name has a slash */
		{"/a:b", NULL, NULL, "/a:b"},
		{"x@y", NULL, NULL, "x@y"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct place p;

		place_parse(cases[i].word, &p);
		assert_text(p.user, cases[i].user);
		assert_text(p.machine, cases[i].machine);
		assert_text(p.path, cases[i].path);
		place_finish(NULL, &p);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {cmocka_unit_test(test_parse)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
