#include "os_release.h"

#include "mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct os_release parse(const char *text)
{
	struct os_release o;

	os_release_parse(text, strlen(text), &o);
	return o;
}

static void debian(void **state)
{
	struct os_release o = parse("PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n"
				    "NAME=\"Debian GNU/Linux\"\n"
				    "VERSION_ID=\"12\"\n"
				    "VERSION_CODENAME=bookworm\n"
				    "ID=debian\n"
				    "HOME_URL=\"https://www.debian.org/?a=b\"\n");

	assert_string_equal(o.id, "debian");
	assert_string_equal(o.version_id, "12");
	assert_string_equal(o.version_codename, "bookworm");
	assert_string_equal(o.pretty_name, "Debian GNU/Linux 12 (bookworm)");
	assert_int_equal(o.id_like.n, 0);
	os_release_finish(&o);
}

static void id_like_words(void **state)
{
	struct os_release o = parse("ID=rocky\nID_LIKE=\"rhel  centos fedora\"\n");

	assert_int_equal(o.id_like.n, 3);
	assert_string_equal(o.id_like.items[0], "rhel");
	assert_string_equal(o.id_like.items[2], "fedora");
	os_release_finish(&o);
}

/* Each line and what PRETTY_NAME becomes; NULL: the line is skipped. */
static void values(void **state)
{
	static const struct {
		const char *line, *value;
	} cases[] = {
		{"PRETTY_NAME=plain", "plain"},
		{"PRETTY_NAME=", ""},
		{"PRETTY_NAME=\"\"", ""},
		{"  PRETTY_NAME=indented", "indented"},
		{"PRETTY_NAME='single \"quotes\" \\n $x'", "single \"quotes\" \\n $x"},
		{"PRETTY_NAME=\"a \\\"b\\\" \\$c \\`d\\` \\\\e \\n\"", "a \"b\" $c `d` \\e \\n"},
		{"PRETTY_NAME=a\\ b", "a b"},
		{"PRETTY_NAME=\"x=y\"", "x=y"},
		{"PRETTY_NAME=a'b'\"c\"", "abc"},
		{"PRETTY_NAME=blank after \t", NULL},
		{"PRETTY_NAME=blanks  \t", "blanks"},
		{"PRETTY_NAME=windows\r", "windows"},
		{"PRETTY_NAME=x # comment", "x"},
		{"PRETTY_NAME=\"not closed", NULL},
		{"PRETTY_NAME='not closed", NULL},
		{"PRETTY_NAME=\"ends in \\", NULL},
		{"#PRETTY_NAME=comment", NULL},
		{"PRETTY_NAMES=other", NULL},
		{"PRETTY_NAME", NULL},
		{"=", NULL},
		{"", NULL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *text =
			xasprintf("PRETTY_NAME=before\n%s\nID=after\n", cases[i].line);
		struct os_release o = parse(text);

		assert_string_equal(o.pretty_name, cases[i].value ? cases[i].value : "before");
		assert_string_equal(o.id, "after");
		os_release_finish(&o);
	}
}

static void nothing(void **state)
{
	struct os_release o = parse("");

	assert_string_equal(o.id, "");
	assert_string_equal(o.version_id, "");
	assert_string_equal(o.version_codename, "");
	assert_string_equal(o.pretty_name, "");
	os_release_finish(&o);
	os_release_finish(&o); /* twice is fine */
}

static void nul_and_size(void **state)
{
	static const char nul[] = "ID=a\0b\nVERSION_ID=1";
	struct os_release o;

	os_release_parse(nul, sizeof(nul) - 1, &o);
	assert_string_equal(o.id, "");
	assert_string_equal(o.version_id, "1");
	os_release_finish(&o);

	char *big = xmalloc(OS_RELEASE_MAX + 16);
	memset(big, '\n', OS_RELEASE_MAX + 16);
	memcpy(big + OS_RELEASE_MAX, "ID=late\n", 8);
	os_release_parse(big, OS_RELEASE_MAX + 16, &o);
	assert_string_equal(o.id, "");
	os_release_finish(&o);
	free(big);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(debian),
		cmocka_unit_test(id_like_words),
		cmocka_unit_test(values),
		cmocka_unit_test(nothing),
		cmocka_unit_test(nul_and_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
