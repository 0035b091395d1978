/*
 * Making a pair. Key and certificate are staged as .KEY.new and .CERT.new, flushed, and then
 * renamed, key first. Killed between the two renames, .CERT.new is still there and fits the key, so
 * complete_pair can finish; killed before, nothing has changed.
 */
#include "cert_priv.h"

#include "mem.h"
#include "putfile.h"

#include <mbedtls/ecp.h>
#include <mbedtls/pem.h>
#include <mbedtls/rsa.h>
#include <string.h>
#include <unistd.h>

#define KEY_PEM_MAX (16u << 10)
#define RSA_BITS 3072u
#define RSA_EXPONENT 65537

static int make_key(bool rsa, mbedtls_pk_context *key)
{
	int r = mbedtls_pk_setup(
		key, mbedtls_pk_info_from_type(rsa ? MBEDTLS_PK_RSA : MBEDTLS_PK_ECKEY));

	if (r != 0)
		return r;
	if (rsa)
		return mbedtls_rsa_gen_key(
			mbedtls_pk_rsa(*key), tls_random, NULL, RSA_BITS, RSA_EXPONENT);
	return mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(*key), tls_random, NULL);
}

static int cert_pem(const struct buf *der, char **ret)
{
	static const char begin[] = "-----BEGIN CERTIFICATE-----\n";
	static const char end[] = "-----END CERTIFICATE-----\n";
	size_t size = 2 * der->len + sizeof(begin) + sizeof(end), n;
	_cleanup_free_ char *text = xcalloc(1, size);
	int r = mbedtls_pem_write_buffer(begin, end, (const unsigned char *)der->data, der->len,
		(unsigned char *)text, size, &n);

	if (r == 0)
		*ret = take(text);
	return r;
}

static int install_pair(const char *cert_path, const char *key_path, const char *cert,
	const char *key, struct err *err)
{
	_cleanup_err_ struct err ignored = ERR_INIT;

	if (putfile_stage(key_path, key, strlen(key), 0600, err) == 0 &&
		putfile_stage(cert_path, cert, strlen(cert), 0644, err) == 0 &&
		putfile_commit(key_path, err) == 0 && putfile_commit(cert_path, err) == 0)
		return 0;
	/* either both or none, as after a kill; what cannot be finished now waits for the next time
	 */
	complete_pair(cert_path, key_path, &ignored);
	return -1;
}

int make_pair(
	const struct cert_plan *plan, const char *cert_path, const char *key_path, struct err *err)
{
	_cleanup_secret_ char *key_pem = xcalloc(1, KEY_PEM_MAX);
	_cleanup_free_ char *pem = NULL;
	_cleanup_buf_ struct buf der = BUF_INIT;
	mbedtls_pk_context key;
	int rc = -1;

	mbedtls_pk_init(&key);
	int r = make_key(plan->kind != CERT_SERVER, &key);
	if (r == 0)
		r = mbedtls_pk_write_key_pem(&key, (unsigned char *)key_pem, KEY_PEM_MAX);
	if (r != 0)
		tls_err(r, err, "make a key");
	else if (cert_encode(plan, &key, &der, err) == 0)
		rc = (r = cert_pem(&der, &pem)) ? tls_err(r, err, "encode a certificate") : 0;
	mbedtls_pk_free(&key);
	return rc < 0 ? -1 : install_pair(cert_path, key_path, pem, key_pem, err);
}

static bool files_fit(const char *cert_path, const char *key_path)
{
	_cleanup_err_ struct err ignored = ERR_INIT;
	mbedtls_x509_crt cert;
	mbedtls_pk_context key;

	mbedtls_x509_crt_init(&cert);
	mbedtls_pk_init(&key);
	bool fit = tlsfile_cert(cert_path, &cert, &ignored) == 0 &&
		   tlsfile_key(key_path, &key, &ignored) == 0 && key_fits(&cert, &key);
	mbedtls_pk_free(&key);
	mbedtls_x509_crt_free(&cert);
	return fit;
}

int complete_pair(const char *cert_path, const char *key_path, struct err *err)
{
	_cleanup_free_ char *cert_new = putfile_staged(cert_path);
	_cleanup_free_ char *key_new = putfile_staged(key_path);

	if (access(cert_new, F_OK) == 0 && access(key_new, F_OK) != 0 &&
		files_fit(cert_new, key_path))
		return putfile_commit(cert_path, err) < 0 ? -1 : 1;
	putfile_discard(key_path); /* the renames had not begun */
	putfile_discard(cert_path);
	return 0;
}
