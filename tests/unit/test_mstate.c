#include "buf.h"
#include "mstate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above it */
#include <cmocka.h>

#include <string.h>

static void test_names(void **state)
{
	/* The numbers are in users' scripts (ls --filter, inspect) and may not move. */
	static const char *const names[] = {"", "Running", "Paused", "Saved", "Stopped", "Stopping",
		"Starting", "Error", "Timeout"};

	assert_int_equal(sizeof(names) / sizeof(names[0]), STATE_COUNT);
	for (int i = 0; i < STATE_COUNT; i++) {
		assert_string_equal(machine_state_name((enum machine_state)i), names[i]);
		assert_int_equal(machine_state_parse(names[i]), i);
	}
}

static void test_unknown(void **state)
{
	assert_string_equal(machine_state_name((enum machine_state)77), "");
	assert_string_equal(machine_state_name((enum machine_state) - 1), "");
	assert_int_equal(machine_state_parse(NULL), STATE_NONE);
	assert_int_equal(machine_state_parse("running"), STATE_NONE);
}

static void check_state(const char *text, int want)
{
	_cleanup_err_ struct err err = ERR_INIT;
	_cleanup_json_ struct json *j = NULL;

	assert_int_equal(json_parse(text, strlen(text), &j, &err), 0);
	assert_int_equal(driver_state_check(j, &err), want);
	assert_int_equal(err.code, want ? ERR_PROTOCOL : ERR_NONE);
}

static void check_depth(unsigned depth, int want)
{
	_cleanup_buf_ struct buf text = BUF_INIT;

	buf_adds(&text, "{\"A\":1,\"B\":");
	for (unsigned i = 1; i < depth; i++)
		buf_addc(&text, '[');
	for (unsigned i = 1; i < depth; i++)
		buf_addc(&text, ']');
	buf_adds(&text, ",\"C\":{}}");
	check_state(buf_str(&text), want);
}

static void check_size(size_t size, int want)
{
	_cleanup_buf_ struct buf text = BUF_INIT;

	buf_adds(&text, "{ \"A\": \"");
	for (size_t n = strlen("{\"A\":\"\"}"); n < size; n++)
		buf_addc(&text, 'x');
	buf_adds(&text, "\" }");
	check_state(buf_str(&text), want);
}

static void test_state_limits(void **state)
{
	_cleanup_err_ struct err err = ERR_INIT;

	check_state("{}", 0);
	check_state("[]", -1);
	assert_int_equal(driver_state_check(NULL, &err), -1);
	check_depth(DRIVER_STATE_MAX_DEPTH, 0);
	check_depth(DRIVER_STATE_MAX_DEPTH + 1, -1);
	check_size(DRIVER_STATE_MAX_BYTES, 0);
	check_size(DRIVER_STATE_MAX_BYTES + 1, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_state_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
