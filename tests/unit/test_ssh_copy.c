#include "ssh_copy.h"

#include "mem.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define KNOWN "/nonexistent/store/machines/web1/known_hosts"
#define COMMON                                                                                   \
	"-o", "ConnectionAttempts=3", "-o", "ConnectTimeout=10", "-o", "ControlMaster=no", "-o", \
		"ControlPath=none", "-o", "LogLevel=ERROR", "-o", "PasswordAuthentication=no",   \
		"-o", "ServerAliveInterval=60", "-o", "GlobalKnownHostsFile=/dev/null", "-o",    \
		"UpdateHostKeys=no", "-o", "StrictHostKeyChecking=\"accept-new\"", "-o",         \
		"UserKnownHostsFile=\"" KNOWN "\"", "-o", "HostKeyAlias=\"web1\""

static const struct ssh_target web1 = {
	.machine = "web1",
	.host = "12.34.56.78",
	.port = 234,
	.user = "root",
	.key_path = "/fake/keypath/id_rsa",
	.known_hosts = KNOWN,
};

static void assert_words(struct strv *got, const char *const *want, size_t n)
{
	for (size_t i = 0; i < n && i < got->n; i++)
		assert_string_equal(got->items[i], want[i]);
	assert_int_equal(got->n, n);
	strv_finish(got);
}
#define ASSERT_WORDS(got, ...)                                  \
	do {                                                    \
		const char *const want_[] = {__VA_ARGS__};      \
		assert_words(&(got), want_, ARRAY_SIZE(want_)); \
	} while (0)

static void test_scp(void **state)
{
	struct copy c = {{NULL, "/tmp/foo"}, {&web1, "/home/docker/foo"}, .recursive = true};
	struct strv v = STRV_INIT;

	(void)state;
	scp_args(&c, NULL, &v);
	ASSERT_WORDS(v, "scp", "-F", "/dev/null", COMMON, "-3", "-r", "-o", "IdentitiesOnly=yes",
		"-o", "Port=234", "-o", "IdentityFile=/fake/keypath/id_rsa", "/tmp/foo",
		"root@12.34.56.78:/home/docker/foo");
	c = (struct copy){{&web1, "a b"}, {NULL, "."}, .quiet = true};
	assert_false(copy_needs_config(&c));
	scp_args(&c, NULL, &v);
	ASSERT_WORDS(v, "scp", "-F", "/dev/null", COMMON, "-3", "-q", "-o", "IdentitiesOnly=yes",
		"-o", "Port=234", "-o", "IdentityFile=/fake/keypath/id_rsa", "root@12.34.56.78:a b",
		".");
}

static void test_scp_without_key_port_and_user(void **state)
{
	struct ssh_target t = {.machine = "web1", .host = "fd00::1", .known_hosts = KNOWN};
	struct copy c = {{NULL, "x"}, {&t, ""}};
	struct strv v = STRV_INIT;

	(void)state;
	scp_args(&c, NULL, &v);
	ASSERT_WORDS(v, "scp", "-F", "/dev/null", COMMON, "-3", "-o", "Port=22", "x", "[fd00::1]:");
}

static void test_scp_between_paths_here(void **state)
{
	struct copy c = {{NULL, "-x"}, {NULL, "a:b"}};
	struct strv v = STRV_INIT;

	(void)state;
	assert_false(copy_needs_config(&c));
	scp_args(&c, NULL, &v);
	ASSERT_WORDS(
		v, "scp", "-F", "/dev/null", "-3", "-o", "IdentitiesOnly=yes", "./-x", "./a:b");
}

static void test_one_machine_twice(void **state)
{
	struct ssh_target other = web1;
	struct copy c = {{&web1, "/a"}, {&other, "/b"}};
	struct strv v = STRV_INIT;

	(void)state;
	other.user = "u";
	assert_false(copy_needs_config(&c));
	scp_args(&c, NULL, &v);
	ASSERT_WORDS(v, "scp", "-F", "/dev/null", COMMON, "-3", "-o", "IdentitiesOnly=yes", "-o",
		"Port=234", "-o", "IdentityFile=/fake/keypath/id_rsa", "root@12.34.56.78:/a",
		"u@12.34.56.78:/b");
}

#define CONFIG_COMMON(known, alias)                                                         \
	"\tConnectionAttempts=3\n\tConnectTimeout=10\n\tControlMaster=no\n"                 \
	"\tControlPath=none\n\tLogLevel=ERROR\n\tPasswordAuthentication=no\n"               \
	"\tServerAliveInterval=60\n\tGlobalKnownHostsFile=/dev/null\n\tUpdateHostKeys=no\n" \
	"\tStrictHostKeyChecking=\"accept-new\"\n\tUserKnownHostsFile=\"" known "\"\n"      \
	"\tHostKeyAlias=\"" alias "\"\n"

static void test_two_machines(void **state)
{
	struct ssh_target web2 = {.machine = "Web2", .host = "fe80::1%eth0", .known_hosts = "/k"};
	struct copy c = {{&web1, "/a"}, {&web2, "/b"}, .recursive = true, .quiet = true};
	_cleanup_buf_ struct buf text = BUF_INIT;
	_cleanup_err_ struct err err = ERR_INIT;
	struct strv v = STRV_INIT;

	(void)state;
	assert_true(copy_needs_config(&c));
	assert_int_equal(copy_config(&c, &text, &err), 0);
	assert_string_equal(buf_str(&text),
		"Host from-web1\n\tHostName=\"12.34.56.78\"\n" CONFIG_COMMON(
			KNOWN, "web1") "\tIdentitiesOnly=yes\n\tPort=234\n\tIdentityFile=/fake/"
				       "keypath/id_rsa\n"
				       "Host to-web2\n\tHostName=\"fe80::1%%eth0\"\n" CONFIG_COMMON(
					       "/k", "web2") "\tPort=22\n");
	scp_args(&c, "/proc/1/fd/9", &v);
	ASSERT_WORDS(v, "scp", "-F", "/proc/1/fd/9", "-3", "-r", "-q", "root@from-web1:/a",
		"to-web2:/b");
}

static void test_config_has_no_lines_of_others(void **state)
{
	struct ssh_target evil = web1;
	struct copy c = {{&web1, "/a"}, {&evil, "/b"}};
	_cleanup_buf_ struct buf text = BUF_INIT;
	_cleanup_err_ struct err err = ERR_INIT;

	(void)state;
	evil.machine = "web2";
	evil.key_path = "/k\nProxyCommand x";
	assert_int_equal(copy_config(&c, &text, &err), -1);
	assert_int_equal(err.code, ERR_USER);
	assert_non_null(strstr(err_msg(&err), "\"web2\""));
}

static void test_pinned_once_recorded(void **state)
{
	char path[] = "/tmp/test_ssh_copy.XXXXXX";
	static const char line[] = "web1 ssh-ed25519 "
				   "AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGh"
				   "scHR4f\n";
	struct ssh_target t = web1;
	struct copy c = {{NULL, "/a"}, {&t, "/b"}};
	struct strv v = STRV_INIT;
	int fd = mkstemp(path);

	(void)state;
	assert_int_equal(write(fd, line, strlen(line)), strlen(line));
	close(fd);
	t.known_hosts = path;
	scp_args(&c, NULL, &v);
	sshfs_args(&t, "/b", "/mnt", &v);
	unlink(path);
	size_t strict = 0;
	strv_foreach (word, &v)
		strict += streq(word, "StrictHostKeyChecking=\"yes\"");
	assert_int_equal(strict, 2);
	strv_finish(&v);
}

static void test_rsync(void **state)
{
	struct ssh_target t = {.machine = "web1",
		.host = "1.2.3.4",
		.user = "user",
		.known_hosts = "/it's here/k",
		.key_path = "/a \"b\"/key"};
	struct copy c = {{NULL, "/tmp/foo"}, {&t, "/home/docker/foo"}, .recursive = true};
	struct strv v = STRV_INIT;
	static const char common[] =
		"-o ConnectionAttempts=3 -o ConnectTimeout=10 -o ControlMaster=no -o "
		"ControlPath=none -o LogLevel=ERROR -o PasswordAuthentication=no -o "
		"ServerAliveInterval=60 -o GlobalKnownHostsFile=/dev/null -o UpdateHostKeys=no "
		"-o 'StrictHostKeyChecking=\"accept-new\"' -o 'UserKnownHostsFile=\"/it''s "
		"here/k\"' -o 'HostKeyAlias=\"web1\"' -o IdentitiesOnly=yes -o Port=22 -o "
		"'IdentityFile=\"/a \\\"b\\\"/key\"'";
	_cleanup_free_ char *loud = xasprintf("ssh -F /dev/null %s", common);
	_cleanup_free_ char *quiet = xasprintf("ssh -F /dev/null -q %s", common);

	(void)state;
	rsync_args(&c, &v);
	ASSERT_WORDS(v, "rsync", "--progress", "-e", loud, "-r", "/tmp/foo",
		"user@1.2.3.4:/home/docker/foo");
	c.quiet = true;
	c.recursive = false;
	rsync_args(&c, &v);
	ASSERT_WORDS(v, "rsync", "-e", quiet, "/tmp/foo", "user@1.2.3.4:/home/docker/foo");
}

static void test_sshfs(void **state)
{
	struct ssh_target t = web1;
	struct strv v = STRV_INIT;

	(void)state;
	sshfs_args(&t, "/srv", "/mnt", &v);
	ASSERT_WORDS(v, "sshfs", "-F", "/dev/null", COMMON, "-o", "IdentitiesOnly=yes", "-o",
		"Port=234", "-o", "IdentityFile=/fake/keypath/id_rsa", "root@12.34.56.78:/srv",
		"/mnt");
	t.key_path = "/k,\"y"; /* for ssh a quote is escaped, for FUSE a comma and a backslash */
	sshfs_args(&t, "", "-m", &v);
	ASSERT_WORDS(v, "sshfs", "-F", "/dev/null", COMMON, "-o", "IdentitiesOnly=yes", "-o",
		"Port=234", "-o", "IdentityFile=\"/k\\,\\\\\"y\"", "root@12.34.56.78:", "./-m");
}

static void test_local_argument(void **state)
{
	static const char *const same[] = {"", ".", "/a:b", "./-x", "a/b:c", "a b", "~/x"};
	static const char *const prefixed[] = {"-", "-r", "a:b", ":", "rsync://x"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(same); i++) {
		_cleanup_free_ char *got = local_argument(same[i]);
		assert_string_equal(got, same[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(prefixed); i++) {
		_cleanup_free_ char *got = local_argument(prefixed[i]);
		_cleanup_free_ char *want = xasprintf("./%s", prefixed[i]);
		assert_string_equal(got, want);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scp),
		cmocka_unit_test(test_scp_without_key_port_and_user),
		cmocka_unit_test(test_scp_between_paths_here),
		cmocka_unit_test(test_one_machine_twice),
		cmocka_unit_test(test_two_machines),
		cmocka_unit_test(test_config_has_no_lines_of_others),
		cmocka_unit_test(test_pinned_once_recorded),
		cmocka_unit_test(test_rsync),
		cmocka_unit_test(test_sshfs),
		cmocka_unit_test(test_local_argument),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
