#include "log.h"
#include "mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above it */
#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

static char *last;
static enum log_level last_level;
static int lines;

static void sink(void *userdata, enum log_level level, const char *line)
{
	assert_ptr_equal(userdata, &last);
	free(last);
	last = xstrdup(line);
	last_level = level;
	lines++;
}

static int setup(void **state)
{
	log_set_sink(sink, &last);
	log_set_debug(false);
	lines = 0;
	return 0;
}

static int teardown(void **state)
{
	log_set_sink(NULL, NULL);
	free(take(last));
	return 0;
}

static void test_levels(void **state)
{
	log_info("%s %d", "a", 1);
	assert_string_equal(last, "a 1");
	assert_int_equal(last_level, LOG_LEVEL_INFO);
	log_warn("w");
	assert_int_equal(last_level, LOG_LEVEL_WARN);
	log_error("e");
	assert_int_equal(last_level, LOG_LEVEL_ERROR);
	assert_int_equal(lines, 3);
}

static void test_debug(void **state)
{
	log_debug("not seen");
	log_line(LOG_LEVEL_DEBUG, "nor this");
	assert_int_equal(lines, 0);
	log_set_debug(true);
	assert_true(log_debug_enabled());
	log_debug("seen");
	assert_string_equal(last, "seen");
	assert_int_equal(last_level, LOG_LEVEL_DEBUG);
}

static void test_one_harmless_line(void **state)
{
	errno = ERANGE;
	log_info("%s", "two\nlines\r\n\n");
	assert_int_equal(errno, ERANGE);
	assert_string_equal(last, "two lines");
	log_info("%s", "a\tb \x1b[2J \x7f \xc2\x9b \xc3\xa4");
	assert_string_equal(last, "a\tb ?[2J ? ?? \xc3\xa4");
	log_info("%s", "\xc2");
	assert_string_equal(last, "\xc2");
}

static void test_default_sink_is_stderr(void **state)
{
	int saved = dup(STDERR_FILENO), fds[2];
	char text[64] = "";

	assert_int_equal(pipe(fds), 0);
	dup2(fds[1], STDERR_FILENO);
	log_set_sink(NULL, NULL);
	log_warn("to stderr");
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(fds[1]);
	assert_int_equal(read(fds[0], text, sizeof(text) - 1), 10);
	assert_string_equal(text, "to stderr\n");
	close(fds[0]);
}

static void test_names(void **state)
{
	for (int l = LOG_LEVEL_DEBUG; l <= LOG_LEVEL_ERROR; l++)
		assert_int_equal(log_level_parse(log_level_name((enum log_level)l)), l);
	assert_int_equal(log_level_parse("fatal"), LOG_LEVEL_INFO);
	assert_int_equal(log_level_parse(NULL), LOG_LEVEL_INFO);
	assert_string_equal(log_level_name((enum log_level)99), "info");
}

static void test_clean(void **state)
{
	char text[] = "a\x1b[31m\tb\nc\r\x7f\xc2\x9b\xc3\xa4";

	(void)state;
	log_clean(text);
	assert_string_equal(text, "a?[31m\tb\nc??"
				  "??\xc3\xa4");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_levels, setup, teardown),
		cmocka_unit_test_setup_teardown(test_debug, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one_harmless_line, setup, teardown),
		cmocka_unit_test_setup_teardown(test_default_sink_is_stderr, setup, teardown),
		cmocka_unit_test(test_clean),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
