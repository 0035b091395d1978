/*
 * Keys as OpenSSH stores them. The private file ("openssh-key-v1") is a list of length-prefixed
 * fields in base64: no cipher, no KDF, one key, and a private part that starts with the same random
 * number twice and is padded by 1, 2, 3, …
 */
#include "sshkey.h"

#include "buf.h"
#include "mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_FILE_MAX (64u << 10)
#define LINE 70u
#define BLOCK 8u

static void add_u32(struct buf *b, uint32_t v)
{
	v = htonl(v);
	buf_add(b, &v, sizeof(v));
}

static void add_field(struct buf *b, const void *data, size_t len)
{
	add_u32(b, (uint32_t)len);
	buf_add(b, data, len);
}

static void add_text(struct buf *b, const char *s)
{
	add_field(b, s, strlen(s));
}

static char *base64(const void *data, size_t len, int variant)
{
	size_t size = sodium_base64_encoded_len(len, variant);
	char *text = xmalloc(size);

	return sodium_bin2base64(text, size, data, len, variant);
}

char *sshkey_fingerprint(const void *blob, size_t len)
{
	unsigned char hash[crypto_hash_sha256_BYTES];

	crypto_hash_sha256(hash, blob, len);
	_cleanup_free_ char *text =
		base64(hash, sizeof(hash), sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
	return xasprintf("SHA256:%s", text);
}

static void public_blob(const unsigned char *pk, struct buf *out)
{
	add_text(out, "ssh-ed25519");
	add_field(out, pk, crypto_sign_PUBLICKEYBYTES);
}

static char *private_file(const unsigned char *pk, const unsigned char *sk, const char *comment)
{
	struct buf secret = BUF_INIT, all = BUF_INIT, text = BUF_INIT;
	_cleanup_buf_ struct buf blob = BUF_INIT;
	uint32_t check = randombytes_random();

	add_u32(&secret, check);
	add_u32(&secret, check);
	public_blob(pk, &blob);
	buf_add(&secret, blob.data, blob.len);
	add_field(&secret, sk, crypto_sign_SECRETKEYBYTES);
	add_text(&secret, comment);
	for (char pad = 1; secret.len % BLOCK; pad++)
		buf_addc(&secret, pad);
	buf_add(&all, "openssh-key-v1", 15); /* with its NUL */
	add_text(&all, "none");
	add_text(&all, "none");
	add_text(&all, "");
	add_u32(&all, 1);
	add_field(&all, blob.data, blob.len);
	add_field(&all, secret.data, secret.len);
	char *body = base64(all.data, all.len, sodium_base64_VARIANT_ORIGINAL);
	buf_adds(&text, "-----BEGIN OPENSSH PRIVATE KEY-----\n");
	for (const char *p = body; *p;) {
		size_t n = MIN(strlen(p), (size_t)LINE);
		buf_add(&text, p, n);
		buf_addc(&text, '\n');
		p += n;
	}
	buf_adds(&text, "-----END OPENSSH PRIVATE KEY-----\n");
	sodium_memzero(secret.data, secret.len);
	sodium_memzero(all.data, all.len);
	secret_free(body);
	buf_finish(&secret);
	buf_finish(&all);
	return buf_steal(&text);
}

static int write_key(const char *path, const char *text, mode_t mode, struct err *err)
{
	_cleanup_free_ char *temp = xasprintf("%s.new", path);
	size_t len = strlen(text);

	unlink(temp);
	int fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	int e = 0;
	if (fd < 0)
		return err_errno(err, errno, "write %s", path);
	ssize_t n = write(fd, text, len);
	if (n < 0 || (size_t)n < len)
		e = n < 0 ? errno : ENOSPC;
	if (!e && fsync(fd) < 0)
		e = errno;
	if (close(fd) < 0 && !e)
		e = errno;
	if (!e && rename(temp, path) < 0)
		e = errno;
	if (!e)
		return 0;
	unlink(temp);
	return err_errno(err, e, "write %s", path);
}

static int link_old_name(const char *dir, const char *to, const char *name, struct err *err)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", dir, name);

	if (symlink(to, path) < 0 && errno != EEXIST)
		return err_errno(err, errno, "link %s", path);
	return 0;
}

int sshkey_make_ed25519(const char *dir, const char *comment, struct err *err)
{
	_cleanup_free_ char *path = xasprintf("%s/id_ed25519", dir),
			    *pub = xasprintf("%s.pub", path);
	unsigned char pk[crypto_sign_PUBLICKEYBYTES], sk[crypto_sign_SECRETKEYBYTES];
	_cleanup_buf_ struct buf blob = BUF_INIT;

	if (access(path, F_OK) != 0) {
		if (sodium_init() < 0 || crypto_sign_keypair(pk, sk) != 0)
			return err_set(err, ERR_INTERNAL, "make an SSH key: no random numbers");
		_cleanup_secret_ char *text = private_file(pk, sk, comment);
		sodium_memzero(sk, sizeof(sk));
		public_blob(pk, &blob);
		_cleanup_free_ char *encoded =
			base64(blob.data, blob.len, sodium_base64_VARIANT_ORIGINAL);
		_cleanup_free_ char *line = xasprintf("ssh-ed25519 %s %s\n", encoded, comment);
		/* the public half first: a private key without it would be kept, and stay without
		 */
		if (write_key(pub, line, 0644, err) < 0 || write_key(path, text, 0600, err) < 0)
			return -1;
	}
	if (link_old_name(dir, "id_ed25519", "id_rsa", err) < 0 ||
		link_old_name(dir, "id_ed25519.pub", "id_rsa.pub", err) < 0)
		return -1;
	return 0;
}

static int read_key_file(const char *path, char **ret, size_t *ret_len, struct err *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(err, errno, "open %s", path);
	if (!S_ISREG(st.st_mode) || st.st_size > (off_t)KEY_FILE_MAX)
		return err_set(err, ERR_USER, "%s is not a private key", path);
	char *text = xcalloc(1, (size_t)st.st_size + 1);
	ssize_t n = read(fd, text, (size_t)st.st_size);
	if (n < 0) {
		int e = errno;
		free(text);
		return err_errno(err, e, "read %s", path);
	}
	*ret = text;
	*ret_len = (size_t)n;
	return 0;
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

static bool inspect_openssh(const char *body, const char *end, struct sshkey_info *ret)
{
	unsigned char *d = xmalloc((size_t)(end - body) + 1);
	const unsigned char *cipher, *blob, *type;
	size_t len, at = 15, n_cipher, n, n_type, inner = 0;
	bool ok = false;

	if (sodium_base642bin(d, (size_t)(end - body), body, (size_t)(end - body), "\r\n \t", &len,
		    NULL, sodium_base64_VARIANT_ORIGINAL) == 0 &&
		len > 19 && memcmp(d, "openssh-key-v1", 15) == 0 &&
		(cipher = next_field(d, len, &at, &n_cipher)) && next_field(d, len, &at, &n) &&
		next_field(d, len, &at, &n) && len - at >= 4) {
		at += 4; /* the number of keys */
		if ((blob = next_field(d, len, &at, &n)) &&
			(type = next_field(blob, n, &inner, &n_type))) {
			ret->encrypted = n_cipher != 4 || memcmp(cipher, "none", 4) != 0;
			ret->type = type_of_name((const char *)type, n_type);
			ok = true;
		}
	}
	sodium_memzero(d, (size_t)(end - body) + 1);
	free(d);
	return ok;
}

/* In a PKCS#8 file the algorithm's identifier tells the type. */
static enum sshkey_type pkcs8_type(const char *body, const char *end)
{
	static const struct {
		const char *oid;
		size_t n;
		enum sshkey_type type;
	} oids[] = {{"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01", 9, SSHKEY_RSA},
		{"\x2a\x86\x48\xce\x3d\x02\x01", 7, SSHKEY_ECDSA},
		{"\x2b\x65\x70", 3, SSHKEY_ED25519}};
	unsigned char head[48];
	enum sshkey_type type = SSHKEY_UNKNOWN;
	size_t len = 0, take_chars = MIN((size_t)(end - body), (size_t)60);

	sodium_base642bin(head, sizeof(head), body, take_chars - take_chars % 4, "\r\n \t", &len,
		NULL, sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
	for (size_t i = 0; i < ARRAY_SIZE(oids); i++)
		if (memmem(head, len, oids[i].oid, oids[i].n))
			type = oids[i].type;
	sodium_memzero(head, sizeof(head));
	return type;
}

int sshkey_inspect(const char *path, struct sshkey_info *ret, struct err *err)
{
	static const struct {
		const char *label;
		enum sshkey_type type;
		bool encrypted;
	} labels[] = {{"RSA PRIVATE KEY", SSHKEY_RSA, false},
		{"EC PRIVATE KEY", SSHKEY_ECDSA, false}, {"DSA PRIVATE KEY", SSHKEY_DSA, false},
		{"PRIVATE KEY", SSHKEY_UNKNOWN, false},
		{"ENCRYPTED PRIVATE KEY", SSHKEY_UNKNOWN, true},
		{"OPENSSH PRIVATE KEY", SSHKEY_UNKNOWN, false}};
	_cleanup_secret_ char *text = NULL;
	struct sshkey_info info = {0};
	size_t len;

	if (sodium_init() < 0)
		return err_set(err, ERR_INTERNAL, "libsodium does not start");
	if (read_key_file(path, &text, &len, err) < 0)
		return -1;
	const char *begin = strstr(text, "-----BEGIN "), *body, *end;
	for (size_t i = 0; begin && i < ARRAY_SIZE(labels); i++) {
		_cleanup_free_ char *first = xasprintf("-----BEGIN %s-----", labels[i].label);
		if (strncmp(begin, first, strlen(first)) != 0)
			continue;
		body = begin + strlen(first);
		end = strstr(body, "-----END ");
		if (!end)
			break;
		info.type = labels[i].type;
		info.encrypted = labels[i].encrypted || strstr(body, "Proc-Type: 4,ENCRYPTED");
		if (streq(labels[i].label, "OPENSSH PRIVATE KEY") &&
			!inspect_openssh(body, end, &info))
			break;
		if (streq(labels[i].label, "PRIVATE KEY"))
			info.type = pkcs8_type(body, end);
		*ret = info;
		return 0;
	}
	return err_set(err, ERR_USER, "%s is not a private key", path);
}
