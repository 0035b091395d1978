#include "keyfile.h"

#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OPENSSH_BEGIN "-----BEGIN OPENSSH PRIVATE KEY-----"
#define OPENSSH_MAGIC "openssh-key-v1" /* followed by NUL, then the cipher's name as a string */
#define OPENSSH_HEAD (sizeof(OPENSSH_MAGIC) + 4 + 4) /* magic, length 4, "none" */
#define FINGERPRINT_PREFIX "SHA256:"
#define FINGERPRINT_DIGITS 43
#define HOSTKEY_MAX 2112u /* of an RSA key of 16,384 bits; more is none that servers have */

static const char base64_digits[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static const char no_key[] = "is not a private key";
static const char encrypted[] =
	"is encrypted with a passphrase: take it off a copy (ssh-keygen -p), or load the key into "
	"ssh-agent and leave --generic-ssh-key out";
static const char public_key[] = "is a public key; the private key is needed";

/* Decodes up to size bytes, skipping line ends; returns how many there were. */
static size_t base64_head(const char *s, unsigned char *out, size_t size)
{
	unsigned bits = 0, value = 0;
	size_t n = 0;

	for (; *s && n < size; s++) {
		const char *digit = strchr(base64_digits, *s);

		if (*s == '\r' || *s == '\n')
			continue;
		if (!digit)
			break;
		value = value << 6 | (unsigned)(digit - base64_digits);
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			out[n++] = (unsigned char)(value >> bits);
		}
	}
	return n;
}

static const char *openssh_problem(const char *begin)
{
	static const unsigned char plain[] = OPENSSH_MAGIC "\0\0\0\0\4none";
	unsigned char head[OPENSSH_HEAD];
	size_t n = base64_head(begin + strlen(OPENSSH_BEGIN), head, sizeof(head));

	if (n < sizeof(head) || memcmp(head, plain, sizeof(OPENSSH_MAGIC)) != 0)
		return no_key;
	return memcmp(head, plain, sizeof(head)) != 0 ? encrypted : NULL;
}

static const char *public_problem(const char *text)
{
	static const char *const starts[] = {
		"ssh-", "ecdsa-sha2-", "sk-", "---- BEGIN SSH2 PUBLIC", "-----BEGIN PUBLIC", NULL};

	for (const char *const *s = starts; *s; s++)
		if (strncmp(text, *s, strlen(*s)) == 0)
			return public_key;
	if (strncmp(text, "PuTTY-User-Key-File-", strlen("PuTTY-User-Key-File-")) == 0)
		return "is in PuTTY's format: convert it with puttygen -O private-openssh";
	return no_key;
}

const char *keyfile_problem(const char *text, size_t len)
{
	const char *begin, *end;

	if (strlen(text) != len)
		return no_key;
	begin = strstr(text, "-----BEGIN ");
	end = begin ? strstr(begin, " PRIVATE KEY-----") : NULL;
	if (!end || memchr(begin, '\n', (size_t)(end - begin)))
		return public_problem(text);
	if (!strstr(end, "\n-----END "))
		return "is not complete: its last line is missing";
	if (strncmp(begin, OPENSSH_BEGIN, strlen(OPENSSH_BEGIN)) == 0)
		return openssh_problem(begin);
	if (strncmp(begin, "-----BEGIN ENCRYPTED", strlen("-----BEGIN ENCRYPTED")) == 0 ||
		strstr(begin, "\nProc-Type: 4,ENCRYPTED"))
		return encrypted;
	return NULL;
}

static int missing(const char *path, struct err *err)
{
	return err_set(err, ERR_USER, "SSH key does not exist: \"%s\"", path);
}

int keyfile_check(const char *path, struct err *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	_cleanup_secret_ char *text = NULL;
	const char *problem = NULL;
	struct stat st;
	ssize_t n;

	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return missing(path, err);
	if (fd < 0 || fstat(fd, &st) < 0) {
		err_errno(err, errno, "SSH key \"%s\"", path);
		err->code = ERR_USER;
		return -1;
	}
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_USER, "SSH key \"%s\" is not a file", path);
	text = xcalloc(1, KEYFILE_MAX + 1);
	n = read(fd, text, KEYFILE_MAX);
	if (n < 0)
		return err_errno(err, errno, "SSH key \"%s\"", path);
	problem = n == KEYFILE_MAX ? no_key : keyfile_problem(text, (size_t)n);
	return problem ? err_set(err, ERR_USER, "SSH key \"%s\" %s", path, problem) : 0;
}

static bool is_key_type(const char *s, size_t len)
{
	static const char *const types[] = {"ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256",
		"ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"};

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (strlen(types[i]) == len && memcmp(types[i], s, len) == 0)
			return true;
	return false;
}

/* A public key is a row of length-prefixed fields: its type, then at least one number. */
static bool is_blob(const char *base64, const char *type, size_t n_type)
{
	unsigned char blob[HOSTKEY_MAX];
	size_t n = base64_head(base64, blob, sizeof(blob)), at = 0, fields = 0;
	size_t digits = strspn(base64, base64_digits), pad = strspn(base64 + digits, "=");

	if (pad > 2 || (digits + pad) % 4 != 0 || !strchr(" \t", base64[digits + pad]))
		return false; /* strchr finds the end of the text, too */

	while (n - at >= 4) {
		size_t len = (size_t)blob[at] << 24 | (size_t)blob[at + 1] << 16 |
			     (size_t)blob[at + 2] << 8 | blob[at + 3];

		if (len == 0 || len > n - at - 4)
			return false;
		if (fields++ == 0 && (len != n_type || memcmp(blob + at + 4, type, len) != 0))
			return false;
		at += 4 + len;
	}
	return fields > 1 && at == n;
}

const char *hostkey_problem(const char *text)
{
	static const char problem[] =
		"is neither a fingerprint (SHA256:…) nor a line of a known_hosts file";
	size_t len;

	if (text[strcspn(text, "\r\n")])
		return "is more than one line";
	if (strncmp(text, FINGERPRINT_PREFIX, strlen(FINGERPRINT_PREFIX)) == 0) {
		text += strlen(FINGERPRINT_PREFIX);
		len = strspn(text, base64_digits);
		return len == FINGERPRINT_DIGITS && !text[len + strspn(text + len, "=")] ? NULL
											 : problem;
	}
	len = strcspn(text, " \t");
	if (!is_key_type(text, len)) { /* HOST first */
		text += len;
		text += strspn(text, " \t");
		len = strcspn(text, " \t");
		if (!is_key_type(text, len))
			return problem;
	}
	return is_blob(text + len + strspn(text + len, " \t"), text, len) ? NULL : problem;
}
