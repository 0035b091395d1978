#include "cert_priv.h"

#include "mem.h"

#include <arpa/inet.h>
#include <string.h>

#define SAN_DNS 2
#define SAN_IP 7
#define NAME_MAX_BYTES 1024u

bool key_fits(const mbedtls_x509_crt *cert, const mbedtls_pk_context *key)
{
#if MBEDTLS_VERSION_MAJOR >= 3
	return mbedtls_pk_check_pair(&cert->pk, key, tls_random, NULL) == 0;
#else
	return mbedtls_pk_check_pair(&cert->pk, key) == 0;
#endif
}

bool signed_by(mbedtls_x509_crt *cert, mbedtls_x509_crt *ca)
{
	uint32_t flags = 0;

	mbedtls_x509_crt_verify(cert, ca, NULL, NULL, &flags, NULL, NULL);
	return !(flags & MBEDTLS_X509_BADCERT_NOT_TRUSTED);
}

static char *name_of(const mbedtls_x509_name *name)
{
	char *text = xcalloc(1, NAME_MAX_BYTES);

	if (mbedtls_x509_dn_gets(text, NAME_MAX_BYTES, name) < 0)
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
	int rc = tlsfile_cert(path, &cert, err);
	if (rc == 0) {
		i.not_before = tls_time(&cert.valid_from);
		i.not_after = tls_time(&cert.valid_to);
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
