#include "cert_fixture.h"

#include "sshkey.h"

#include <sodium.h>

static int empty_dir_setup(void **state)
{
	return new_dir(dir, sizeof(dir));
}

static void test_fingerprint(void **state)
{
	unsigned char blob[256];
	size_t len = 0;

	assert_int_equal(run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "c", "-f",
				 "id_ed25519", NULL),
		0);
	_cleanup_free_ char *pub = in_dir("id_ed25519.pub"), *line = read_text(pub);
	char *start = strchr(line, ' ') + 1;
	*strchr(start, ' ') = '\0';
	assert_int_equal(sodium_base642bin(blob, sizeof(blob), start, strlen(start), NULL, &len,
				 NULL, sodium_base64_VARIANT_ORIGINAL),
		0);
	_cleanup_free_ char *print = sshkey_fingerprint(blob, len);
	_cleanup_free_ char *check =
		xasprintf("ssh-keygen -l -f id_ed25519.pub | grep -qF ' %s '", print);
	assert_int_equal(run("sh", "-c", check, NULL), 0);
}

static void assert_kind(const char *name, enum sshkey_type type, bool encrypted)
{
	_cleanup_err_ struct err err = ERR_INIT;
	_cleanup_free_ char *path = in_dir(name);
	struct sshkey_info info;

	if (sshkey_inspect(path, &info, &err) < 0)
		fail_msg("%s: %s", name, err_msg(&err));
	if (info.type != type || info.encrypted != encrypted)
		fail_msg("%s: type %d, encrypted %d", name, info.type, info.encrypted);
}

static void test_inspect_openssh(void **state)
{
	static const struct {
		const char *name;
		enum sshkey_type type;
	} types[] = {{"rsa", SSHKEY_RSA}, {"ed25519", SSHKEY_ED25519}, {"ecdsa", SSHKEY_ECDSA}};
	static const char *const formats[] = {"RFC4716", "PKCS8", "PEM"};

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		for (size_t k = 0; k < ARRAY_SIZE(formats) * 2; k++) {
			bool encrypted = k % 2;
			_cleanup_free_ char *name =
				xasprintf("%s-%s-%d", types[i].name, formats[k / 2], encrypted);
			assert_int_equal(
				run("ssh-keygen", "-q", "-t", types[i].name, "-m", formats[k / 2],
					"-N", encrypted ? "secret" : "", "-f", name, NULL),
				0);
			bool hidden = encrypted && streq(formats[k / 2], "PKCS8") &&
				      types[i].type != SSHKEY_ED25519; /* always OpenSSH's own */
			assert_kind(name, hidden ? SSHKEY_UNKNOWN : types[i].type, encrypted);
		}
}

static void test_inspect_openssl(void **state)
{
	assert_int_equal(run("sh", "-c",
				 "openssl ecparam -genkey -name prime256v1 -out ec &&"
				 "openssl genpkey -algorithm ed25519 -out ed &&"
				 "sed 's/$/\\r/' ed >crlf &&"
				 "openssl genrsa -out rsa 2048 &&"
				 "openssl rsa -in rsa -traditional -out rsa1 &&"
				 "{ echo 'Bag Attributes'; cat rsa; } >bag",
				 NULL),
		0);
	assert_kind("ec", SSHKEY_ECDSA, false);
	assert_kind("ed", SSHKEY_ED25519, false);
	assert_kind("crlf", SSHKEY_ED25519, false);
	assert_kind("rsa", SSHKEY_RSA, false);
	assert_kind("rsa1", SSHKEY_RSA, false);
	assert_kind("bag", SSHKEY_RSA, false);
}

static void test_inspect_refuses(void **state)
{
	static const char *const texts[] = {
		"",
		"ssh-ed25519 AAAA x\n",
		"-----BEGIN RSA PRIVATE KEY-----\n",
		"-----BEGIN RSA PRIVATE KEY-----\n-----END RSA PRIVATE KEY-----\n",
		"-----BEGIN RSA PRIVATE KEY-----\n!!!\n-----END RSA PRIVATE KEY-----\n",
		"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
		"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n",
		/* the magic, then a length of 2^32-1 */
		"-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEA/////w==\n"
		"-----END OPENSSH PRIVATE KEY-----\n",
		"-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmU=\n"
		"-----END OPENSSH PRIVATE KEY-----\n",
	};
	_cleanup_free_ char *path = in_dir("key");
	struct sshkey_info info;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		_cleanup_err_ struct err err = ERR_INIT;
		write_text(path, texts[i]);
		assert_int_equal(sshkey_inspect(path, &info, &err), -1);
		assert_int_equal(err.code, ERR_USER);
		assert_non_null(strstr(err_msg(&err), path));
	}
	_cleanup_err_ struct err err = ERR_INIT;
	assert_int_equal(sshkey_inspect("/nonexistent", &info, &err), -1);
	assert_int_equal(sshkey_inspect(dir, &info, &err), -1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, empty_dir_setup, dir_teardown)
	const struct CMUnitTest tests[] = {
		T(test_fingerprint),
		T(test_inspect_openssh),
		T(test_inspect_openssl),
		T(test_inspect_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
