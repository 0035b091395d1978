/* The hosts' addresses: which subnet, which number. */
#include "mem.h"
#include "subnet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_parse(void **state)
{
	static const char *const wrong[] = {"", "10.1.2.0", "10.1.2.0/", "10.1.2.0/x",
		"10.1.2.1/24", "10.1.2.0/15", "10.1.2.0/29", "10.1.2.0/24 ", " 10.1.2.0/24",
		"10.1.2/24", "10.1.256.0/24", "10.1.2.0/99", "10.1.2.0/4294967320", "fd00::/64",
		"10.1.2.0.0/24", "10.0.1.0/16"};
	struct subnet s;

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_false(subnet_parse(wrong[i], &s));
	assert_true(subnet_parse("10.1.2.0/24", &s));
	_cleanup_free_ char *text = subnet_text(&s), *gateway = subnet_address(&s, SUBNET_GATEWAY);
	assert_string_equal(text, "10.1.2.0/24");
	assert_string_equal(gateway, "10.1.2.1");
	assert_true(subnet_parse("10.1.0.0/16", &s));
	_cleanup_free_ char *far = subnet_address(&s, 300);
	assert_string_equal(far, "10.1.1.44");
	assert_int_equal(subnet_number(&s, far), 300);
}

static void test_number(void **state)
{
	static const struct {
		const char *address;
		uint32_t number;
	} cases[] = {{"10.1.2.2", 2}, {"10.1.2.254", 254}, {"10.1.2.0", 0}, {"10.1.2.1", 0},
		{"10.1.2.255", 0}, {"10.1.3.2", 0}, {"", 0}, {"10.1.2.2.tmp12", 0}, {"x", 0}};
	struct subnet s;

	assert_true(subnet_parse("10.1.2.0/24", &s));
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(subnet_number(&s, cases[i].address), cases[i].number);
}

static void test_in_use(void **state)
{
	static const struct {
		const char *listing;
		bool used;
	} cases[] = {
		{"", false},
		{"default via 192.0.2.1 dev eth0\n192.0.2.0/24 dev eth0 src 192.0.2.2\n", false},
		{"10.213.0.0/24 dev br0\n", true},
		{"10.213.0.77 dev wg0\n", true},
		{"unreachable 10.213.0.128/25\n", true},
		{"local 10.213.0.9 dev lo table local\n", true},
		{"10.0.0.0/8 via 192.0.2.9 dev tun0\n", true},
		{"10.208.0.0/12 dev tun0\n", true},
		{"10.213.1.0/24 dev br0\n", false},
		/* ways to everywhere */
		{"0.0.0.0/1 dev tun0\n128.0.0.0/1 dev tun0\n", false},
		{"2: eth0    inet 10.213.0.4/24 brd 10.213.0.255 scope global eth0\n", true},
		/* names and numbers that look alike */
		{"10.213.0 dev a10.213.0.5b 10.213.0.1000\n", false},
	};
	struct subnet s;

	assert_true(subnet_parse("10.213.0.0/24", &s));
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(subnet_in_use(&s, cases[i].listing), cases[i].used);
}

static void test_choose(void **state)
{
	struct subnet s;

	assert_true(subnet_choose("192.0.2.0/24 dev eth0\n", &s));
	_cleanup_free_ char *first = subnet_text(&s);
	assert_string_equal(first, "10.213.0.0/24");
	assert_true(subnet_choose("10.0.0.0/8 dev tun0\n", &s));
	_cleanup_free_ char *other = subnet_text(&s);
	assert_string_equal(other, "172.31.213.0/24");
	assert_false(subnet_choose("10.0.0.0/8 dev a\n172.16.0.0/12 dev b\n192.168.0.0/16 dev "
				   "c\n198.18.0.0/15 dev d\n",
		&s));
}

static bool is_taken(uint32_t number, const void *arg)
{
	const bool *taken = arg;

	return taken[number];
}

static void test_next(void **state)
{
	bool taken[16] = {false};
	struct subnet s;

	assert_true(subnet_parse("10.1.2.0/28", &s)); /* numbers 2 to 14 */
	assert_int_equal(subnet_next(&s, 0, is_taken, taken), 2);
	assert_int_equal(subnet_next(&s, 2, is_taken, taken), 3);
	assert_int_equal(subnet_next(&s, 14, is_taken, taken), 2);
	assert_int_equal(subnet_next(&s, 4000, is_taken, taken), 2);
	taken[3] = taken[4] = true;
	assert_int_equal(subnet_next(&s, 2, is_taken, taken), 5);
	for (size_t i = 0; i < ARRAY_SIZE(taken); i++)
		taken[i] = true;
	assert_int_equal(subnet_next(&s, 2, is_taken, taken), 0);
	taken[14] = false;
	assert_int_equal(subnet_next(&s, 14, is_taken, taken), 14);
	assert_int_equal(subnet_next(&s, 5, is_taken, taken), 14);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_number),
		cmocka_unit_test(test_in_use),
		cmocka_unit_test(test_choose),
		cmocka_unit_test(test_next),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
