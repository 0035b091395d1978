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
#define _cleanup_line_ __attribute__((cleanup(engine_line_finish)))

typedef int writer(const struct engine_line *l, struct buf *ret, struct err *err);
static writer *const writers[] = {
	systemd_options, flatcar_options, openrc_options, boot2docker_options};

static struct strv list(const char *a, const char *b)
{
	struct strv v = STRV_INIT;

	if (a)
		strv_add(&v, a);
	if (b)
		strv_add(&v, b);
	return v;
}

/* A line of one's own; the values of argv are the user's. */
static struct engine_line line_of(struct strv take_argv, const struct strv *env)
{
	return (struct engine_line){.argv = take_argv,
		.own = 1,
		.env = env,
		.dir = "/etc/docker",
		.storage_driver = ""};
}

#define TLS                                                                            \
	"--tlsverify --tlscacert /etc/docker/ca.pem --tlscert /etc/docker/server.pem " \
	"--tlskey /etc/docker/server-key.pem "
#define BASE "-H tcp://0.0.0.0:2376 -H unix:///var/run/docker.sock --storage-driver overlay2 " TLS
#define OWN                                                              \
	"--label k=v --label provider=generic --insecure-registry r.io " \
	"--registry-mirror http://m --log-driver=none --log-opt max-size=1m"
#define Q "'\\''" /* a quote within quotes */

static void file_bytes(void **state)
{
	static const struct {
		writer *write;
		const char *text;
	} cases[] = {
		{systemd_options,
			HEAD "/usr/sbin/dockerd " BASE OWN "\nEnvironment=A=B \"C=D E\"\n"},
		{flatcar_options,
			"[Service]\nEnvironment=TMPDIR=/var/tmp\nExecStart=\n"
			"ExecStart=/usr/sbin/dockerd " BASE OWN
			" $DOCKER_OPTS $DOCKER_OPT_BIP $DOCKER_OPT_MTU $DOCKER_OPT_IPMASQ\n"
			"Environment=A=B \"C=D E\"\n"},
		{openrc_options, "DOCKERD_BINARY=/usr/sbin/dockerd\nDOCKER_OPTS='" BASE OWN
				 "'\nexport 'A=B'\nexport 'C=D E'\n"},
		{boot2docker_options,
			"EXTRA_ARGS='\n--label k=v\n--label provider=generic\n"
			"--insecure-registry r.io\n--registry-mirror http://m\n"
			"--log-driver=none\n--log-opt max-size=1m\n'\n"
			"CACERT=/etc/docker/ca.pem\n"
			"DOCKER_HOST='-H tcp://0.0.0.0:2376'\nDOCKER_STORAGE=overlay2\n"
			"DOCKER_TLS=auto\n"
			"SERVERKEY=/etc/docker/server-key.pem\nSERVERCERT=/etc/docker/server.pem\n"
			"export 'A=B'\nexport 'C=D E'\n"},
	};
	_cleanup_line_ struct engine_line l;
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

	engine_line_init(&l, "/usr/sbin/dockerd", "/etc/docker", &rq);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_err_ struct err err = ERR_INIT;
		_cleanup_buf_ struct buf b = BUF_INIT;

		assert_int_equal(cases[i].write(&l, &b, &err), 0);
		assert_string_equal(buf_str(&b), cases[i].text);
	}
}

static void no_options(void **state)
{
	_cleanup_err_ struct err err = ERR_INIT;
	_cleanup_buf_ struct buf b = BUF_INIT;
	_cleanup_strv_ struct strv labels = list("provider=mine", NULL);
	_cleanup_line_ struct engine_line l;
	struct provision_request rq = {
		.driver = "none", .engine_port = 12376, .labels = &labels, .storage_driver = ""};

	engine_line_init(&l, "/usr/bin/dockerd", "/etc/docker", &rq);
	assert_int_equal(systemd_options(&l, &b, &err), 0);
	assert_string_equal(buf_str(&b),
		HEAD "/usr/bin/dockerd -H tcp://0.0.0.0:12376 -H unix:///var/run/docker.sock " TLS
		     "--label provider=mine\n");
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
		_cleanup_strv_ struct strv env = list(cases[i].word, NULL);
		_cleanup_line_ struct engine_line l = line_of(list("/d", cases[i].word), &env);
		_cleanup_free_ char *want = xasprintf(
			HEAD "/d %s\nEnvironment=%s\n", cases[i].command, cases[i].environment);

		assert_int_equal(systemd_options(&l, &b, &err), 0);
		assert_string_equal(buf_str(&b), want);
	}
}

static void assert_refused(struct strv take_argv, const struct strv *env)
{
	_cleanup_line_ struct engine_line l = line_of(take_argv, env);

	for (size_t i = 0; i < ARRAY_SIZE(writers); i++) {
		_cleanup_err_ struct err err = ERR_INIT;
		_cleanup_buf_ struct buf b = BUF_INIT;

		assert_int_equal(writers[i](&l, &b, &err), -1);
		assert_int_equal(err.code, ERR_USER);
		assert_null(strchr(err_msg(&err), '\n'));
		assert_int_equal(b.len, 0);
	}
}

static void refused(void **state)
{
	static const char *const words[] = {"a\nExecStartPre=/bin/sh", "a\r", "a\tb", "a\x7f",
		"a\x1b[0m", "\xff", "\xc0\x80", "\xe2\x82", "\xed\xa0\x80", "\xf4\x90\x80\x80",
		"\xe0\x80\x80"};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		_cleanup_strv_ struct strv env = STRV_INIT;

		strv_addf(&env, "A=%s", words[i]);
		assert_refused(list("/d", words[i]), NULL);
		assert_refused(list("/d", NULL), &env);
	}
}

static void variables(void **state)
{
	static const char *const words[] = {"", "A", "=x", "1A=x", "A B=x", "A-B=x", "$A=x"};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		_cleanup_strv_ struct strv env = list(words[i], NULL);

		assert_refused(list("/d", NULL), &env);
	}
}

static void limits(void **state)
{
	_cleanup_err_ struct err err = ERR_INIT;
	_cleanup_buf_ struct buf b = BUF_INIT;
	_cleanup_free_ char *big = xmalloc(ENGINE_OPTIONS_MAX + 1);
	_cleanup_line_ struct engine_line relative = line_of(list("dockerd", NULL), NULL);

	memset(big, 'a', ENGINE_OPTIONS_MAX);
	big[ENGINE_OPTIONS_MAX] = '\0';
	assert_refused(list("/d", big), NULL);
	assert_int_equal(systemd_options(&relative, &b, &err), -1);
}

static void openrc_words(void **state)
{
	static const char *const words[] = {"a=b", "w=a  b", "*", ""};
	_cleanup_err_ struct err err = ERR_INIT;
	_cleanup_buf_ struct buf b = BUF_INIT;
	_cleanup_line_ struct engine_line l = line_of(list("/my docker/d", NULL), NULL);

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		strv_add(&l.argv, words[i]);
	assert_int_equal(openrc_options(&l, &b, &err), 0);
	assert_string_equal(buf_str(&b),
		"DOCKERD_BINARY='/my docker/d'\nmachine_2='w=a  b'\nmachine_3='*'\nmachine_4=''\n"
		"DOCKER_OPTS='a=b \"$machine_2\" \"$machine_3\" \"$machine_4\"'\n");
}

/* Its init script splits at blanks and expands patterns. */
static void boot2docker_words(void **state)
{
	static const struct {
		const char *word;
		int rc;
	} cases[] = {
		{"--label=a b", -1},
		{"a=*", -1},
		{"a?", -1},
		{"[a]", -1},
		{"", -1},
		{"a='$(x)`y`\"\\;&|<>", 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_err_ struct err err = ERR_INIT;
		_cleanup_buf_ struct buf b = BUF_INIT;
		_cleanup_line_ struct engine_line l = line_of(list("/d", cases[i].word), NULL);

		assert_int_equal(boot2docker_options(&l, &b, &err), cases[i].rc);
		if (cases[i].rc < 0)
			assert_non_null(strstr(err_msg(&err), "boot2docker cannot carry"));
		else
			assert_non_null(strstr(buf_str(&b), "\na=" Q "$(x)`y`\"\\;&|<>\n'\n"));
	}
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
		{"{\"proxies\": {\"http-proxy\": \"x\"}}", "sets \"http-proxy\""},
		{"{\"proxies\": {\"https-proxy\": \"x\"}, \"builder\": {\"http-proxy\": 1}}", NULL},
		{"{\"default-network-opts\": {}}", "also set by --default-network-opt on"},
		{"{\"features\": {}}", "also set by --feature on"},
		{"{\"runtimes\": {}}", NULL},
		{"{\"registry-mirrors\": []}", NULL}, /* none given */
		{"{\"storage-driver\": \"x\"}", NULL},
		{"{", "not valid JSON"},
		{"[]", "not a JSON object"},
	};
	_cleanup_strv_ struct strv opts = list("log-driver=none", "add-runtime=x=y");
	_cleanup_line_ struct engine_line l;
	struct provision_request rq = {.driver = "generic", .engine_port = 1, .engine_opts = &opts};

	strv_add(&opts, "log-opt max-size=1m");
	strv_add(&opts, "http-proxy=http://p:3128");
	strv_add(&opts, "default-network-opt=bridge=a=b");
	strv_add(&opts, "feature=x");
	engine_line_init(&l, "/d", "/etc/docker", &rq);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_err_ struct err err = ERR_INIT;
		int rc = daemon_json_check(cases[i].json, "23.0.0", &l.argv, &err);

		assert_int_equal(rc, cases[i].text ? -1 : 0);
		if (rc < 0) {
			assert_int_equal(err.code, ERR_USER);
			assert_non_null(strstr(err_msg(&err), cases[i].text));
		}
	}
}

/* What the engines say to an empty file, as seen. */
static void empty_file(void **state)
{
	static const struct {
		const char *version;
		int rc;
	} cases[] = {{"20.10.24+dfsg1", -1}, {"18.09.1-ce", -1}, {"23.0.6", 0}, {NULL, 0}};
	static const struct strv argv = {0};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_err_ struct err err = ERR_INIT;

		assert_int_equal(
			daemon_json_check("\n", cases[i].version, &argv, &err), cases[i].rc);
		if (cases[i].rc < 0) {
			assert_int_equal(err.code, ERR_USER);
			assert_non_null(strstr(err_msg(&err), "remove it, or put {} into it"));
			assert_non_null(strstr(err_msg(&err), cases[i].version));
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
		cmocka_unit_test(openrc_words),
		cmocka_unit_test(boot2docker_words),
		cmocka_unit_test(conflicts),
		cmocka_unit_test(empty_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
