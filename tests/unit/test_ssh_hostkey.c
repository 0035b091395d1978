#include "ssh_hostkey.h"

#include "mem.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define ED_A "AAAAC3NzaC1lZDI1NTE5AAAAIAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g"
#define ED_B "AAAAC3NzaC1lZDI1NTE5AAAAICAfHh0cGxoZGBcWFRQTEhEQDw4NDAsKCQgHBgUEAwIB"
#define RSA "AAAAB3NzaC1yc2EAAAADAQABAAAABAECAwQ="

static char dir[64], file[96];

static int setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/test_ssh_hostkey.XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(file, sizeof(file), "%s/known_hosts", dir);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(file);
	return rmdir(dir); /* fails when a temporary file was left */
}

static void write_text(const char *text)
{
	FILE *f = fopen(file, "w");

	assert_non_null(f);
	assert_int_equal(fputs(text, f) >= 0, 1);
	assert_int_equal(fclose(f), 0);
}

static char *read_text(void)
{
	char *text = xcalloc(1, 8192);
	FILE *f = fopen(file, "r");

	assert_non_null(f);
	assert_true(fread(text, 1, 8191, f) > 0 || feof(f));
	fclose(f);
	return text;
}

static void load(const char *text, struct hostkeys *k)
{
	_cleanup_err_ struct err e = ERR_INIT;

	write_text(text);
	assert_int_equal(hostkeys_load(file, k, &e), 0);
}

static void test_missing_file(void **state)
{
	_cleanup_err_ struct err e = ERR_INIT;
	struct hostkeys k;

	(void)state;
	assert_int_equal(hostkeys_load(file, &k, &e), 0);
	assert_int_equal(k.n, 0);
	assert_int_equal(hostkeys_load(NULL, &k, &e), 0);
	assert_int_equal(k.n, 0);
	assert_int_equal(hostkeys_load(dir, &k, &e), -1);
}

static void test_lines(void **state)
{
	_cleanup_hostkeys_ struct hostkeys k = {0};

	(void)state;
	load("# comment\n\n  \nweb1 ssh-ed25519 " ED_A "\n"
	     "[10.0.0.1]:2222,x\tssh-rsa " RSA " a comment\r\n"
	     "|1|c2FsdA==|aGFzaA== ssh-ed25519 " ED_B "\n"
	     "@cert-authority * ssh-ed25519 " ED_B "\n"
	     "@revoked * ssh-ed25519 " ED_B "\n"
	     "web1 ssh-rsa " ED_A "\n" /* the blob says another type */
	     "web1 ssh-ed25519 !!!!\n"
	     "web1 ssh-ed25519 AAAA\n"
	     "web1 ssh-ed25519 " ED_A "x\n"
	     "web1 ssh-ed25519\nweb1\n@revoked\n@ x\n"
	     "last ssh-ed25519 " ED_A,
		&k);
	assert_int_equal(k.n, 5);
	assert_string_equal(k.items[0].names, "web1");
	assert_string_equal(k.items[1].type, "ssh-rsa");
	assert_int_equal(k.items[1].len, 26);
	assert_false(k.items[2].revoked);
	assert_true(k.items[3].revoked);
	assert_string_equal(k.items[4].names, "last");
	assert_int_equal(hostkeys_usable(&k), 4);
}

static void get_key(const char *text, struct hostkeys *k)
{
	_cleanup_free_ char *line = xasprintf("x ssh-ed25519 %s\n", text);

	load(line, k);
	assert_int_equal(k->n, 1);
}

static void test_verdicts(void **state)
{
	_cleanup_hostkeys_ struct hostkeys a = {0}, b = {0}, both = {0}, none = {0}, revoked = {0},
					   bad = {0};

	(void)state;
	get_key(ED_A, &a);
	get_key(ED_B, &b);
	load("x ssh-rsa " RSA "\ny ssh-ed25519 " ED_B "\n", &both);
	load("x ssh-ed25519 " ED_B "\n@revoked * ssh-ed25519 " ED_B "\n", &revoked);
	load("@revoked * ssh-ed25519 " ED_B "\n", &bad);
#define CHECK(known, key) hostkeys_check(&(known), (key).items[0].blob, (key).items[0].len)
	assert_int_equal(CHECK(a, a), HOSTKEY_KNOWN);
	assert_int_equal(CHECK(a, b), HOSTKEY_CHANGED);
	assert_int_equal(CHECK(both, b), HOSTKEY_KNOWN);
	assert_int_equal(CHECK(both, a), HOSTKEY_CHANGED);
	assert_int_equal(CHECK(none, a), HOSTKEY_UNKNOWN);
	assert_int_equal(CHECK(revoked, b), HOSTKEY_CHANGED);
	assert_int_equal(CHECK(bad, b), HOSTKEY_CHANGED);
	assert_int_equal(CHECK(bad, a), HOSTKEY_UNKNOWN);
#undef CHECK
}

static void test_judge(void **state)
{
	_cleanup_hostkeys_ struct hostkeys a = {0}, b = {0}, none = {0};
	_cleanup_err_ struct err e = ERR_INIT;

	(void)state;
	get_key(ED_A, &a);
	get_key(ED_B, &b);
	const struct hostkey *key = &b.items[0];
	assert_int_equal(hostkeys_judge(&b, key->blob, key->len, true, "w", file, &e), 0);
	assert_int_equal(hostkeys_judge(&none, key->blob, key->len, false, "w", file, &e), 0);
	assert_int_equal(hostkeys_judge(&none, key->blob, key->len, true, "w", file, &e), -1);
	assert_int_equal(e.code, ERR_USER);
	assert_int_equal(hostkeys_judge(&a, key->blob, key->len, false, "w", file, &e), -1);
	assert_int_equal(e.code, ERR_USER);
	assert_non_null(strstr(err_msg(&e), "host key of \"w\" has changed"));
	assert_non_null(strstr(err_msg(&e), file));
	const char *first = strstr(err_msg(&e), "SHA256:");
	assert_non_null(first);
	assert_non_null(strstr(first + 1, "SHA256:"));
}

static void test_alias(void **state)
{
	static const char *const cases[][2] = {
		{"web1", "web1"}, {"Web-1.X_y", "web-1.x_y"}, {"a b,*", "a_b__"}, {"", "machine"}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *got = hostkey_alias(cases[i][0]);

		assert_string_equal(got, cases[i][1]);
	}
	_cleanup_free_ char *got = hostkey_alias(NULL);
	assert_string_equal(got, "machine");
}

static void test_record(void **state)
{
	_cleanup_hostkeys_ struct hostkeys a = {0};
	_cleanup_err_ struct err e = ERR_INIT;
	struct stat st;

	(void)state;
	get_key(ED_A, &a);
	unlink(file);
	const struct hostkey *key = &a.items[0];
	assert_int_equal(hostkeys_record(file, "web1", key->blob, key->len, &e), 0);
	_cleanup_free_ char *text = read_text();
	assert_string_equal(text, "web1 ssh-ed25519 " ED_A "\n");
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);

	write_text("x ssh-rsa " RSA); /* cut off in mid-line */
	assert_int_equal(hostkeys_record(file, "web1", key->blob, key->len, &e), 0);
	_cleanup_free_ char *more = read_text();
	assert_string_equal(more, "x ssh-rsa " RSA "\nweb1 ssh-ed25519 " ED_A "\n");
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(hostkeys_record("/nonexistent/f", "x", key->blob, key->len, &e), -1);
}

static void test_align(void **state)
{
	_cleanup_err_ struct err e = ERR_INIT;
	struct stat st;

	(void)state;
	assert_int_equal(hostkeys_align(file, "web1", &e), 0);
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_size, 0);
	assert_int_equal(st.st_mode & 07777, 0600);

	write_text("[::1]:22 ssh-ed25519 " ED_A "\nx,web1 ssh-rsa " RSA "\n");
	for (int i = 0; i < 2; i++) {
		assert_int_equal(hostkeys_align(file, "web1", &e), 0);
		_cleanup_free_ char *text = read_text();
		assert_string_equal(text, "[::1]:22 ssh-ed25519 " ED_A "\nx,web1 ssh-rsa " RSA
					  "\nweb1 ssh-ed25519 " ED_A "\n");
	}
}

static void test_write(void **state)
{
	_cleanup_hostkeys_ struct hostkeys k = {0};
	_cleanup_err_ struct err e = ERR_INIT;

	(void)state;
	load("a ssh-ed25519 " ED_A "\n@revoked b ssh-rsa " RSA "\n", &k);
	assert_int_equal(hostkeys_write(&k, file, "web1", &e), 0);
	_cleanup_free_ char *text = read_text();
	assert_string_equal(text, "web1 ssh-ed25519 " ED_A "\n@revoked web1 ssh-rsa " RSA "\n");
}

static void test_algorithms(void **state)
{
	_cleanup_hostkeys_ struct hostkeys k = {0}, rsa = {0}, none = {0};

	(void)state;
	load("a ssh-rsa " RSA "\nb ssh-ed25519 " ED_A "\nc ssh-ed25519 " ED_B "\n", &k);
	_cleanup_free_ char *got = hostkeys_algorithms(&k);
	assert_string_equal(got, "rsa-sha2-512,rsa-sha2-256,ssh-rsa,ssh-ed25519");
	assert_false(hostkeys_only_rsa(&k));
	load("a ssh-rsa " RSA "\n", &rsa);
	assert_true(hostkeys_only_rsa(&rsa));
	_cleanup_free_ char *empty = hostkeys_algorithms(&none);
	assert_string_equal(empty, "");
	assert_false(hostkeys_only_rsa(&none));
}

/* No cut of a file may crash or be taken for another key. */
static void test_every_prefix(void **state)
{
	static const char text[] = "web1 ssh-ed25519 " ED_A "\n@revoked b ssh-rsa " RSA "\n";

	(void)state;
	for (size_t n = 0; n < sizeof(text); n++) {
		_cleanup_free_ char *part = xstrndup(text, n);
		_cleanup_hostkeys_ struct hostkeys k = {0};

		load(part, &k);
		assert_in_range(k.n, 0, 2);
		if (k.n)
			assert_int_equal(k.items[0].len, 51);
	}
}

static void test_expect(void **state)
{
#define DIGEST "AbCdEfGhIjKlMnOpQrStUvWxYz0123456789+/AbCdE"
#define SMALL "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAABAECAwQ="
	static char *const good[] = {SMALL, " h,[192.0.2.1]:22\t" SMALL " note", "SHA256:" DIGEST,
		" SHA256:" DIGEST "=", NULL};
	static const char *const bad[] = {"", "SHA256:", "SHA256:" DIGEST "A",
		"SHA256:" DIGEST " x", "MD5:00", "@revoked h " SMALL, "@cert-authority h " SMALL,
		"# " SMALL, SMALL "\n" SMALL,
		"ssh-rsa AAAAB3NzaC1yc2E=", "ssh-ed25519 AAAAB3NzaC1yc2EAAAADAQABAAAABAECAwQ="};
	_cleanup_hostkeys_ struct hostkeys k = {0};
	_cleanup_strv_ struct strv prints = STRV_INIT;
	_cleanup_err_ struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(hostkeys_expect(&k, good, &prints, &e), 0);
	assert_int_equal(hostkeys_usable(&k), 2);
	assert_int_equal(prints.n, 2);
	assert_string_equal(prints.items[0], "SHA256:" DIGEST);
	assert_string_equal(prints.items[1], "SHA256:" DIGEST);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		char *const one[] = {(char *)(uintptr_t)bad[i], NULL};

		if (hostkeys_expect(&k, one, &prints, &e) == 0)
			fail_msg("%s", bad[i]);
		assert_int_equal(e.code, ERR_PROTOCOL);
		assert_null(strchr(err_msg(&e), '\n'));
	}
	assert_int_equal(hostkeys_usable(&k) + prints.n, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_expect),
		cmocka_unit_test_setup_teardown(test_missing_file, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lines, setup, teardown),
		cmocka_unit_test_setup_teardown(test_verdicts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_judge, setup, teardown),
		cmocka_unit_test_setup_teardown(test_alias, setup, teardown),
		cmocka_unit_test_setup_teardown(test_record, setup, teardown),
		cmocka_unit_test_setup_teardown(test_align, setup, teardown),
		cmocka_unit_test_setup_teardown(test_write, setup, teardown),
		cmocka_unit_test_setup_teardown(test_algorithms, setup, teardown),
		cmocka_unit_test_setup_teardown(test_every_prefix, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
