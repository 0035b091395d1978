/* Patterns that mean the same to Go's regexp package. */
#include "ls_regex.h"

#include "mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct matching {
	const char *pattern, *yes, *no;
};

static void check(const struct matching *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		_cleanup_err_ struct err err = ERR_INIT;
		regex_t re;
		if (regex_compile(cases[i].pattern, &re, &err) < 0)
			fail_msg("%s: %s", cases[i].pattern, err_msg(&err));
		if (regexec(&re, cases[i].yes, 0, NULL, 0) != 0)
			fail_msg("%s does not match %s", cases[i].pattern, cases[i].yes);
		if (cases[i].no && regexec(&re, cases[i].no, 0, NULL, 0) == 0)
			fail_msg("%s matches %s", cases[i].pattern, cases[i].no);
		regfree(&re);
	}
}

static void test_matches(void **state)
{
	static const struct matching cases[] = {
		{"web", "my-web-1", "wab"},
		{"", "anything", NULL},
		{"^web$", "web", "web1"},
		{"^web\\d+$", "web12", "webd"},
		{"^\\D+$", "web", "web1"},
		{"\\Aa\\z", "a", "ab"},
		{"^a{01}$", "a{01}", "a"},
		{"^(?:a|b)+$", "abba", "abc"},
		{"^(?P<x>a)(?<y>b)$", "ab", "a"},
		{"(?i)WEB", "my-web", "wab"},
		{"^a+?b*?c??$", "aab", "aabcc"},
		{"^a{2,3}?$", "aaa", "a"},
		{"^web\\.1$", "web.1", "webx1"},
		{"\\<web", "my-<web>", "my-web"},
		{"web\\>", "my-<web>", "web"},
		{"\\`web\\'", "my-`web'", "web"},
		{"\\bweb\\b", "my-web-1", "webs"},
		{"a|b", "b", "c"},
		{"^a{1}b{2,}$", "abbb", "ab"},
		{"^a{,2}$", "a{,2}", "aa"},
		{"^{a}?$", "{a", "a"},
		{"^\\Qweb.1\\E$", "web.1", "webx1"},
		{"^\\Qa.b\\E+$", "a.bb", "a.ba.b"},
		{"^\\Q\\d[(*", "\\d[(*", "1"},
		{"^\\Q<`'>{}|^\\E\\d$", "<`'>{}|^1", "<`'>{}|^d"},
		{"^a\\Q\\E*b\\Q\\E$", "aab", "a"},
	};

	(void)state;
	check(cases, ARRAY_SIZE(cases));
}

static void test_brackets(void **state)
{
	static const struct matching cases[] = {
		{"^[\\d-]+$", "1-2", "1d"},
		{"^[\\w]+$", "a_1", "a-1"},
		{"^[^\\d]+$", "ab", "a1"},
		{"^[a\\-z]+$", "a-z", "b"},
		{"^[\\]a]+$", "a]", "b"},
		{"^[]a]+$", "a]", "b"},
		{"^[^]a]+$", "b", "]"},
		{"^[\\^]$", "^", "a"},
		{"^[\\^-]$", "^", "a"},
		{"^[\\^a]$", "a", "b"},
		{"^[[:alpha:]-]+$", "a-b", "1"},
		{"^[[:^alpha:]]+$", "1-", "a"},
		{"^[[:word:].]+$", "a_1.b", "a-b"},
		{"^[\\D]$", "a", "1"},
		{"^[^\\D-]$", "1", "-"},
		{"^[\\^!--]$", ",", "b"}, /* up to "-" */
		{"^[^\\--9]$", "a", "."},
		{"^[1-\\]]$", "A", "a"},
		{"^[\\^-a]$", "_", "-"},
		{"^[a^.[]+$", "[.^a", "]"},
		{"^[[=a]$", "=", "b"},
		{"(?i)^[1-a]$", "Z", "{"},
		{"(?i)^[^x]$", "y", "X"},
	};

	(void)state;
	check(cases, ARRAY_SIZE(cases));
}

static void test_refused(void **state)
{
	static const struct {
		const char *pattern, *text;
	} cases[] = {
		{"(", NULL},
		{"*a", NULL},
		{"(*a)", NULL},
		{"a|+", NULL},
		{"a**", "error parsing regexp: invalid nested repetition operator: `**`"},
		{"a*?+b", "error parsing regexp: invalid nested repetition operator: `*?+`"},
		{"a{2}{3,}", "error parsing regexp: invalid nested repetition operator: `{2}{3,}`"},
		{"a{1001}", "error parsing regexp: invalid repeat count: `{1001}`"},
		{"a{2,99999999999999999999}",
			"error parsing regexp: invalid repeat count: `{2,99999999999999999999}`"},
		{"((a{100}){100}){100}", "error parsing regexp: expression too large: ``"},
		{"a)", "error parsing regexp: unexpected ): `)`"},
		{"[a", "error parsing regexp: missing closing ]: `[a`"},
		{"a\\", "error parsing regexp: trailing backslash at end of expression: ``"},
		{"\\q", "error parsing regexp: invalid escape sequence: `\\q`"},
		{"(a)\\1", "error parsing regexp: invalid escape sequence: `\\1`"},
		{"[\\q]", "error parsing regexp: invalid escape sequence: `\\q`"},
		{"(?=a)", "error parsing regexp: invalid or unsupported Perl syntax: `(?=`"},
		{"(?<=a>)", "error parsing regexp: invalid or unsupported Perl syntax: `(?<`"},
		{"(?", "error parsing regexp: invalid or unsupported Perl syntax: `(?`"},
		{"[\\", "error parsing regexp: invalid escape sequence: `\\`"},
		{"\\E", "error parsing regexp: invalid escape sequence: `\\E`"},
		{"[\\Qa\\E]", "error parsing regexp: invalid escape sequence: `\\Q`"},
		{"\\Q\\E*", NULL},
		{"[b-a]", "error parsing regexp: invalid character class range: `b-a`"},
		{"[[:none:]]", "error parsing regexp: invalid character class range: `[:none:]`"},
		{"[[:d:]]", "error parsing regexp: invalid character class range: `[:d:]`"},
		{"[a-\\d]", "error parsing regexp: invalid escape sequence: `\\d`"},
		{"(\\Q0123456789\\E{1000}){20}", "error parsing regexp: expression too large: ``"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_err_ struct err err = ERR_INIT;
		regex_t re;
		if (regex_compile(cases[i].pattern, &re, &err) == 0)
			fail_msg("%s is accepted", cases[i].pattern);
		assert_int_equal(err.code, ERR_USER);
		if (cases[i].text)
			assert_string_equal(err_msg(&err), cases[i].text);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_matches),
		cmocka_unit_test(test_brackets),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
