/* The keys below were made for this test and open nothing. */
#include "keyfile.h"

#include "mem.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* The first 40 bytes of an OpenSSH key: the magic, then cipher "none" or "aes256-ctr". */
#define OPENSSH(head) \
	"-----BEGIN OPENSSH PRIVATE KEY-----\n" head "\n-----END OPENSSH PRIVATE KEY-----\n"
#define PLAIN "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMw=="
#define CRYPTED "b3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHIAAAAGYmNyeXB0AAAAGAAAABA="
#define PEM(kind, head)                                                                    \
	"-----BEGIN " kind "PRIVATE KEY-----\n" head "TUlJQg==\n-----END " kind "PRIVATE " \
	"KEY-----\n"

static void test_keys(void **state)
{
	static const struct {
		const char *text, *problem;
	} cases[] = {
		{OPENSSH(PLAIN), NULL},
		{"Bag Attributes\n" OPENSSH(PLAIN), NULL},
		{OPENSSH(CRYPTED), "encrypted"},
		{OPENSSH("AAAA"), "not a private key"},
		{OPENSSH(""), "not a private key"},
		{"-----BEGIN OPENSSH PRIVATE KEY-----\r\n" PLAIN
		 "\r\n-----END OPENSSH PRIVATE KEY-----\r\n",
			NULL},
		{"-----BEGIN OPENSSH PRIVATE KEY-----\n" PLAIN "\n", "not complete"},
		{PEM("RSA ", ""), NULL},
		{PEM("EC ", ""), NULL},
		{PEM("", ""), NULL},
		{PEM("RSA ", "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n"), "encrypted"},
		{PEM("ENCRYPTED ", ""), "encrypted"},
		{"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA me@here\n", "public key"},
		{"ecdsa-sha2-nistp256 AAAA", "public key"},
		{"-----BEGIN PUBLIC KEY-----\n", "public key"},
		{"PuTTY-User-Key-File-2: ssh-rsa\n", "puttygen"},
		{"-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n",
			"not a private key"},
		{"-----BEGIN \n PRIVATE KEY-----\n", "not a private key"},
		{"", "not a private key"},
		{"hello\n", "not a private key"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *problem = keyfile_problem(cases[i].text, strlen(cases[i].text));

		if (!cases[i].problem != !problem)
			fail_msg("case %zu: %s", i, problem ? problem : "no problem");
		if (problem && !strstr(problem, cases[i].problem))
			fail_msg("case %zu: %s", i, problem);
	}
	assert_non_null(keyfile_problem(PEM("RSA ", "") "\0", strlen(PEM("RSA ", "")) + 1));
}

static void write_file(const char *path, const char *text, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), len);
	close(fd);
}

static void expect_problem(const char *path, const char *part)
{
	_cleanup_err_ struct err err = ERR_INIT;

	assert_int_equal(keyfile_check(path, &err), -1);
	assert_int_equal(err.code, ERR_USER);
	if (!strstr(err_msg(&err), part) || !strstr(err_msg(&err), path))
		fail_msg("%s", err_msg(&err));
}

static void test_files(void **state)
{
	char folder[] = "/tmp/test_keyfile_XXXXXX";
	_cleanup_err_ struct err err = ERR_INIT;
	_cleanup_free_ char *path = NULL, *big = xcalloc(1, KEYFILE_MAX);

	assert_non_null(mkdtemp(folder));
	path = xasprintf("%s/key", folder);
	expect_problem(path, "SSH key does not exist: \"");
	expect_problem(folder, "is not a file");
	assert_int_equal(mkfifo(path, 0600), 0);
	expect_problem(path, "is not a file");
	unlink(path);
	write_file(path, OPENSSH(PLAIN), strlen(OPENSSH(PLAIN)));
	assert_int_equal(keyfile_check(path, &err), 0);
	write_file(path, OPENSSH(CRYPTED), strlen(OPENSSH(CRYPTED)));
	expect_problem(path, "is encrypted");
	memset(big, 'x', KEYFILE_MAX);
	write_file(path, big, KEYFILE_MAX);
	expect_problem(path, "is not a private key");
	unlink(path);
	assert_int_equal(rmdir(folder), 0);
}

#define RSA "AAAAB3NzaC1yc2EAAAADAQABAAAABAECAwQ="
#define ED25519 "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"

static void test_host_keys(void **state)
{
#define DIGEST "AbCdEfGhIjKlMnOpQrStUvWxYz0123456789+/AbCdE"
	static const char *const good[] = {"SHA256:" DIGEST, "SHA256:" DIGEST "=", ED25519,
		"h.example " ED25519 " note", "[192.0.2.1]:2222\tssh-rsa\t" RSA,
		"|1|xx=|yy= ssh-rsa " RSA};
	static const char *const bad[] = {"SHA256:", "SHA256:short", "SHA256:" DIGEST "A",
		"MD5:00:11", "ssh-ed25519", "h.example ssh-ed25519 ", "h.example AAAA",
		"h ssh-ed25519 AAAA\nssh-rsa AAAA", "ssh-foo AAAA", "/etc/ssh/key.pub",
		"ssh-ed25519 AAAA", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA", "ssh-ed25519 " RSA,
		"ssh-rsa AAAAB3NzaC1yc2E=", ED25519 "AAAA"};

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		if (hostkey_problem(good[i]))
			fail_msg("%s: %s", good[i], hostkey_problem(good[i]));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (!hostkey_problem(bad[i]))
			fail_msg("%s", bad[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_host_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
