#include "detect.h"

#include "mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define OS "@@os-release\n ID=debian\n VERSION_ID=\"12\"\n\n"

static void texts(void **state)
{
	static const char out[] = "Welcome!\n@@nonsense\n@@begin\n@@bogus\n@@begin\n"
				  "stray\n"
				  "@@empty\n\n"
				  "@@line\n no newline at its end\n"
				  "@@lines\n a\n \n  b\n @@end\n\n"
				  "@@bare\n"
				  "@@newline\n \n\n"
				  "@@end\nand so on\n";
	_cleanup_err_ struct err err = ERR_INIT;
	struct facts f;

	assert_int_equal(facts_parse(out, sizeof(out) - 1, &f, &err), 0);
	assert_int_equal(f.n, 5);
	assert_string_equal(facts_text(&f, "empty", "?"), "");
	assert_string_equal(facts_text(&f, "line", "?"), "no newline at its end");
	assert_string_equal(facts_text(&f, "lines", "?"), "a\n\n b\n@@end\n");
	assert_string_equal(facts_text(&f, "bare", "?"), "");
	assert_string_equal(facts_text(&f, "newline", "?"), "\n");
	assert_string_equal(facts_text(&f, "nonsense", "?"), "?");
	assert_string_equal(facts_text(&f, "bogus", "?"), "?");
	assert_null(facts_dup(&f, "empty"));
	facts_finish(&f);
}

static void broken(void **state)
{
	static const char *const cases[] = {
		"", "@@begin", "@@begin\n@@a\n b\n", "@@a\n b\n@@end\n", " @@begin\n@@end\n"};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_err_ struct err err = ERR_INIT;
		struct facts f;

		assert_int_equal(facts_parse(cases[i], strlen(cases[i]), &f, &err), -1);
		assert_int_equal(err.code, ERR_PROTOCOL);
	}
}

static void too_many(void **state)
{
	_cleanup_err_ struct err err = ERR_INIT;
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct facts f;

	buf_adds(&b, "@@begin\n");
	for (unsigned i = 0; i < FACTS_MAX + 1; i++)
		buf_addf(&b, "@@f%u\n x\n", i);
	buf_adds(&b, "@@end\n");
	assert_int_equal(facts_parse(b.data, b.len, &f, &err), -1);
}

static int detect(const char *facts, struct provision_host *ret, struct err *err)
{
	_cleanup_free_ char *out = xasprintf("@@begin\n%s@@end\n", facts);
	struct facts f;

	assert_int_equal(facts_parse(out, strlen(out), &f, err), 0);
	int rc = provision_host_from_facts(&f, ret, err);
	facts_finish(&f);
	return rc;
}

static void full(void **state)
{
	_cleanup_err_ struct err err = ERR_INIT;
	struct provision_host h;

	assert_int_equal(
		detect(OS "@@uid\n 1000\n@@user\n u\n@@root\n yes\n@@hostname\n web1\n"
			  "@@init\n systemd\n@@boot-id\n abc\n@@time\n 1700000000\n@@docker\n "
			  "/usr/bin/docker\n"
			  "@@dockerd\n /usr/sbin/dockerd\n"
			  "@@docker-version\n Docker version 20.10.24+dfsg1, build 297e128\n"
			  "@@cloud-init\n running\n"
			  "@@file /etc/docker/daemon.json\n {}\n\n"
			  "@@file /etc/systemd/system/docker.service.d/10-machine.conf\n x\n\n",
			&h, &err),
		0);
	assert_string_equal(provision_name(&h), "debian");
	assert_false(h.is_root);
	assert_true(h.has_sudo);
	assert_true(h.cloud_init_running);
	assert_string_equal(h.hostname, "web1");
	assert_false(h.unresolved);
	assert_string_equal(h.docker, "/usr/bin/docker");
	assert_string_equal(h.dockerd, "/usr/sbin/dockerd");
	assert_string_equal(h.docker_version, "20.10.24+dfsg1");
	assert_string_equal(h.daemon_json, "{}\n");
	assert_string_equal(h.options_file, "x\n");
	assert_string_equal(h.boot_id, "abc");
	assert_int_equal(h.clock, 1700000000);
	provision_host_finish(&h);
}

static void bare(void **state)
{
	_cleanup_err_ struct err err = ERR_INIT;
	struct provision_host h;

	assert_int_equal(
		detect(OS "@@uid\n 0\n@@root\n yes\n@@init\n systemd\n@@docker\n\n@@dockerd\n\n"
			  "@@unresolved\n yes\n\n",
			&h, &err),
		0);
	assert_true(h.is_root);
	assert_true(h.unresolved);
	assert_null(h.dockerd);
	assert_null(h.docker_version);
	assert_null(h.daemon_json);
	assert_null(h.options_file);
	assert_int_equal(h.clock, 0);
	provision_host_finish(&h);
}

/* Nothing, a file with nothing in it, and a folder are three things to an engine. */
static void daemon_json(void **state)
{
	static const struct {
		const char *facts, *text;
		bool folder;
	} cases[] = {
		{"", NULL, false},
		{"@@file /etc/docker/daemon.json\n\n", "", false},
		{"@@folder /etc/docker/daemon.json\n\n", NULL, true},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_err_ struct err err = ERR_INIT;
		_cleanup_free_ char *facts = xasprintf(
			OS "@@uid\n 0\n@@root\n yes\n@@init\n systemd\n%s", cases[i].facts);
		struct provision_host h;

		assert_int_equal(detect(facts, &h, &err), 0);
		assert_int_equal(!h.daemon_json, !cases[i].text);
		assert_string_equal(
			h.daemon_json ? h.daemon_json : "", cases[i].text ? cases[i].text : "");
		assert_int_equal(h.daemon_json_folder, cases[i].folder);
		provision_host_finish(&h);
	}
}

static void refused(void **state)
{
	static const struct {
		const char *facts, *text;
		enum err_code code;
	} cases[] = {
		{"@@uid\n 0\n", "OS type not recognized", ERR_NOT_SUPPORTED},
		{OS "@@uid\n 1000\n@@user\n joe\n@@root\n no\n@@hostname\n h\n@@init\n systemd\n",
			"the user \"joe\" on h needs passwordless sudo", ERR_USER},
		{OS "@@uid\n 1000\n@@user\n joe\n@@root\n no\n@@sudo\n sudo: a password is "
		    "required\n b\n\n@@init\n systemd\n",
			"log in as root; it says: sudo: a password is required", ERR_USER},
		{OS "@@uid\n 1000\n@@root\n no\n@@hostname\n h\n"
		    "@@sudo\n sudo: sorry, you must have a tty to run sudo\n",
			"sudo on h insists on a terminal: remove \"requiretty\"", ERR_USER},
		{"@@os-release\n ID=alpine\n\n@@uid\n 0\n@@root\n yes\n@@init\n systemd\n",
			"openrc is not what started this host", ERR_NOT_SUPPORTED},
		{OS "@@uid\n 0\n@@root\n yes\n", "systemd is not what started", ERR_NOT_SUPPORTED},
		{"@@os-release\n ID=rancheros\n", "RancherOS", ERR_NOT_SUPPORTED},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_err_ struct err err = ERR_INIT;
		struct provision_host h;

		assert_int_equal(detect(cases[i].facts, &h, &err), -1);
		assert_int_equal(err.code, cases[i].code);
		assert_non_null(strstr(err_msg(&err), cases[i].text));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts),
		cmocka_unit_test(broken),
		cmocka_unit_test(too_many),
		cmocka_unit_test(full),
		cmocka_unit_test(bare),
		cmocka_unit_test(daemon_json),
		cmocka_unit_test(refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
