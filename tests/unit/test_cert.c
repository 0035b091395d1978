/* The CA and its client: what bootstrap makes, finds, keeps, renews and refuses. */
#include "cert_checks_fixture.h"
#include "putfile.h"

static void test_bootstrap_is_idempotent(void **state)
{
	struct cert_report report = {0};
	FILES;
	_cleanup_free_ char *before = read_text(f.ca);

	assert_int_equal(mode_of(f.ca), 0644);
	assert_int_equal(mode_of(f.client), 0644);
	assert_int_equal(mode_of(f.ca_key), 0600);
	assert_int_equal(mode_of(f.client_key), 0600);
	assert_bootstrap(&f, false, &report);
	assert_false(report.made_ca || report.made_client || report.ca_expired);
	_cleanup_free_ char *after = read_text(f.ca);
	assert_string_equal(before, after);
	assert_strict(&f, f.ca, "any");
	assert_strict(&f, f.client, "sslclient");
	assert_nothing_staged();
}

static void test_formats(void **state)
{
	FILES;
	_cleanup_free_ char *ca = read_text(f.ca_key), *client = read_text(f.client_key);
	_cleanup_err_ struct err err = ERR_INIT;
	struct cert_info i;

	assert_memory_equal(ca, "-----BEGIN RSA PRIVATE KEY-----", 31);
	assert_memory_equal(client, "-----BEGIN RSA PRIVATE KEY-----", 31);
	assert_int_equal(cert_read(f.client, &i, &err), 0);
	assert_memory_equal(i.subject, "O=me.", 5);
	assert_non_null(strstr(i.subject, "bootstrap"));
	assert_string_equal(i.issuer, "O=me");
	assert_int_equal(i.not_before % 60, 0);
	assert_in_range(time(NULL) - i.not_before, 300, 360 + 300);
	assert_int_equal(i.not_after - i.not_before, (time_t)CERT_DAYS * 86400);
	assert_int_equal(i.dns.n + i.ips.n, 0);
	cert_info_finish(&i);
	assert_int_equal(cert_read(f.ca, &i, &err), 0);
	assert_int_equal(i.not_after - i.not_before, (time_t)CERT_CA_DAYS * 86400);
	cert_info_finish(&i);
}

static void test_orphan_keys_are_not_overwritten(void **state)
{
	struct cert_report report;
	FILES;

	unlink(f.client);
	assert_bootstrap_fails(&f, "client key already exists", f.client_key);
	unlink(f.ca);
	assert_bootstrap_fails(&f,
		"generating CA certificate failed: certificate authority key already exists",
		f.ca_key);
	/* a dangling link is something, too */
	unlink(f.ca_key);
	assert_int_equal(symlink("nowhere", f.ca_key), 0);
	assert_bootstrap_fails(&f, "already exists", f.ca_key);
	(void)report;
}

static void test_force_renews_the_client(void **state)
{
	struct cert_report report;
	FILES;
	_cleanup_free_ char *before = read_text(f.client), *key = read_text(f.client_key);

	assert_bootstrap(&f, true, &report);
	assert_true(report.made_client && !report.made_ca);
	_cleanup_free_ char *bak = in_dir("cert.pem.bak"), *key_bak = in_dir("key.pem.bak");
	_cleanup_free_ char *kept = read_text(bak), *kept_key = read_text(key_bak);
	assert_string_equal(before, kept);
	assert_string_equal(key, kept_key);
	assert_int_equal(mode_of(key_bak), 0600);
	_cleanup_free_ char *after = read_text(f.client);
	assert_string_not_equal(before, after);
	assert_strict(&f, f.client, "sslclient");
}

static void test_mismatches_are_named(void **state)
{
	FILES;

	assert_int_equal(run("openssl", "genrsa", "-out", "other.pem", "1024", NULL), 0);
	assert_int_equal(run("cp", "other.pem", "key.pem", NULL), 0);
	assert_bootstrap_fails(&f, "does not belong to the certificate", f.client_key);
	assert_int_equal(run("cp", "other.pem", "ca-key.pem", NULL), 0);
	assert_bootstrap_fails(&f, "does not belong to the certificate", f.ca_key);
	write_text(f.ca_key, "-----BEGIN RSA PRIVATE KEY-----\nTUlJ\n");
	assert_bootstrap_fails(&f, "Failed to decode PEM data", f.ca_key);
	write_text(f.ca, "");
	assert_bootstrap_fails(&f, "Failed to decode PEM data", f.ca);
	unlink(f.ca);
	assert_int_equal(mkfifo(f.ca, 0600), 0);
	assert_bootstrap_fails(&f, "is not a file", f.ca);
}

static void test_passphrase_is_said(void **state)
{
	FILES;

	assert_int_equal(run("openssl", "rsa", "-aes128", "-passout", "pass:abcd", "-traditional",
				 "-in", "ca-key.pem", "-out", "ca-key.pem", NULL),
		0);
	assert_bootstrap_fails(&f, "passphrase", f.ca_key);
}

static void test_client_of_another_ca(void **state)
{
	struct cert_report report;
	FILES;

	foreign_ca("rsa", "rsa_keygen_bits:2048", "/O=me");
	assert_bootstrap_fails(&f, "was not signed by the CA", f.client);
	assert_bootstrap_fails(&f, "regenerate-certs --client-certs", f.ca);
	assert_bootstrap(&f, true, &report);
	assert_verifies(&f, f.client, "sslclient");
}

static void test_new_ca_renews_the_client(void **state)
{
	struct cert_report report;
	FILES;

	unlink(f.ca);
	unlink(f.ca_key);
	assert_bootstrap(&f, false, &report);
	assert_true(report.made_ca && report.made_client && !report.ca_expired);
	assert_strict(&f, f.client, "sslclient");
	assert_true(is_file("key.pem.bak"));
}

static void test_expired_ca_is_replaced(void **state)
{
	struct cert_report report;
	_cleanup_free_ char *error = NULL;
	FILES;

	unlink(f.ca);
	unlink(f.ca_key);
	time_shift = -DAYS(CERT_CA_DAYS + 1);
	assert_bootstrap(&f, true, &report);
	time_shift = 0;
	_cleanup_free_ char *old = read_text(f.ca), *old_key = read_text(f.ca_key);
	/* its client, still within its time */
	assert_int_equal(
		run("sh", "-c",
			"openssl req -new -key key.pem -subj /O=c | openssl x509 -req -days 9 "
			"-CA ca.pem -CAkey ca-key.pem -out cert.pem",
			NULL),
		0);
	/* interrupted between the CA and its client: the client's folder is not there */
	f.paths.client = "/nonexistent/cert.pem";
	assert_int_equal(bootstrap(&f, false, &report, &error), -1);
	assert_true(report.ca_expired && report.made_ca && !report.made_client);
	_cleanup_free_ char *bak = in_dir("ca.pem.bak"), *key_bak = in_dir("ca-key.pem.bak");
	_cleanup_free_ char *kept = read_text(bak), *kept_key = read_text(key_bak);
	assert_string_equal(old, kept);
	assert_string_equal(old_key, kept_key);
	assert_int_equal(mode_of(key_bak), 0600);
	f.paths.client = f.client;
	assert_bootstrap(&f, false, &report);
	assert_true(report.made_client && !report.made_ca);
	assert_strict(&f, f.client, "sslclient");
}

static void test_ca_key_may_be_elsewhere(void **state)
{
	struct cert_report report;
	FILES;

	unlink(f.ca_key);
	assert_bootstrap(&f, false, &report);
	assert_false(report.made_ca || report.made_client);
	unlink(f.client);
	unlink(f.client_key);
	assert_bootstrap_fails(&f, "no such file or directory", f.ca_key);
}

/* Every state that a kill can leave. */
static void test_killed_between_the_renames(void **state)
{
	struct cert_report report;
	FILES;
	_cleanup_free_ char *ca_new = putfile_staged(f.ca), *client_new = putfile_staged(f.client),
			    *key_new = putfile_staged(f.client_key);
	_cleanup_free_ char *ca = read_text(f.ca), *client = read_text(f.client);

	/* the keys are in place, the certificates are not */
	assert_int_equal(rename(f.ca, ca_new), 0);
	assert_int_equal(rename(f.client, client_new), 0);
	assert_bootstrap(&f, false, &report);
	assert_true(report.made_ca && report.made_client);
	_cleanup_free_ char *ca_now = read_text(f.ca), *client_now = read_text(f.client);
	assert_string_equal(ca, ca_now);
	assert_string_equal(client, client_now);
	assert_nothing_staged();
	/* nothing is in place yet: half a key, half a certificate */
	write_text(key_new, "-----BEGIN RSA PRIV");
	write_text(client_new, "-----BEGIN CERT");
	assert_bootstrap(&f, false, &report);
	assert_false(report.made_client);
	assert_nothing_staged();
	/* what is staged has nothing to do with the key that is there: the rule for orphans holds
	 */
	assert_int_equal(rename(f.client, client_new), 0);
	assert_int_equal(run("cp", "ca-key.pem", "key.pem", NULL), 0);
	assert_bootstrap_fails(&f, "client key already exists", f.client_key);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, dir_setup, dir_teardown)
	const struct CMUnitTest tests[] = {
		T(test_bootstrap_is_idempotent),
		T(test_formats),
		T(test_orphan_keys_are_not_overwritten),
		T(test_force_renews_the_client),
		T(test_mismatches_are_named),
		T(test_passphrase_is_said),
		T(test_client_of_another_ca),
		T(test_new_ca_renews_the_client),
		T(test_expired_ca_is_replaced),
		T(test_ca_key_may_be_elsewhere),
		T(test_killed_between_the_renames),
	};

	return cmocka_run_group_tests(tests, stock_setup, stock_teardown);
}
