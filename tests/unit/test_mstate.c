#include "mstate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above it */
#include <cmocka.h>

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
