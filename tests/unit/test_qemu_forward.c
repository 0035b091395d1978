/* Texts of the qemu driver's flags. */
#include "buf.h"
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
		{"~/x:/y", "/home/u/x", "/y", false},
		{"a", NULL, NULL, false},
		{"./a:/b", NULL, NULL, false},
		{"~u/a:/b", NULL, NULL, false},
		{"/a:b", NULL, NULL, false},
		{"/a:/", NULL, NULL, false},
		{"/a:/b c", NULL, NULL, false},
		{"/a b", NULL, NULL, false},
		{"", NULL, NULL, false},
		{":/b", NULL, NULL, false},
	};

	setenv("HOME", "/home/u", 1);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_err_ struct err err = ERR_INIT;
		_cleanup_json_ struct json *share = NULL;
		int r = share_parse(cases[i].text, i, &share, &err);

		assert_int_equal(r, cases[i].host ? 0 : -1);
		if (r < 0)
			continue;
		_cleanup_free_ char *tag = xasprintf("share%zu", i);
		assert_string_equal(json_str(json_get(share, "Host"), ""), cases[i].host);
		assert_string_equal(json_str(json_get(share, "Guest"), ""), cases[i].guest);
		assert_string_equal(json_str(json_get(share, "Tag"), ""), tag);
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
		{"", ""},
		{"192.0.2.7", "192.0.2.7/24"},
		{"192.0.2.7/16", "192.0.2.7/16"},
		{"192.0.2.7,192.0.2.1", "192.0.2.7/24,192.0.2.1"},
		{"192.0.2.7/16,192.0.2.1,192.0.2.2", "192.0.2.7/16,192.0.2.1,192.0.2.2"},
		{"192.0.2.7/16,192.0.2.1,192.0.2.2,192.0.2.3", NULL},
		{"192.0.2.7/16,gw", NULL},
		{"192.0.2.7/16,192.0.2.1/24", NULL},
		{"192.0.2.7/", NULL},
		{"192.0.2.7/31", NULL},
		{"192.0.2.7/0", NULL},
		{"192.0.2.7/16x", NULL},
		{"192.0.2", NULL},
		{"2001:db8::1", NULL},
		{",", NULL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_err_ struct err err = ERR_INIT;
		_cleanup_free_ char *full = NULL;

		assert_int_equal(
			address_list_parse(cases[i].text, &full, &err), cases[i].full ? 0 : -1);
		if (cases[i].full)
			assert_string_equal(full, cases[i].full);
		else
			assert_int_equal(err.code, ERR_USER);
	}
}

static void test_host_names(void **state)
{
	static const char *const good[] = {"w1", "a", "web-1.example.org", "1", "A.b"};
	static const char *const bad[] = {"", "-a", "a-", "a.", ".a", "a..b", "a.-b", "a_b", "a b",
		"0123456789012345678901234567890123456789012345678901234567890123",
		"a.012345678901234567890123456789.012345678901234567890123456789.ab"};

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_true(is_host_name(good[i]));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(is_host_name(bad[i]));
}

static void test_port_of_forwards(void **state)
{
	_cleanup_free_ char *address = NULL, *none = NULL;

	assert_int_equal(forward_port("tcp:192.0.2.1:8080-:80", &address), 8080);
	assert_string_equal(address, "192.0.2.1");
	assert_int_equal(forward_port("udp:192.0.2.1:8080-:80", &none), 0);
	assert_null(none);
}

static void test_versions(void **state)
{
	assert_int_equal(qemu_version_of("QEMU emulator version 7.2.22 (Debian 1)\nx"), 702);
	assert_int_equal(qemu_version_of("qemu-img version 5.1.0"), 501);
	assert_int_equal(qemu_version_of("QEMU emulator version 10.0.2"), 1000);
	assert_int_equal(qemu_version_of("VirtualBox 7"), 0);
	assert_int_equal(qemu_version_of("version x"), 0);
}

static void test_bridges(void **state)
{
	static const struct {
		const char *text;
		bool allowed;
	} cases[] = {
		{"allow br0\n", true},
		{"# allow br0\nallow br1\n", false},
		{"allow all\n", true},
		{"allow all\ndeny br0\n", false},
		{"include /etc/qemu/other.conf\n", true},
		{"", false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(bridge_is_allowed(cases[i].text, "br0"), cases[i].allowed);
}

static void test_console_tail(void **state)
{
	char text[] = "a\n\33[1mb\33[0m\xff\r\nc\n\n";
	struct buf many = BUF_INIT;

	_cleanup_free_ char *short_one = md_tail(text, strlen(text));
	assert_string_equal(short_one, "a\n?[1mb?[0m?\nc");
	for (int i = 0; i < 100; i++)
		buf_addf(&many, "line %d\n", i);
	_cleanup_free_ char *last = md_tail(many.data, many.len);
	assert_int_equal(strncmp(last, "line 80\n", 8), 0);
	assert_string_equal(last + strlen(last) - 7, "line 99");
	buf_clear(&many);
	for (int i = 0; i < 9000; i++)
		buf_addc(&many, 'x');
	_cleanup_free_ char *long_one = md_tail(many.data, many.len);
	assert_int_equal(strlen(long_one), 4096);
	buf_finish(&many);
}

static void test_macs(void **state)
{
	assert_true(is_mac("52:54:00:0a:0B:0c"));
	assert_false(is_mac("53:54:00:0a:0b:0c")); /* of a group */
	assert_false(is_mac("52:54:00:0a:0b"));
	assert_false(is_mac("52:54:00:0a:0b:0c:0d"));
	assert_false(is_mac("52-54-00-0a-0b-0c"));
	assert_false(is_mac(""));
}

static void test_leases(void **state)
{
	static const char arp[] =
		"IP address       HW type     Flags       HW address            Mask     Device\n"
		"192.0.2.1        0x1         0x2         52:54:00:00:00:01     *        br0\n"
		"192.0.2.8        0x1         0x0         52:54:00:00:00:02     *        br0\n"
		"192.0.2.9        0x1         0x2         52:54:00:00:00:02     *        br0\n";
	static const char leases[] = "1795432957 52:54:00:00:00:03 192.0.2.30 w3 01:52:54\n"
				     "duid 00:01\n";
	_cleanup_free_ char *known = lease_in_arp(arp, "52:54:00:00:00:02"),
			    *unknown = lease_in_arp(arp, "52:54:00:00:00:03"),
			    *leased = lease_in_leases(leases, "52:54:00:00:00:03"),
			    *none = lease_in_leases("", "52:54:00:00:00:03");

	assert_string_equal(known, "192.0.2.9");
	assert_string_equal(unknown, "");
	assert_string_equal(leased, "192.0.2.30");
	assert_string_equal(none, "");

	static const char *const statuses[] = {
		"[{\"ip-address\": \"192.0.2.40\", \"mac-address\": \"52:54:00:00:00:04\"},"
		"{\"ip-address\": \"192.0.2.41\", \"mac-address\": \"52:54:00:00:00:04\"},"
		"{\"ip-address\": \"2001:db8::1\", \"mac-address\": \"52:54:00:00:00:04\"}]",
		"[{\"ip-address\": \"192.0.2.40\", \"mac-address\": \"52:54:00:00:00:05\"}, 5]",
		"{}", "", "nonsense"};
	for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
		_cleanup_free_ char *found = lease_in_status(statuses[i], "52:54:00:00:00:04");

		assert_string_equal(found, i ? "" : "192.0.2.41");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forwards),
		cmocka_unit_test(test_shares),
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_host_names),
		cmocka_unit_test(test_port_of_forwards),
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_bridges),
		cmocka_unit_test(test_console_tail),
		cmocka_unit_test(test_macs),
		cmocka_unit_test(test_leases),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
