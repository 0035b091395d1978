#include "cert_fixture.h"

#include "cert_priv.h"
#include "putfile.h"

#include <time.h>

static const char *const hosts[] = {"10.1.2.3", "web1.example.com", "::1", "localhost", ""};

static struct cert_server server_of(const struct files *f)
{
	return (struct cert_server){.ca = f->ca,
		.ca_key = f->ca_key,
		.cert = f->server,
		.key = f->server_key,
		.organization = "me.web1",
		.hosts = hosts,
		.n_hosts = ARRAY_SIZE(hosts)};
}

static int bootstrap(
	const struct files *f, bool force, struct cert_report *report, char **ret_error)
{
	_cleanup_err_ struct err err = ERR_INIT;
	int rc = cert_bootstrap(&f->paths, "me", force, report, &err);

	*ret_error = rc < 0 ? xstrdup(err_msg(&err)) : NULL;
	return rc;
}

/* Must fail with an error that has both texts. */
static void assert_bootstrap_fails(const struct files *f, const char *text, const char *file)
{
	_cleanup_free_ char *error = NULL;
	struct cert_report report;

	assert_int_equal(bootstrap(f, false, &report, &error), -1);
	assert_non_null(strstr(error, text));
	assert_non_null(strstr(error, file));
	assert_null(strstr(error, "PRIVATE"));
}

static void assert_bootstrap(const struct files *f, bool force, struct cert_report *report)
{
	_cleanup_free_ char *error = NULL;

	if (bootstrap(f, force, report, &error) < 0)
		fail_msg("%s", error);
}

static void assert_verifies(const struct files *f, const char *cert, const char *purpose)
{
	assert_int_equal(
		run("openssl", "verify", "-purpose", purpose, "-CAfile", f->ca, cert, NULL), 0);
}

static void assert_strict(const struct files *f, const char *cert, const char *purpose)
{
	assert_int_equal(run("openssl", "verify", "-x509_strict", "-purpose", purpose, "-CAfile",
				 f->ca, cert, NULL),
		0);
}

static void assert_nothing_staged(void)
{
	assert_int_equal(run("sh", "-c", "! ls -A | grep -q new", NULL), 0);
}

/* A CA by OpenSSL, as users bring them along. */
static void foreign_ca(const char *key_type, const char *option, const char *subject)
{
	assert_int_equal(run("openssl", "req", "-x509", "-newkey", key_type, "-pkeyopt", option,
				 "-nodes", "-keyout", "ca-key.pem", "-out", "ca.pem", "-subj",
				 subject, "-addext", "keyUsage=critical,keyCertSign", NULL),
		0);
}

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

/* What OpenSSL says of a certificate, a line for each thing. */
static void assert_contents(const char *cert, const char *want)
{
	_cleanup_free_ char *path = in_dir("contents");

	assert_int_equal(
		run("env", "LC_ALL=C", "sh", "-c",
			"exec >contents; openssl x509 -in \"$1\" -noout -nameopt RFC2253 -subject "
			"-issuer -ext basicConstraints,keyUsage,extendedKeyUsage,subjectAltName | "
			"sed 's/^ *//; s/ *$//'; openssl x509 -in \"$1\" -noout -text | sed -nE "
			"'s/^ *((Version|Signature Algorithm|Public-Key|Exponent|ASN1 OID): "
			".*)/\\1/p' "
			"| sort -u",
			"sh", cert, NULL),
		0);
	_cleanup_free_ char *text = read_text(path);
	assert_string_equal(text, want);
}

#define RSA_3072                                         \
	"Exponent: 65537 (0x10001)\n"                    \
	"Public-Key: (3072 bit)\n"                       \
	"Signature Algorithm: sha256WithRSAEncryption\n" \
	"Version: 3 (0x2)\n"
#define P_256                                            \
	"ASN1 OID: prime256v1\n"                         \
	"Public-Key: (256 bit)\n"                        \
	"Signature Algorithm: sha256WithRSAEncryption\n" \
	"Version: 3 (0x2)\n"
#define NO_CA "X509v3 Basic Constraints: critical\nCA:FALSE\nX509v3 Key Usage: critical\n"
#define NAMES                                \
	"X509v3 Subject Alternative Name:\n" \
	"DNS:web1.example.com, DNS:localhost, IP Address:10.1.2.3, IP Address:0:0:0:0:0:0:0:1\n"

static void test_contents(void **state)
{
	_cleanup_err_ struct err err = ERR_INIT;
	FILES;
	struct cert_server s = server_of(&f);

	assert_contents(f.ca,
		"subject=O=me\nissuer=O=me\nX509v3 Basic Constraints: critical\nCA:TRUE\n"
		"X509v3 Key Usage: critical\nDigital Signature, Key Encipherment, Key Agreement, "
		"Certificate Sign\n" RSA_3072);
	assert_contents(f.client,
		"subject=O=me.\\<bootstrap\\>\nissuer=O=me\n" NO_CA "Digital Signature\n"
		"X509v3 Extended Key Usage:\nTLS Web Client Authentication\n" RSA_3072);
	assert_int_equal(cert_make_server(&s, &err), 0);
	assert_contents(f.server,
		"subject=O=me.web1\nissuer=O=me\n" NO_CA
		"Digital Signature, Key Encipherment, Key Agreement\n"
		"X509v3 Extended Key Usage:\nTLS Web Server Authentication\n" NAMES P_256);
	s.client_auth = true;
	assert_int_equal(cert_make_server(&s, &err), 0);
	assert_contents(f.server,
		"subject=O=me.web1\nissuer=O=me\n" NO_CA
		"Digital Signature, Key Encipherment, Key Agreement\n"
		"X509v3 Extended Key Usage:\nTLS Web Server Authentication, TLS Web Client "
		"Authentication\n" NAMES P_256);
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

static void test_server(void **state)
{
	_cleanup_err_ struct err err = ERR_INIT;
	_cleanup_free_ char *why = NULL;
	struct cert_info i;
	FILES;
	struct cert_server s = server_of(&f);

	assert_int_equal(cert_server_current(&s, &why, &err), 0);
	assert_non_null(strstr(why, "no such file"));
	assert_int_equal(cert_make_server(&s, &err), 0);
	assert_int_equal(mode_of(f.server), 0644);
	assert_int_equal(mode_of(f.server_key), 0600);
	_cleanup_free_ char *key = read_text(f.server_key);
	assert_memory_equal(key, "-----BEGIN EC PRIVATE KEY-----", 30);
	assert_strict(&f, f.server, "sslserver");
	assert_int_not_equal(
		run("openssl", "verify", "-purpose", "sslclient", "-CAfile", f.ca, f.server, NULL),
		0);
	assert_int_equal(cert_read(f.server, &i, &err), 0);
	assert_string_equal(i.subject, "O=me.web1");
	assert_int_equal(i.dns.n, 2);
	assert_string_equal(i.dns.items[0], "web1.example.com");
	assert_int_equal(i.ips.n, 2);
	assert_string_equal(i.ips.items[1], "::1");
	cert_info_finish(&i);
	s.client_auth = true;
	assert_int_equal(cert_make_server(&s, &err), 0);
	assert_strict(&f, f.server, "sslserver");
	assert_strict(&f, f.server, "sslclient");
}

static void assert_not_current(const struct cert_server *s, const char *reason)
{
	_cleanup_err_ struct err err = ERR_INIT;
	_cleanup_free_ char *why = NULL;

	assert_int_equal(cert_server_current(s, &why, &err), 0);
	assert_non_null(strstr(why, reason));
}

static void test_server_current(void **state)
{
	static const char *const shuffled[] = {
		"localhost", "::1", "0:0::1", "web1.example.com", "10.1.2.3"};
	_cleanup_err_ struct err err = ERR_INIT;
	char *why = NULL;
	FILES;
	struct cert_server s = server_of(&f);

	assert_int_equal(cert_make_server(&s, &err), 0);
	assert_int_equal(cert_server_current(&s, &why, &err), 1);
	assert_null(why);
	s.hosts = shuffled;
	assert_not_current(&s, "other names"); /* one address twice is one more */
	s.hosts = hosts;
	s.n_hosts--;
	assert_int_equal(cert_server_current(&s, &why, &err), 1); /* the empty one never counts */
	s.n_hosts--;
	assert_not_current(&s, "other names");
	s.n_hosts++;
	assert_int_equal(run("openssl", "ecparam", "-genkey", "-name", "prime256v1", "-noout",
				 "-out", "server-key.pem", NULL),
		0);
	assert_not_current(&s, "key does not fit");
	assert_int_equal(cert_make_server(&s, &err), 0);
	foreign_ca("rsa", "rsa_keygen_bits:2048", "/O=me");
	assert_not_current(&s, "another CA");
	unlink(f.ca);
	assert_int_equal(cert_server_current(&s, &why, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
}

static void test_time_goes_by(void **state)
{
	_cleanup_err_ struct err err = ERR_INIT;
	struct cert_report report;
	char *why = NULL;
	FILES;
	struct cert_server s = server_of(&f);

	assert_int_equal(cert_make_server(&s, &err), 0);
	time_shift = DAYS(CERT_DAYS - CERT_WARN_DAYS) - 600;
	int current = cert_server_current(&s, &why, &err);
	time_shift = DAYS(CERT_DAYS - CERT_WARN_DAYS) + 600;
	_cleanup_free_ char *soon = NULL, *early = NULL;
	int ending = cert_server_current(&s, &soon, &err);
	time_shift = -3600;
	int future = cert_server_current(&s, &early, &err);
	time_shift = DAYS(CERT_DAYS + 1);
	_cleanup_free_ char *error = NULL;
	int rc = bootstrap(&f, false, &report, &error);
	time_shift = 0;
	assert_int_equal(current, 1);
	assert_int_equal(ending, 0);
	assert_non_null(strstr(soon, "ends soon"));
	assert_int_equal(future, 0);
	assert_non_null(strstr(early, "not valid yet"));
	assert_int_equal(rc, 0); /* the client had expired, the CA had not */
	assert_true(report.made_client && !report.made_ca && !report.ca_expired);
}

static void test_names_that_cannot_be(void **state)
{
	static const char *const bad[] = {"a b", "na\xc3\xafve.example", "x\ny"};
	FILES;
	struct cert_server s = server_of(&f);

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		_cleanup_err_ struct err err = ERR_INIT;
		s.hosts = &bad[i];
		s.n_hosts = 1;
		assert_int_equal(cert_make_server(&s, &err), -1);
		assert_int_equal(err.code, ERR_USER);
	}
	assert_false(is_file("server-key.pem"));
	assert_nothing_staged();
}

/* CAs of others: names of many parts in other string types, no key identifier, another curve. */
static void test_foreign_cas(void **state)
{
	static const struct {
		const char *type, *option, *subject;
	} cas[] = {
		{"rsa", "rsa_keygen_bits:2048", "/O=someone"},
		{"rsa", "rsa_keygen_bits:2048",
			"/DC=com/DC=example/C=DE/O=Corp, Inc./OU=a/OU=b/CN=The CA+UID=7"},
		{"ec", "ec_paramgen_curve:P-384", "/CN=curved"},
	};
	_cleanup_err_ struct err err = ERR_INIT;
	struct cert_report report;
	FILES;
	struct cert_server s = server_of(&f);

	for (size_t i = 0; i < ARRAY_SIZE(cas); i++) {
		foreign_ca(cas[i].type, cas[i].option, cas[i].subject);
		assert_int_equal(cert_make_server(&s, &err), 0);
		assert_verifies(&f, f.server, "sslserver");
	}
	assert_bootstrap(&f, true, &report);
	assert_verifies(&f, f.client, "sslclient");
	assert_bootstrap(&f, false, &report);
	assert_false(report.made_client);
}

static void assert_same_issuer_bytes(const struct files *f)
{
	_cleanup_err_ struct err err = ERR_INIT;
	mbedtls_x509_crt ca, cert;

	mbedtls_x509_crt_init(&ca);
	mbedtls_x509_crt_init(&cert);
	assert_int_equal(tlsfile_cert(f->ca, &ca, &err), 0);
	assert_int_equal(tlsfile_cert(f->server, &cert, &err), 0);
	assert_int_equal(cert.issuer_raw.len, ca.subject_raw.len);
	assert_memory_equal(cert.issuer_raw.p, ca.subject_raw.p, ca.subject_raw.len);
	mbedtls_x509_crt_free(&ca);
	mbedtls_x509_crt_free(&cert);
}

/* As the original makes them: RSA 2048, a PrintableString, no key identifiers; Go compares bytes.
 */
static void test_ca_of_the_original(void **state)
{
	static const char config[] =
		"[req]\ndistinguished_name=n\nstring_mask=nombstr\nprompt=no\n"
		"x509_extensions=x\n[n]\nO=me\n[x]\n"
		"basicConstraints=critical,CA:TRUE\nsubjectKeyIdentifier=%s\n"
		"authorityKeyIdentifier=none\nkeyUsage=critical,digitalSignature,"
		"keyEncipherment,keyAgreement,keyCertSign\n";
	_cleanup_err_ struct err err = ERR_INIT;
	struct cert_report report;
	FILES;
	struct cert_server s = server_of(&f);
	_cleanup_free_ char *path = in_dir("config");

	for (int with_id = 0; with_id < 2; with_id++) {
		_cleanup_free_ char *text = xasprintf(config, with_id ? "01020304" : "none");
		write_text(path, text);
		assert_int_equal(run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes",
					 "-keyout", "ca-key.pem", "-out", "ca.pem", "-days", "30",
					 "-config", path, NULL),
			0);
		assert_int_equal(run("openssl", "rsa", "-traditional", "-in", "ca-key.pem", "-out",
					 "ca-key.pem", NULL),
			0);
		assert_int_equal(cert_make_server(&s, &err), 0);
		assert_verifies(&f, f.server, "sslserver");
		assert_same_issuer_bytes(&f);
	}
	assert_bootstrap(&f, true, &report);
	assert_verifies(&f, f.client, "sslclient");
	assert_bootstrap(&f, false, &report);
}

static void test_odd_user_names(void **state)
{
	static const char *const names[] = {
		"a,b=c+d\\e", "j\xc3\xb6rg", "bad\xff\x01", "", "o'neil (x)"};
	_cleanup_err_ struct err err = ERR_INIT;
	FILES;
	struct cert_server s = server_of(&f);

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		s.organization = names[i];
		assert_int_equal(cert_make_server(&s, &err), 0);
		assert_strict(&f, f.server, "sslserver");
	}
}

static void test_serials_differ(void **state)
{
	_cleanup_err_ struct err err = ERR_INIT;
	unsigned char last[20] = {0};
	FILES;
	struct cert_server s = server_of(&f);

	for (int i = 0; i < 3; i++) {
		mbedtls_x509_crt c;
		mbedtls_x509_crt_init(&c);
		assert_int_equal(cert_make_server(&s, &err), 0);
		assert_int_equal(tlsfile_cert(f.server, &c, &err), 0);
		assert_int_equal(c.serial.len, 16);
		assert_in_range(c.serial.p[0], 0x40, 0x7f);
		assert_memory_not_equal(c.serial.p, last, 16);
		memcpy(last, c.serial.p, 16);
		mbedtls_x509_crt_free(&c);
	}
}

static void test_relative_paths(void **state)
{
	_cleanup_err_ struct err err = ERR_INIT;
	char before[1024];
	FILES;
	struct cert_server s = server_of(&f);

	assert_non_null(getcwd(before, sizeof(before)));
	assert_int_equal(chdir(dir), 0);
	s.cert = "server.pem";
	s.key = "server-key.pem";
	int rc = cert_make_server(&s, &err);
	assert_int_equal(chdir(before), 0);
	assert_int_equal(rc, 0);
	assert_true(is_file("server.pem"));
}

static void test_unwritable_place(void **state)
{
	_cleanup_err_ struct err err = ERR_INIT;
	FILES;
	struct cert_server s = server_of(&f);
	_cleanup_free_ char *blocker = in_dir("server.pem/x");

	/* a folder in the certificate's place: the key got in first; the next run finishes or
	 * redoes */
	assert_int_equal(mkdir(f.server, 0755), 0);
	assert_int_equal(mkdir(blocker, 0755), 0);
	assert_int_equal(cert_make_server(&s, &err), -1);
	assert_non_null(strstr(err_msg(&err), f.server));
	err_finish(&err);
	assert_int_equal(rmdir(blocker), 0);
	assert_int_equal(rmdir(f.server), 0);
	assert_int_equal(cert_make_server(&s, &err), 0);
	assert_nothing_staged();
	s.cert = "/nonexistent/server.pem";
	assert_int_equal(cert_make_server(&s, &err), -1);
	assert_nothing_staged();
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, dir_setup, dir_teardown)
	const struct CMUnitTest tests[] = {
		T(test_bootstrap_is_idempotent),
		T(test_formats),
		T(test_contents),
		T(test_orphan_keys_are_not_overwritten),
		T(test_force_renews_the_client),
		T(test_mismatches_are_named),
		T(test_passphrase_is_said),
		T(test_client_of_another_ca),
		T(test_new_ca_renews_the_client),
		T(test_expired_ca_is_replaced),
		T(test_ca_key_may_be_elsewhere),
		T(test_killed_between_the_renames),
		T(test_server),
		T(test_server_current),
		T(test_time_goes_by),
		T(test_names_that_cannot_be),
		T(test_foreign_cas),
		T(test_ca_of_the_original),
		T(test_odd_user_names),
		T(test_serials_differ),
		T(test_relative_paths),
		T(test_unwritable_place),
	};

	return cmocka_run_group_tests(tests, stock_setup, stock_teardown);
}
