#include "sshkey.h"

#include "mem.h"
#include "tlsfile.h"

#include <sodium.h>
#include <string.h>

#define MAGIC "openssh-key-v1" /* with its NUL */
#define PEM_ENCRYPTED "Proc-Type: 4,ENCRYPTED"
#define PKCS8_HEAD 32u

char *sshkey_fingerprint(const void *blob, size_t len)
{
	unsigned char hash[crypto_hash_sha256_BYTES];
	char text[sodium_base64_ENCODED_LEN(
		sizeof(hash), sodium_base64_VARIANT_ORIGINAL_NO_PADDING)];

	crypto_hash_sha256(hash, blob, len);
	sodium_bin2base64(
		text, sizeof(text), hash, sizeof(hash), sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
	return xasprintf("SHA256:%s", text);
}

static enum sshkey_type type_of_name(const char *s, size_t n)
{
	static const struct {
		const char *name;
		enum sshkey_type type;
	} names[] = {{"ssh-rsa", SSHKEY_RSA}, {"ssh-ed25519", SSHKEY_ED25519},
		{"ssh-dss", SSHKEY_DSA}, {"ecdsa-sha2-", SSHKEY_ECDSA}};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (n >= strlen(names[i].name) &&
			memcmp(s, names[i].name, strlen(names[i].name)) == 0)
			return names[i].type;
	return SSHKEY_UNKNOWN;
}

/* Length-prefixed field at *at; NULL at the end. */
static const unsigned char *next_field(
	const unsigned char *d, size_t len, size_t *at, size_t *ret_n)
{
	if (len - *at < 4)
		return NULL;
	size_t n = (size_t)d[*at] << 24 | (size_t)d[*at + 1] << 16 | (size_t)d[*at + 2] << 8 |
		   d[*at + 3];
	if (n > len - *at - 4)
		return NULL;
	const unsigned char *field = d + *at + 4;
	*at += 4 + n;
	*ret_n = n;
	return field;
}

static bool inspect_openssh(const unsigned char *d, size_t len, struct sshkey_info *ret)
{
	const unsigned char *cipher, *blob, *type;
	size_t at = sizeof(MAGIC), n_cipher, n, n_type, inner = 0;

	if (len < at || memcmp(d, MAGIC, sizeof(MAGIC)) != 0 ||
		!(cipher = next_field(d, len, &at, &n_cipher)) || /* then KDF and its options */
		!next_field(d, len, &at, &n) || !next_field(d, len, &at, &n) || len - at < 4)
		return false;
	at += 4; /* the number of keys */
	if (!(blob = next_field(d, len, &at, &n)) || !(type = next_field(blob, n, &inner, &n_type)))
		return false;
	ret->encrypted = n_cipher != 4 || memcmp(cipher, "none", 4) != 0;
	ret->type = type_of_name((const char *)type, n_type);
	return true;
}

/* PKCS#8: a sequence of a version and the algorithm's identifier, which tells the type. */
static bool inspect_pkcs8(const unsigned char *d, size_t len, struct sshkey_info *ret)
{
	static const struct {
		const char *oid; /* with tag and length */
		size_t n;
		enum sshkey_type type;
	} oids[] = {{"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01", 11, SSHKEY_RSA},
		{"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01", 9, SSHKEY_ECDSA},
		{"\x06\x07\x2a\x86\x48\xce\x38\x04\x01", 9, SSHKEY_DSA},
		{"\x06\x03\x2b\x65\x70", 5, SSHKEY_ED25519}};

	for (size_t i = 0; i < ARRAY_SIZE(oids) && ret->type == SSHKEY_UNKNOWN; i++)
		if (memmem(d, MIN(len, (size_t)PKCS8_HEAD), oids[i].oid, oids[i].n))
			ret->type = oids[i].type;
	return len > 0 && d[0] == 0x30;
}

static bool inspect_any(const unsigned char *d, size_t len, struct sshkey_info *ret)
{
	return true;
}

static const struct {
	const char *label;
	enum sshkey_type type;
	bool encrypted;
	bool (*inspect)(const unsigned char *d, size_t len, struct sshkey_info *ret);
} kinds[] = {
	{"RSA PRIVATE KEY", SSHKEY_RSA, false, inspect_any},
	{"EC PRIVATE KEY", SSHKEY_ECDSA, false, inspect_any},
	{"DSA PRIVATE KEY", SSHKEY_DSA, false, inspect_any},
	{"PRIVATE KEY", SSHKEY_UNKNOWN, false, inspect_pkcs8},
	{"ENCRYPTED PRIVATE KEY", SSHKEY_UNKNOWN, true, inspect_any},
	{"OPENSSH PRIVATE KEY", SSHKEY_UNKNOWN, false, inspect_openssh},
};

/* One PEM block, from behind its first line on. */
static bool inspect_block(const char *body, size_t kind, struct sshkey_info *ret)
{
	struct sshkey_info info = {.type = kinds[kind].type, .encrypted = kinds[kind].encrypted};
	const char *end = strstr(body, "-----END ");

	if (!end)
		return false;
	if (memmem(body, (size_t)(end - body), PEM_ENCRYPTED, strlen(PEM_ENCRYPTED))) {
		info.encrypted = true; /* header lines: not base64 */
		*ret = info;
		return true;
	}
	size_t max = (size_t)(end - body), len;
	unsigned char *d = xmalloc(max + 1);
	bool ok = sodium_base642bin(d, max, body, max, "\r\n \t", &len, NULL,
			  sodium_base64_VARIANT_ORIGINAL) == 0 &&
		  len > 0 && kinds[kind].inspect(d, len, &info);
	sodium_memzero(d, max);
	free(d);
	if (ok)
		*ret = info;
	return ok;
}

bool sshkey_inspect_text(const char *text, struct sshkey_info *ret)
{
	/* other blocks may come first: OpenSSL writes the curve's parameters */
	for (const char *p = text; (p = strstr(p, "-----BEGIN "));) {
		p += strlen("-----BEGIN ");
		for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
			size_t n = strlen(kinds[i].label);
			if (strncmp(p, kinds[i].label, n) == 0 && strncmp(p + n, "-----", 5) == 0 &&
				inspect_block(p + n + 5, i, ret))
				return true;
		}
	}
	return false;
}

int sshkey_inspect(const char *path, struct sshkey_info *ret, struct err *err)
{
	_cleanup_secret_ char *text = NULL;
	size_t len;

	if (sodium_init() < 0)
		return err_set(err, ERR_INTERNAL, "libsodium does not start");
	if (tlsfile_read(path, &text, &len, err) < 0)
		return -1;
	if (!sshkey_inspect_text(text, ret))
		return err_set(err, ERR_USER, "%s is not a private key", path);
	return 0;
}
