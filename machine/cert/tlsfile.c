#include "tlsfile.h"

#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <mbedtls/error.h>
#include <sodium.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int tls_err(int code, struct err *err, const char *what)
{
	char text[160];

	mbedtls_strerror(code, text, sizeof(text));
	return err_set(err, ERR_INTERNAL, "%s: %s", what, text);
}

int tls_random(void *unused, unsigned char *out, size_t len)
{
	(void)unused;
	if (sodium_init() < 0)
		return MBEDTLS_ERR_ERROR_GENERIC_ERROR;
	randombytes_buf(out, len);
	return 0;
}

time_t tls_time(const mbedtls_x509_time *t)
{
	struct tm tm = {.tm_year = t->year - 1900,
		.tm_mon = t->mon - 1,
		.tm_mday = t->day,
		.tm_hour = t->hour,
		.tm_min = t->min,
		.tm_sec = t->sec};

	return timegm(&tm);
}

int tlsfile_read(const char *path, char **ret, size_t *ret_len, struct err *err)
{
	/* O_NONBLOCK: a fifo in the place of a file must not hang */
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;
	size_t have = 0;

	if (fd < 0 && errno == ENOENT)
		return err_set(err, ERR_NOT_FOUND, "open %s: no such file or directory", path);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(err, errno, "open %s", path);
	if (!S_ISREG(st.st_mode) || st.st_size > (off_t)TLSFILE_MAX)
		return err_set(
			err, ERR_USER, "%s is not a file of at most %u bytes", path, TLSFILE_MAX);
	_cleanup_secret_ char *text = xcalloc(1, (size_t)st.st_size + 1);
	while (have < (size_t)st.st_size) {
		ssize_t n = read(fd, text + have, (size_t)st.st_size - have);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(err, errno, "read %s", path);
		if (n == 0)
			break;
		have += (size_t)n;
	}
	*ret = take(text);
	*ret_len = have;
	return 0;
}

int tlsfile_parse_cert(
	const char *path, const char *text, size_t len, mbedtls_x509_crt *ret, struct err *err)
{
	/* more than 0: that many certificates of a bundle are of kinds that mbedTLS does not know
	 */
	if (mbedtls_x509_crt_parse(ret, (const unsigned char *)text, len + 1) < 0 || !ret->raw.len)
		return err_set(err, ERR_USER,
			"There was an error reading certificate %s: Failed to decode PEM data",
			path);
	return 0;
}

int tlsfile_parse_key(
	const char *path, const char *text, size_t len, mbedtls_pk_context *ret, struct err *err)
{
#if MBEDTLS_VERSION_MAJOR >= 3
	int r = mbedtls_pk_parse_key(
		ret, (const unsigned char *)text, len + 1, NULL, 0, tls_random, NULL);
#else
	int r = mbedtls_pk_parse_key(ret, (const unsigned char *)text, len + 1, NULL, 0);
#endif
	if (r == MBEDTLS_ERR_PK_PASSWORD_REQUIRED)
		return err_set(err, ERR_USER,
			"the key %s is protected by a passphrase, which is not supported", path);
	if (r != 0)
		return err_set(err, ERR_USER,
			"There was an error reading the key %s: Failed to decode PEM data", path);
	return 0;
}

int tlsfile_cert(const char *path, mbedtls_x509_crt *ret, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	size_t len;

	if (tlsfile_read(path, &text, &len, err) < 0)
		return -1;
	return tlsfile_parse_cert(path, text, len, ret, err);
}

int tlsfile_key(const char *path, mbedtls_pk_context *ret, struct err *err)
{
	_cleanup_secret_ char *text = NULL;
	size_t len;

	if (tlsfile_read(path, &text, &len, err) < 0)
		return -1;
	return tlsfile_parse_key(path, text, len, ret, err);
}
