/* Texts of the qemu driver's flags. */
#include "qemu.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_forwards(void **state)
{
	static const struct {
		const char *text, *rule; /* NULL: refused */
	} cases[] = {
		{"8080:80", "tcp:127.0.0.1:8080-:80"},
		{"8080:80/tcp", "tcp:127.0.0.1:8080-:80"},
		{"53:5353/udp", "udp:127.0.0.1:53-:5353"},
		{"0.0.0.0:1:65535", "tcp:0.0.0.0:1-:65535"},
		{"0:80", NULL},
		{"80:0", NULL},
		{"80", NULL},
		{"80:", NULL},
		{":80", NULL},
		{"65536:80", NULL},
		{"8080:80/sctp", NULL},
		{"8080:80,hostfwd=tcp::1-:2", NULL},
		{"host:8080:80", NULL},
		{"::1:8080:80", NULL},
		{"99999999999999999999:80", NULL},
		{"+1:80", NULL},
		{"", NULL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_err_ struct err err = ERR_INIT;
		_cleanup_free_ char *rule = NULL;
		int r = forward_parse(cases[i].text, "127.0.0.1", &rule, &err);

		assert_int_equal(r, cases[i].rule ? 0 : -1);
		if (r == 0)
			assert_string_equal(rule, cases[i].rule);
		else
			assert_int_equal(err.code, ERR_USER);
	}
}

static void test_shares(void **state)
{
	static const struct {
		const char *text, *host, *guest; /* NULL: refused */
		bool read_only;
	} cases[] = {
		{"/a", "/a", "/a", false},
		{"/a:ro", "/a", "/a", true},
		{"/a:/b", "/a", "/b", false},
		{"/a,b:/b:ro", "/a,b", "/b", true},
		{"/a:b:/c", "/a:b", "/c", false},
		{"/a b:/c", "/a b", "/c", false},
		{"/a:b", NULL, NULL, false},
		{"/a:/", NULL, NULL, false},
		{"/a:/b c", NULL, NULL, false},
		{"/a b", NULL, NULL, false},
		{"", NULL, NULL, false},
		{":/b", NULL, NULL, false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_err_ struct err err = ERR_INIT;
		_cleanup_json_ struct json *share = NULL;
		int r = share_parse(cases[i].text, &share, &err);

		assert_int_equal(r, cases[i].host ? 0 : -1);
		if (r < 0)
			continue;
		assert_string_equal(json_str(json_get(share, "HostPath"), ""), cases[i].host);
		assert_string_equal(json_str(json_get(share, "GuestPath"), ""), cases[i].guest);
		assert_int_equal(
			json_bool_or(json_get(share, "ReadOnly"), false), cases[i].read_only);
	}
}

static void test_ranges(void **state)
{
	static const char *const bad[] = {
		"", "1", "1-", "-2", "5-5", "6-5", "1-65536", "1-2x", "a-b"};
	_cleanup_err_ struct err err = ERR_INIT;
	int min = 0, max = 0;

	assert_int_equal(port_range_parse("40000-40010", &min, &max, &err), 0);
	assert_int_equal(min, 40000);
	assert_int_equal(max, 40010);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(port_range_parse(bad[i], &min, &max, &err), -1);
		assert_int_equal(err.code, ERR_USER);
	}
}

static void test_addresses(void **state)
{
	static const struct {
		const char *text, *full; /* NULL: refused */
	} cases[] = {
		{"192.0.2.7", "192.0.2.7/24"},
		{"192.0.2.7/16", "192.0.2.7/16"},
		{"192.0.2.7/", NULL},
		{"192.0.2.7/31", NULL},
		{"192.0.2.7/0", NULL},
		{"192.0.2.7/16x", NULL},
		{"192.0.2", NULL},
		{"2001:db8::1", NULL},
		{"", NULL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_err_ struct err err = ERR_INIT;
		_cleanup_free_ char *full = NULL;

		assert_int_equal(address_parse("qemu-network-address", cases[i].text, &full, &err),
			cases[i].full ? 0 : -1);
		if (cases[i].full)
			assert_string_equal(full, cases[i].full);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forwards),
		cmocka_unit_test(test_shares),
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
