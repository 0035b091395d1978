#include "cert_priv.h"

#include "mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <mbedtls/error.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SAN_DNS 2
#define SAN_IP 7

int tls_err(int code, struct err *err, const char *what)
{
	char text[160];

	mbedtls_strerror(code, text, sizeof(text));
	return err_set(err, ERR_INTERNAL, "%s: %s", what, text);
}

struct rng *rng_new(struct err *err)
{
	struct rng *r = xcalloc(1, sizeof(*r));

	mbedtls_entropy_init(&r->entropy);
	mbedtls_ctr_drbg_init(&r->drbg);
	int rc = mbedtls_ctr_drbg_seed(&r->drbg, mbedtls_entropy_func, &r->entropy, NULL, 0);
	if (rc == 0)
		return r;
	rng_free(r);
	tls_err(rc, err, "random numbers");
	return NULL;
}

void rng_free(struct rng *r)
{
	if (!r)
		return;
	mbedtls_ctr_drbg_free(&r->drbg);
	mbedtls_entropy_free(&r->entropy);
	free(r);
}

int read_limited(const char *path, char **ret, size_t *ret_len, struct err *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0)
		return err_errno(err, errno, "open %s", path);
	if (fstat(fd, &st) < 0)
		return err_errno(err, errno, "read %s", path);
	if (!S_ISREG(st.st_mode) || st.st_size > (off_t)CERT_MAX_FILE)
		return err_set(
			err, ERR_USER, "%s: not a file of at most %u bytes", path, CERT_MAX_FILE);
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

int load_cert(const char *path, mbedtls_x509_crt *ret, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	size_t len;

	if (read_limited(path, &text, &len, err) < 0)
		return -1;
	if (mbedtls_x509_crt_parse(ret, (const unsigned char *)text, len + 1) != 0 || !ret->raw.len)
		return err_set(
			err, ERR_USER, "%s: Failed to decode PEM data: not a certificate", path);
	return 0;
}

int load_key(const char *path, struct rng *rng, mbedtls_pk_context *ret, struct err *err)
{
	_cleanup_secret_ char *text = NULL;
	size_t len;

	if (read_limited(path, &text, &len, err) < 0)
		return -1;
#if MBEDTLS_VERSION_MAJOR >= 3
	int r = mbedtls_pk_parse_key(ret, (const unsigned char *)text, len + 1, NULL, 0,
		mbedtls_ctr_drbg_random, &rng->drbg);
#else
	(void)rng;
	int r = mbedtls_pk_parse_key(ret, (const unsigned char *)text, len + 1, NULL, 0);
#endif
	if (r != 0)
		return err_set(
			err, ERR_USER, "%s: Failed to decode PEM data: not a private key", path);
	return 0;
}

bool key_fits(const mbedtls_x509_crt *cert, const mbedtls_pk_context *key, struct rng *rng)
{
#if MBEDTLS_VERSION_MAJOR >= 3
	return mbedtls_pk_check_pair(&cert->pk, key, mbedtls_ctr_drbg_random, &rng->drbg) == 0;
#else
	(void)rng;
	return mbedtls_pk_check_pair(&cert->pk, key) == 0;
#endif
}

bool signed_by(mbedtls_x509_crt *cert, mbedtls_x509_crt *ca)
{
	uint32_t flags = 0;

	mbedtls_x509_crt_verify(cert, ca, NULL, NULL, &flags, NULL, NULL);
	return !(flags & MBEDTLS_X509_BADCERT_NOT_TRUSTED);
}

time_t cert_time(const mbedtls_x509_time *t)
{
	struct tm tm = {.tm_year = t->year - 1900,
		.tm_mon = t->mon - 1,
		.tm_mday = t->day,
		.tm_hour = t->hour,
		.tm_min = t->min,
		.tm_sec = t->sec};

	return timegm(&tm);
}

static char *name_of(const mbedtls_x509_name *name)
{
	char *text = xcalloc(1, 1024);

	if (mbedtls_x509_dn_gets(text, 1024, name) < 0)
		*text = '\0';
	return text;
}

static void read_names(const mbedtls_x509_crt *cert, struct cert_info *i)
{
	char ip[INET6_ADDRSTRLEN];

	for (const mbedtls_x509_sequence *s = &cert->subject_alt_names; s && s->buf.p;
		s = s->next) {
		int type = s->buf.tag & 0x1f;
		if (type == SAN_DNS)
			strv_add_take(&i->dns, xstrndup((const char *)s->buf.p, s->buf.len));
		else if (type == SAN_IP && (s->buf.len == 4 || s->buf.len == 16) &&
			 inet_ntop(s->buf.len == 4 ? AF_INET : AF_INET6, s->buf.p, ip, sizeof(ip)))
			strv_add(&i->ips, ip);
	}
}

int cert_read(const char *path, struct cert_info *ret, struct err *err)
{
	struct cert_info i = {0};
	mbedtls_x509_crt cert;

	mbedtls_x509_crt_init(&cert);
	int rc = load_cert(path, &cert, err);
	if (rc == 0) {
		i.not_before = cert_time(&cert.valid_from);
		i.not_after = cert_time(&cert.valid_to);
		i.subject = name_of(&cert.subject);
		i.issuer = name_of(&cert.issuer);
		read_names(&cert, &i);
		*ret = i;
	}
	mbedtls_x509_crt_free(&cert);
	return rc;
}

void cert_info_finish(struct cert_info *i)
{
	free(i->subject);
	free(i->issuer);
	strv_finish(&i->dns);
	strv_finish(&i->ips);
	*i = (struct cert_info){0};
}
