/*
 * Key pairs as OpenSSH stores them. The private file ("openssh-key-v1") is a list of
 * length-prefixed fields in base64: no cipher, no KDF, one key, and a private part that starts with
 * the same random number twice and is padded by 1, 2, 3, …
 */
#include "putfile.h"
#include "sdk.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sodium.h>
#include <string.h>
#include <unistd.h>

#define MAGIC "openssh-key-v1" /* with its NUL */
#define LINE 70u
#define BLOCK 8u
#define PRIVATE_ROOM 512u
#define PUBLIC_MAX 16384u
#define COPY_NAME "ssh_key"

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

	/* room at once: what grows leaves copies of the secret behind */
	buf_reserve(&secret, strlen(comment) + PRIVATE_ROOM);
	buf_reserve(&all, strlen(comment) + 2 * PRIVATE_ROOM);
	buf_reserve(&text, 2 * strlen(comment) + 4 * PRIVATE_ROOM);

	add_u32(&secret, check);
	add_u32(&secret, check);
	public_blob(pk, &blob);
	buf_add(&secret, blob.data, blob.len);
	add_field(&secret, sk, crypto_sign_SECRETKEYBYTES);
	add_text(&secret, comment);
	for (char pad = 1; secret.len % BLOCK; pad++)
		buf_addc(&secret, pad);
	buf_add(&all, MAGIC, sizeof(MAGIC));
	add_text(&all, "none");
	add_text(&all, "none");
	add_text(&all, "");
	add_u32(&all, 1);
	add_field(&all, blob.data, blob.len);
	add_field(&all, secret.data, secret.len);
	char *body = md_base64(all.data, all.len);
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

static int make_pair(const char *path, const char *pub, const char *comment, struct err *err)
{
	unsigned char pk[crypto_sign_PUBLICKEYBYTES], sk[crypto_sign_SECRETKEYBYTES];
	_cleanup_buf_ struct buf blob = BUF_INIT;

	if (sodium_init() < 0 || crypto_sign_keypair(pk, sk) != 0)
		return err_set(err, ERR_INTERNAL, "make an SSH key: no random numbers");
	_cleanup_secret_ char *text = private_file(pk, sk, comment);
	sodium_memzero(sk, sizeof(sk));
	public_blob(pk, &blob);
	_cleanup_free_ char *encoded = md_base64(blob.data, blob.len);
	_cleanup_free_ char *line = xasprintf("ssh-ed25519 %s %s\n", encoded, comment);
	/* the public half first: a private key without it would be kept, and stay without */
	if (putfile(pub, line, strlen(line), 0600, err) < 0)
		return -1;
	return putfile(path, text, strlen(text), 0600, err);
}

int md_sshkey(
	const char *dir, const char *name, const char *comment, char **ret_pub, struct err *err)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", dir, name);
	_cleanup_free_ char *pub = xasprintf("%s.pub", path);

	if (access(path, F_OK) != 0 && make_pair(path, pub, comment, err) < 0)
		return -1;
	if (!ret_pub)
		return 0;
	if (md_read_file(pub, PUBLIC_MAX, ret_pub, NULL, err) < 0)
		return -1;
	(*ret_pub)[strcspn(*ret_pub, "\n")] = '\0';
	return 0;
}

/* A second name of the same file: programs that pack the machine's folder, as Rancher does, fail on
 * symbolic links. A file system that has no other has to do with one. */
static int link_old_name(const char *dir, const char *to, const char *name, struct err *err)
{
	_cleanup_free_ char *file = xasprintf("%s/%s", dir, to);
	_cleanup_free_ char *path = xasprintf("%s/%s", dir, name);

	if (link(file, path) < 0 && errno != EEXIST && symlink(to, path) < 0 && errno != EEXIST)
		return err_errno(err, errno, "link %s", path);
	return 0;
}

int md_sshkey_login(const char *dir, const char *comment, char **ret_pub, struct err *err)
{
	_cleanup_free_ char *pub = NULL;

	if (md_sshkey(dir, "id_ed25519", comment, &pub, err) < 0 ||
		link_old_name(dir, "id_ed25519.pub", "id_rsa.pub", err) < 0 ||
		link_old_name(dir, "id_ed25519", "id_rsa", err) < 0)
		return -1;
	if (ret_pub)
		*ret_pub = take(pub);
	return 0;
}

char *md_key_copy_path(const struct md_machine *m, const char *key)
{
	static const char *const reserved[] = {
		"ca.pem", "cert.pem", "key.pem", "server.pem", "server-key.pem", "known_hosts"};
	const char *slash = strrchr(key, '/'), *name = slash ? slash + 1 : key;

	if (!*name || *name == '.' || strncmp(name, "config.json", strlen("config.json")) == 0)
		return md_file(m, COPY_NAME);
	for (size_t i = 0; i < ARRAY_SIZE(reserved); i++)
		if (streq(name, reserved[i]))
			return md_file(m, COPY_NAME);
	return md_file(m, name);
}
