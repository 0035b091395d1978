#include "engine_options.h"

#include "mem.h"
#include "provision.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define HEAD "[Service]\nExecStart=\nExecStart="

static struct strv list(const char *a, const char *b)
{
	struct strv v = STRV_INIT;

	if (a)
		strv_add(&v, a);
	if (b)
		strv_add(&v, b);
	return v;
}

static void file_bytes(void **state)
{
	_cleanup_err_ struct err err = ERR_INIT;
	_cleanup_buf_ struct buf b = BUF_INIT;
	_cleanup_strv_ struct strv argv = STRV_INIT;
	_cleanup_strv_ struct strv labels = list("k=v", NULL), insecure = list("r.io", NULL),
				   mirrors = list("http://m", NULL),
				   opts = list("log-driver=none", "log-opt max-size=1m"),
				   env = list("A=B", "C=D E");
	struct provision_request rq = {
		.driver = "generic",
		.engine_port = 2376,
		.labels = &labels,
		.insecure_registries = &insecure,
		.registry_mirrors = &mirrors,
		.engine_opts = &opts,
		.engine_env = &env,
		.storage_driver = "overlay2",
	};

	engine_argv("/usr/sbin/dockerd", "/etc/docker", &rq, &argv);
	assert_int_equal(systemd_options(&argv, &env, &b, &err), 0);
	assert_string_equal(buf_str(&b),
		HEAD "/usr/sbin/dockerd -H tcp://0.0.0.0:2376 -H unix:///var/run/docker.sock "
		     "--storage-driver overlay2 --tlsverify --tlscacert /etc/docker/ca.pem "
		     "--tlscert /etc/docker/server.pem --tlskey /etc/docker/server-key.pem "
		     "--label k=v --label provider=generic --insecure-registry r.io "
		     "--registry-mirror http://m --log-driver=none --log-opt max-size=1m\n"
		     "Environment=A=B \"C=D E\"\n");
}

static void no_options(void **state)
{
	_cleanup_err_ struct err err = ERR_INIT;
	_cleanup_buf_ struct buf b = BUF_INIT;
	_cleanup_strv_ struct strv argv = STRV_INIT, labels = list("provider=mine", NULL);
	struct provision_request rq = {
		.driver = "none", .engine_port = 12376, .labels = &labels, .storage_driver = ""};

	engine_argv("/usr/bin/dockerd", "/etc/docker", &rq, &argv);
	assert_int_equal(systemd_options(&argv, NULL, &b, &err), 0);
	assert_string_equal(buf_str(&b),
		HEAD "/usr/bin/dockerd -H tcp://0.0.0.0:12376 -H unix:///var/run/docker.sock "
		     "--tlsverify --tlscacert /etc/docker/ca.pem --tlscert /etc/docker/server.pem "
		     "--tlskey /etc/docker/server-key.pem --label provider=mine\n");
}

/* A word as it stands on a command line and in Environment=. */
static void quoting(void **state)
{
	static const struct {
		const char *word, *command, *environment;
	} cases[] = {
		{"A=$(reboot)", "A=$$(reboot)", "A=$(reboot)"},
		{"A=`reboot`", "A=`reboot`", "A=`reboot`"},
		{"A=${HOME} $HOME", "\"A=$${HOME} $$HOME\"", "\"A=${HOME} $HOME\""},
		{"A=100%n", "A=100%%n", "A=100%%n"},
		{"A=\"x\"", "\"A=\\\"x\\\"\"", "\"A=\\\"x\\\"\""},
		{"A='x'", "\"A='x'\"", "\"A='x'\""},
		{"A=x\\", "\"A=x\\\\\"", "\"A=x\\\\\""},
		{"A=;rm -rf /", "\"A=;rm -rf /\"", "\"A=;rm -rf /\""},
		{"A=\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\xb3", "A=\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\xb3",
			"A=\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\xb3"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_err_ struct err err = ERR_INIT;
		_cleanup_buf_ struct buf b = BUF_INIT;
		_cleanup_strv_ struct strv argv = list("/d", cases[i].word),
					   env = list(cases[i].word, NULL);
		_cleanup_free_ char *want = xasprintf(
			HEAD "/d %s\nEnvironment=%s\n", cases[i].command, cases[i].environment);

		assert_int_equal(systemd_options(&argv, &env, &b, &err), 0);
		assert_string_equal(buf_str(&b), want);
	}
}

static void refused(void **state)
{
	static const char *const words[] = {"a\nExecStartPre=/bin/sh", "a\r", "a\tb", "a\x7f",
		"a\x1b[0m", "\xff", "\xc0\x80", "\xe2\x82", "\xed\xa0\x80", "\xf4\x90\x80\x80",
		"\xe0\x80\x80"};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		_cleanup_err_ struct err err = ERR_INIT, err2 = ERR_INIT;
		_cleanup_buf_ struct buf b = BUF_INIT;
		_cleanup_strv_ struct strv argv = list("/d", words[i]), ok = list("/d", NULL),
					   env = STRV_INIT;

		strv_addf(&env, "A=%s", words[i]);
		assert_int_equal(systemd_options(&argv, NULL, &b, &err), -1);
		assert_int_equal(err.code, ERR_USER);
		assert_null(strchr(err_msg(&err), '\n'));
		assert_int_equal(systemd_options(&ok, &env, &b, &err2), -1);
		assert_int_equal(b.len, 0);
	}
}

static void variables(void **state)
{
	static const char *const words[] = {"", "A", "=x", "1A=x", "A B=x", "A-B=x", "$A=x"};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		_cleanup_err_ struct err err = ERR_INIT;
		_cleanup_buf_ struct buf b = BUF_INIT;
		_cleanup_strv_ struct strv argv = list("/d", NULL), env = list(words[i], NULL);

		assert_int_equal(systemd_options(&argv, &env, &b, &err), -1);
		assert_int_equal(err.code, ERR_USER);
	}
}

static void limits(void **state)
{
	_cleanup_err_ struct err err = ERR_INIT, err2 = ERR_INIT;
	_cleanup_buf_ struct buf b = BUF_INIT;
	_cleanup_free_ char *big = xmalloc(ENGINE_OPTIONS_MAX + 1);
	_cleanup_strv_ struct strv argv = STRV_INIT, relative = list("dockerd", NULL);

	memset(big, 'a', ENGINE_OPTIONS_MAX);
	big[ENGINE_OPTIONS_MAX] = '\0';
	argv = list("/d", big);
	assert_int_equal(systemd_options(&argv, NULL, &b, &err), -1);
	assert_int_equal(err.code, ERR_USER);
	assert_int_equal(systemd_options(&relative, NULL, &b, &err2), -1);
}

/* key NULL: no conflict. */
static void conflicts(void **state)
{
	static const struct {
		const char *json, *text;
	} cases[] = {
		{NULL, NULL},
		{"", NULL},
		{" \n", NULL},
		{"{}", NULL},
		{"{\"data-root\": \"/x\", \"log-level\": \"info\", \"tls\": true}", NULL},
		{"{\"hosts\": [\"fd://\"]}", "sets \"hosts\", which is also set by -H"},
		{"{\"tlscacert\": \"/x\"}", "\"tlscacert\""},
		{"{\"tlsverify\": false}", "\"tlsverify\""},
		{"{\"labels\": []}", "use --engine-label"},
		{"{\"log-driver\": \"x\"}", "leave out the --engine-opt"},
		{"{\"log-opts\": {}}", "\"log-opts\""},
		{"{\"runtimes\": {}}", NULL},
		{"{\"registry-mirrors\": []}", NULL}, /* none given */
		{"{\"storage-driver\": \"x\"}", NULL},
		{"{", "not valid JSON"},
		{"[]", "not a JSON object"},
	};
	_cleanup_strv_ struct strv argv = STRV_INIT,
				   opts = list("log-driver=none", "add-runtime=x=y");
	struct provision_request rq = {.driver = "generic", .engine_port = 1, .engine_opts = &opts};

	strv_add(&opts, "log-opt max-size=1m");
	engine_argv("/d", "/etc/docker", &rq, &argv);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_err_ struct err err = ERR_INIT;
		int rc = daemon_json_check(cases[i].json, &argv, &err);

		assert_int_equal(rc, cases[i].text ? -1 : 0);
		if (rc < 0) {
			assert_int_equal(err.code, ERR_USER);
			assert_non_null(strstr(err_msg(&err), cases[i].text));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(file_bytes),
		cmocka_unit_test(no_options),
		cmocka_unit_test(quoting),
		cmocka_unit_test(refused),
		cmocka_unit_test(variables),
		cmocka_unit_test(limits),
		cmocka_unit_test(conflicts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
