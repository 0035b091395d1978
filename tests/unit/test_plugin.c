#include "plugin.h"

#include "mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define CLIENT "DOCKER_CLI_PLUGIN_ORIGINAL_CLI_COMMAND"

static void check(const char *client, const char *line, const char *want, size_t own)
{
	struct strv argv = STRV_INIT;

	if (client)
		setenv(CLIENT, client, 1);
	else
		unsetenv(CLIENT);
	unsetenv("DOCKER_CONFIG");
	strv_split(&argv, line, ' ');
	size_t got = plugin_take(&argv);
	_cleanup_free_ char *text = strv_join(&argv, " ");
	assert_string_equal(text, want);
	assert_int_equal(got, own);
	strv_finish(&argv);
}

static void test_calls_of_the_client(void **state)
{
	static const struct {
		const char *line, *want;
	} cases[] = {
		{"p machine", "docker machine"},
		{"p machine ls -q", "docker machine ls -q"},
		{"p help machine", "docker machine help"},
		{"p help machine ls", "docker machine help ls"},
		{"p -D machine ls", "docker machine --debug ls"},
		{"p --debug=true machine ls", "docker machine --debug ls"},
		{"p --debug=false machine ls", "docker machine ls"},
		{"p --config machine machine ls", "docker machine ls"},
		{"p --config=x -c y -lz -H=a -Hb --tlsverify machine ls", "docker machine ls"},
		{"p --log-level info --tls --host x machine machine", "docker machine machine"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		check("docker", cases[i].line, cases[i].want, 2);
	check("/usr/bin/docker", "p machine ls", "/usr/bin/docker machine ls", 2);
}

/* A variable that was inherited makes no plugin call of these. */
static void test_calls_of_others(void **state)
{
	static const char *const lines[] = {"p", "p ls", "p -D ls", "p -D", "p --config",
		"p --config machine", "p -c machine", "p --bugsnag-api-token=x ls",
		"p -s x machine", "p help ls", "p help", "p -DD machine", "p --no-such machine",
		"p ls machine"};

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		check("docker", lines[i], lines[i], 1);
}

static void test_without_the_client(void **state)
{
	check(NULL, "p machine ls", "p machine ls", 2);
	check("", "p machine", "p machine", 2);
	check(NULL, "p -D machine ls", "p -D machine ls", 1);
	check(NULL, "p help machine", "p help machine", 1);
	check(NULL, "p ls", "p ls", 1);
}

static void test_config(void **state)
{
	check("docker", "p --config=/a/b machine ls", "docker machine ls", 2);
	assert_string_equal(getenv("DOCKER_CONFIG"), "/a/b");
	check("docker", "p --config /c machine ls", "docker machine ls", 2);
	assert_string_equal(getenv("DOCKER_CONFIG"), "/c");
	check("docker", "p --config= machine ls", "docker machine ls", 2);
	assert_null(getenv("DOCKER_CONFIG"));
}

static void test_asked(void **state)
{
	struct strv argv = STRV_INIT;

	strv_add(&argv, "p");
	assert_false(plugin_asked(&argv));
	strv_add(&argv, "docker-cli-plugin-metadata");
	assert_true(plugin_asked(&argv));
	strv_add(&argv, "x");
	assert_false(plugin_asked(&argv));
	strv_finish(&argv);
}

static void test_no_socket(void **state)
{
	char name[200];

	memset(name, 'x', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	unsetenv("DOCKER_CLI_PLUGIN_SOCKET");
	assert_int_equal(plugin_connect(), -1);
	const char *const values[] = {"", "@", "@no such socket", "/nonexistent/socket", name};
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		setenv("DOCKER_CLI_PLUGIN_SOCKET", values[i], 1);
		assert_int_equal(plugin_connect(), -1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_calls_of_the_client),
		cmocka_unit_test(test_calls_of_others),
		cmocka_unit_test(test_without_the_client),
		cmocka_unit_test(test_config),
		cmocka_unit_test(test_asked),
		cmocka_unit_test(test_no_socket),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
