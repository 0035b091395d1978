/*
 * Making a pair. Key and certificate are written as KEY.new and CERT.new, flushed, and then
 * renamed, key first. Killed between the two renames, CERT.new is still there and fits the key, so
 * complete_pair can finish; killed before, nothing has changed.
 */
#include "cert_priv.h"

#include "buf.h"
#include "mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <mbedtls/ecp.h>
#include <mbedtls/oid.h>
#include <mbedtls/rsa.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PEM_MAX (16u << 10)
#define RSA_BITS 3072u
#define BACKDATE_S 300
#define DAY_S 86400

static const struct {
	unsigned usage;
	unsigned days;
	bool rsa;
} kinds[] = {
	[CERT_CA] = {MBEDTLS_X509_KU_DIGITAL_SIGNATURE | MBEDTLS_X509_KU_KEY_ENCIPHERMENT |
			     MBEDTLS_X509_KU_KEY_AGREEMENT | MBEDTLS_X509_KU_KEY_CERT_SIGN,
		CERT_CA_DAYS, true},
	[CERT_CLIENT] = {MBEDTLS_X509_KU_DIGITAL_SIGNATURE, CERT_DAYS, true},
	[CERT_SERVER] = {MBEDTLS_X509_KU_DIGITAL_SIGNATURE | MBEDTLS_X509_KU_KEY_ENCIPHERMENT |
				 MBEDTLS_X509_KU_KEY_AGREEMENT,
		CERT_DAYS, false},
};

static int make_key(bool rsa, mbedtls_pk_context *key, struct rng *rng)
{
	int r = mbedtls_pk_setup(
		key, mbedtls_pk_info_from_type(rsa ? MBEDTLS_PK_RSA : MBEDTLS_PK_ECKEY));

	if (r != 0)
		return r;
	if (rsa)
		return mbedtls_rsa_gen_key(
			mbedtls_pk_rsa(*key), mbedtls_ctr_drbg_random, &rng->drbg, RSA_BITS, 65537);
	return mbedtls_ecp_gen_key(
		MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(*key), mbedtls_ctr_drbg_random, &rng->drbg);
}

/* DER with lengths below 64 KiB, which is all that is needed here. */
static void der(struct buf *out, unsigned char tag, const void *data, size_t len)
{
	buf_addc(out, (char)tag);
	if (len > 255) {
		buf_addc(out, (char)0x82);
		buf_addc(out, (char)(len >> 8));
	} else if (len > 127) {
		buf_addc(out, (char)0x81);
	}
	buf_addc(out, (char)len);
	buf_add(out, data, len);
}

static int add_extension(mbedtls_x509write_cert *w, const char *oid, size_t oid_len, bool critical,
	const struct buf *content)
{
	_cleanup_buf_ struct buf seq = BUF_INIT;

	der(&seq, 0x30, content->data, content->len);
	return mbedtls_x509write_crt_set_extension(
		w, oid, oid_len, critical, (const unsigned char *)seq.data, seq.len);
}

static int add_names(mbedtls_x509write_cert *w, const struct cert_plan *p)
{
	_cleanup_buf_ struct buf names = BUF_INIT;
	unsigned char ip[16];

	for (size_t i = 0; i < p->n_hosts; i++)
		if (inet_pton(AF_INET, p->hosts[i], ip) != 1 &&
			inet_pton(AF_INET6, p->hosts[i], ip) != 1)
			der(&names, 0x82, p->hosts[i], strlen(p->hosts[i]));
	for (size_t i = 0; i < p->n_hosts; i++) {
		if (inet_pton(AF_INET, p->hosts[i], ip) == 1)
			der(&names, 0x87, ip, 4);
		else if (inet_pton(AF_INET6, p->hosts[i], ip) == 1)
			der(&names, 0x87, ip, 16);
	}
	if (!names.len)
		return 0;
	return add_extension(w, MBEDTLS_OID_SUBJECT_ALT_NAME,
		MBEDTLS_OID_SIZE(MBEDTLS_OID_SUBJECT_ALT_NAME), false, &names);
}

static int add_purposes(mbedtls_x509write_cert *w, const struct cert_plan *p)
{
	_cleanup_buf_ struct buf oids = BUF_INIT;

	if (p->kind == CERT_CA)
		return 0;
	if (p->kind == CERT_SERVER)
		der(&oids, 0x06, MBEDTLS_OID_SERVER_AUTH,
			MBEDTLS_OID_SIZE(MBEDTLS_OID_SERVER_AUTH));
	if (p->kind == CERT_CLIENT || p->client_auth)
		der(&oids, 0x06, MBEDTLS_OID_CLIENT_AUTH,
			MBEDTLS_OID_SIZE(MBEDTLS_OID_CLIENT_AUTH));
	return add_extension(w, MBEDTLS_OID_EXTENDED_KEY_USAGE,
		MBEDTLS_OID_SIZE(MBEDTLS_OID_EXTENDED_KEY_USAGE), false, &oids);
}

static int add_constraints(mbedtls_x509write_cert *w, bool ca)
{
	_cleanup_buf_ struct buf content = BUF_INIT;

	if (ca)
		der(&content, 0x01, "\xff", 1);
	return add_extension(w, MBEDTLS_OID_BASIC_CONSTRAINTS,
		MBEDTLS_OID_SIZE(MBEDTLS_OID_BASIC_CONSTRAINTS), true, &content);
}

/* mbedTLS takes names as text in which a comma separates. */
static char *name_text(const char *organization)
{
	struct buf b = BUF_INIT;

	buf_adds(&b, "O=");
	for (const char *s = organization; *s && b.len < 200; s++) {
		if (*s == ',')
			buf_addc(&b, '\\');
		buf_addc(&b, *s == '\\' || (unsigned char)*s < 0x20 ? '_' : *s);
	}
	return buf_steal(&b);
}

static int set_serial(mbedtls_x509write_cert *w, struct rng *rng)
{
	unsigned char serial[16];
	int r = mbedtls_ctr_drbg_random(&rng->drbg, serial, sizeof(serial));

	if (r != 0)
		return r;
	serial[0] = (unsigned char)((serial[0] & 0x7f) | 0x40); /* positive, and never short */
#if MBEDTLS_VERSION_NUMBER >= 0x03040000
	return mbedtls_x509write_crt_set_serial_raw(w, serial, sizeof(serial));
#else
	mbedtls_mpi n;
	mbedtls_mpi_init(&n);
	r = mbedtls_mpi_read_binary(&n, serial, sizeof(serial));
	if (r == 0)
		r = mbedtls_x509write_crt_set_serial(w, &n);
	mbedtls_mpi_free(&n);
	return r;
#endif
}

static int set_validity(mbedtls_x509write_cert *w, unsigned days)
{
	char from[16], to[16];
	struct tm tm;
	time_t start = time(NULL) - BACKDATE_S;

	start -= start % 60;
	time_t end = start + (time_t)days * DAY_S;
	strftime(from, sizeof(from), "%Y%m%d%H%M%S", gmtime_r(&start, &tm));
	strftime(to, sizeof(to), "%Y%m%d%H%M%S", gmtime_r(&end, &tm));
	return mbedtls_x509write_crt_set_validity(w, from, to);
}

static int set_issuer(mbedtls_x509write_cert *w, const struct cert_plan *p, const char *self)
{
	char *issuer = NULL;
	int r;

	if (!p->ca)
		return mbedtls_x509write_crt_set_issuer_name(w, self);
	/* the CA's organization, as text again */
	for (const mbedtls_x509_name *n = &p->ca->subject; n && !issuer; n = n->next)
		if (MBEDTLS_OID_CMP(MBEDTLS_OID_AT_ORGANIZATION, &n->oid) == 0) {
			_cleanup_free_ char *o = xstrndup((const char *)n->val.p, n->val.len);
			issuer = name_text(o);
		}
	r = mbedtls_x509write_crt_set_issuer_name(w, issuer ? issuer : "O=unknown");
	free(issuer);
	return r;
}

static int fill(mbedtls_x509write_cert *w, const struct cert_plan *p, mbedtls_pk_context *key,
	struct rng *rng)
{
	_cleanup_free_ char *name = name_text(p->organization);
	int r;

	mbedtls_x509write_crt_set_version(w, MBEDTLS_X509_CRT_VERSION_3);
	mbedtls_x509write_crt_set_md_alg(w, MBEDTLS_MD_SHA256);
	mbedtls_x509write_crt_set_subject_key(w, key);
	mbedtls_x509write_crt_set_issuer_key(w, p->ca ? p->ca_key : key);
	if ((r = set_serial(w, rng)) || (r = set_validity(w, kinds[p->kind].days)) ||
		(r = mbedtls_x509write_crt_set_subject_name(w, name)) ||
		(r = set_issuer(w, p, name)) || (r = add_constraints(w, p->kind == CERT_CA)) ||
		(r = mbedtls_x509write_crt_set_key_usage(w, kinds[p->kind].usage)) ||
		(r = mbedtls_x509write_crt_set_subject_key_identifier(w)) ||
		(r = mbedtls_x509write_crt_set_authority_key_identifier(w)) ||
		(r = add_purposes(w, p)) || (r = add_names(w, p)))
		return r;
	return 0;
}

static int write_new(const char *path, const char *text, mode_t mode, struct err *err)
{
	_cleanup_free_ char *temp = xasprintf("%s.new", path);
	size_t len = strlen(text);

	unlink(temp);
	int fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd < 0)
		return err_errno(err, errno, "write %s", path);
	ssize_t n = write(fd, text, len);
	int e = n < 0 ? errno : (size_t)n < len ? ENOSPC : 0;
	if (!e && fsync(fd) < 0)
		e = errno;
	if (close(fd) < 0 && !e)
		e = errno;
	if (!e)
		return 0;
	unlink(temp);
	return err_errno(err, e, "write %s", path);
}

static int install(const char *path, struct err *err)
{
	_cleanup_free_ char *temp = xasprintf("%s.new", path);
	_cleanup_free_ char *dir = xstrdup(path);

	if (rename(temp, path) < 0)
		return err_errno(err, errno, "write %s", path);
	*strrchr(dir, '/') = '\0';
	_cleanup_close_ int fd = open(*dir ? dir : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0)
		fsync(fd);
	return 0;
}

static void discard(const char *path)
{
	_cleanup_free_ char *temp = xasprintf("%s.new", path);

	unlink(temp);
}

static int install_pair(const char *cert_path, const char *key_path, const char *cert,
	const char *key, struct err *err)
{
	if (write_new(key_path, key, 0600, err) == 0 &&
		write_new(cert_path, cert, 0644, err) == 0 && install(key_path, err) == 0 &&
		install(cert_path, err) == 0)
		return 0;
	discard(key_path);
	discard(cert_path);
	return -1;
}

int make_pair(const struct cert_plan *plan, const char *cert_path, const char *key_path,
	struct rng *rng, struct err *err)
{
	char *cert_pem = xcalloc(1, PEM_MAX), *key_pem = xcalloc(1, PEM_MAX);
	mbedtls_x509write_cert w;
	mbedtls_pk_context key;

	mbedtls_x509write_crt_init(&w);
	mbedtls_pk_init(&key);
	int r = make_key(kinds[plan->kind].rsa, &key, rng);
	if (r == 0)
		r = fill(&w, plan, &key, rng);
	if (r == 0)
		r = mbedtls_pk_write_key_pem(&key, (unsigned char *)key_pem, PEM_MAX);
	if (r == 0)
		r = mbedtls_x509write_crt_pem(&w, (unsigned char *)cert_pem, PEM_MAX,
			mbedtls_ctr_drbg_random, &rng->drbg);
	mbedtls_x509write_crt_free(&w);
	mbedtls_pk_free(&key);
	int rc = r ? tls_err(r, err, "make a certificate")
		   : install_pair(cert_path, key_path, cert_pem, key_pem, err);
	free(cert_pem);
	secret_free(key_pem);
	return rc;
}

int complete_pair(const char *cert_path, const char *key_path, struct rng *rng, struct err *err)
{
	_cleanup_free_ char *cert_new = xasprintf("%s.new", cert_path);
	_cleanup_free_ char *key_new = xasprintf("%s.new", key_path);
	_cleanup_err_ struct err ignored = ERR_INIT;
	mbedtls_x509_crt cert;
	mbedtls_pk_context key;
	int rc = 0;

	if (access(cert_new, F_OK) != 0 || access(key_new, F_OK) == 0) {
		discard(key_path); /* the renames had not begun */
		discard(cert_path);
		return 0;
	}
	mbedtls_x509_crt_init(&cert);
	mbedtls_pk_init(&key);
	if (load_cert(cert_new, &cert, &ignored) == 0 &&
		load_key(key_path, rng, &key, &ignored) == 0 && key_fits(&cert, &key, rng))
		rc = install(cert_path, err);
	else
		discard(cert_path);
	mbedtls_pk_free(&key);
	mbedtls_x509_crt_free(&cert);
	return rc;
}
