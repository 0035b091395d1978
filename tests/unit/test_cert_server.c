/* What is in certificates; those of servers: by our CA and by others, and when they are current. */
#include "cert_checks_fixture.h"
#include "cert_priv.h"

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
		T(test_contents),
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
