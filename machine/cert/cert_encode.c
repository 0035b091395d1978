/*
 * The bytes of a certificate. mbedTLS's own writer cannot be used: it knows no subjectAltName
 * (2.28); it writes the issuer's name anew, while Go compares it with the CA's subject byte for
 * byte; and its authority key identifier is always a hash of its own making, while OpenSSL wants
 * the CA's subject key identifier, however that was made. So names and identifiers are copied.
 */
#include "cert_priv.h"

#include "mem.h"
#include "utf8.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <mbedtls/asn1.h>
#include <mbedtls/md.h>
#include <mbedtls/oid.h>
#include <string.h>

#define BACKDATE_S 300
#define SERIAL_BYTES 16u
#define KEY_ID_BYTES 20u
#define HASH_BYTES 32u
#define SPKI_MAX 600u /* of keys that we make */
#define ORGANIZATION_MAX 200u
#define HOST_MAX 253u
#define LAST_UTCTIME_YEAR 2049

#define SEQUENCE (MBEDTLS_ASN1_SEQUENCE | MBEDTLS_ASN1_CONSTRUCTED)
#define SET (MBEDTLS_ASN1_SET | MBEDTLS_ASN1_CONSTRUCTED)
#define CONTEXT(n) (MBEDTLS_ASN1_CONTEXT_SPECIFIC | (n))
#define EXPLICIT(n) (CONTEXT(n) | MBEDTLS_ASN1_CONSTRUCTED)
#define SAN_DNS CONTEXT(2)
#define SAN_IP CONTEXT(7)

#define OID_KEY_ID_SUBJECT MBEDTLS_OID_SUBJECT_KEY_IDENTIFIER
#define OID_KEY_ID_AUTHORITY MBEDTLS_OID_AUTHORITY_KEY_IDENTIFIER

static const struct {
	unsigned char usage, unused_bits;
	unsigned days;
} kinds[] = {
	[CERT_CA] = {MBEDTLS_X509_KU_DIGITAL_SIGNATURE | MBEDTLS_X509_KU_KEY_ENCIPHERMENT |
			     MBEDTLS_X509_KU_KEY_AGREEMENT | MBEDTLS_X509_KU_KEY_CERT_SIGN,
		2, CERT_CA_DAYS},
	[CERT_CLIENT] = {MBEDTLS_X509_KU_DIGITAL_SIGNATURE, 7, CERT_DAYS},
	[CERT_SERVER] = {MBEDTLS_X509_KU_DIGITAL_SIGNATURE | MBEDTLS_X509_KU_KEY_ENCIPHERMENT |
				 MBEDTLS_X509_KU_KEY_AGREEMENT,
		3, CERT_DAYS},
};

/* Tag, length, content. Lengths below 64 KiB are all that occur. */
static void put(struct buf *out, int tag, const void *data, size_t len)
{
	buf_addc(out, (char)tag);
	if (len > 0xff) {
		buf_addc(out, (char)0x82);
		buf_addc(out, (char)(len >> 8));
	} else if (len > 0x7f) {
		buf_addc(out, (char)0x81);
	}
	buf_addc(out, (char)len);
	buf_add(out, data, len);
}

static void put_oid(struct buf *out, const char *oid)
{
	put(out, MBEDTLS_ASN1_OID, oid, strlen(oid));
}

/* Puts a tag and a length around what is in b. */
static void wrap(struct buf *b, int tag)
{
	struct buf outer = BUF_INIT;

	put(&outer, tag, b->data, b->len);
	buf_finish(b);
	*b = outer;
}

static void put_wrapped(struct buf *out, int tag, struct buf *content)
{
	put(out, tag, content->data, content->len);
	buf_finish(content);
}

size_t host_address(const char *host, unsigned char ret[16])
{
	return inet_pton(AF_INET, host, ret) == 1    ? 4
	       : inet_pton(AF_INET6, host, ret) == 1 ? 16
						     : 0;
}

static bool is_printable_string(const char *s)
{
	for (; *s; s++)
		if (!isascii(*s) || (!isalnum((unsigned char)*s) && !strchr(" '()+,-./:=?", *s)))
			return false;
	return true;
}

/* A name of only an organization, typed as Go types it. */
static void put_name(struct buf *out, const char *organization)
{
	struct buf text = BUF_INIT, name = BUF_INIT;

	for (const char *s = organization; *s && text.len < ORGANIZATION_MAX;) {
		size_t n = utf8_sequence(s, strlen(s));
		if (n == 0 || (unsigned char)*s < 0x20 || *s == 0x7f)
			buf_addc(&text, '_');
		else
			buf_add(&text, s, n);
		s += MAX(n, (size_t)1);
	}
	int type = is_printable_string(buf_str(&text)) ? MBEDTLS_ASN1_PRINTABLE_STRING
						       : MBEDTLS_ASN1_UTF8_STRING;
	put_oid(&name, MBEDTLS_OID_AT_ORGANIZATION);
	put_wrapped(&name, type, &text);
	wrap(&name, SEQUENCE);
	wrap(&name, SET);
	put_wrapped(out, SEQUENCE, &name);
}

static void put_time(struct buf *out, time_t at)
{
	char text[24];
	struct tm tm;

	gmtime_r(&at, &tm);
	bool utc = tm.tm_year + 1900 <= LAST_UTCTIME_YEAR;
	size_t n = strftime(text, sizeof(text), "%Y%m%d%H%M%SZ", &tm), century = utc ? 2 : 0;
	put(out, utc ? MBEDTLS_ASN1_UTC_TIME : MBEDTLS_ASN1_GENERALIZED_TIME, text + century,
		n - century);
}

static void put_validity(struct buf *out, unsigned days)
{
	time_t start = time(NULL) - BACKDATE_S;
	struct buf times = BUF_INIT;

	start -= start % 60;
	put_time(&times, start);
	put_time(&times, start + (time_t)days * DAY_S);
	put_wrapped(out, SEQUENCE, &times);
}

/* Takes content, which is the extension's value. */
static void put_extension(struct buf *out, const char *oid, bool critical, struct buf *content)
{
	struct buf extension = BUF_INIT;

	put_oid(&extension, oid);
	if (critical)
		put(&extension, MBEDTLS_ASN1_BOOLEAN, "\xff", 1);
	put_wrapped(&extension, MBEDTLS_ASN1_OCTET_STRING, content);
	put_wrapped(out, SEQUENCE, &extension);
}

static void put_usages(struct buf *out, const struct cert_plan *p)
{
	const char usage[] = {(char)kinds[p->kind].unused_bits, (char)kinds[p->kind].usage};
	struct buf constraints = BUF_INIT, bits = BUF_INIT, purposes = BUF_INIT;

	if (p->kind == CERT_CA)
		put(&constraints, MBEDTLS_ASN1_BOOLEAN, "\xff", 1);
	wrap(&constraints, SEQUENCE);
	put_extension(out, MBEDTLS_OID_BASIC_CONSTRAINTS, true, &constraints);
	put(&bits, MBEDTLS_ASN1_BIT_STRING, usage, sizeof(usage));
	put_extension(out, MBEDTLS_OID_KEY_USAGE, true, &bits);
	if (p->kind == CERT_CA)
		return;
	if (p->kind == CERT_SERVER)
		put_oid(&purposes, MBEDTLS_OID_SERVER_AUTH);
	if (p->kind == CERT_CLIENT || p->client_auth)
		put_oid(&purposes, MBEDTLS_OID_CLIENT_AUTH);
	wrap(&purposes, SEQUENCE);
	put_extension(out, MBEDTLS_OID_EXTENDED_KEY_USAGE, false, &purposes);
}

int cert_host_check(const char *host, struct err *err)
{
	for (const char *s = host; *s; s++)
		if (*s <= ' ' || *s >= 0x7f || s - host >= (ptrdiff_t)HOST_MAX)
			return err_set(
				err, ERR_USER, "\"%.60s\" cannot be a name in a certificate", host);
	return 0;
}

static int put_hosts(struct buf *out, const struct cert_plan *p, struct err *err)
{
	_cleanup_buf_ struct buf names = BUF_INIT, addresses = BUF_INIT;
	unsigned char ip[16];

	for (size_t i = 0; i < p->n_hosts; i++) {
		const char *host = p->hosts[i];
		size_t n = host_address(host, ip);
		if (n) {
			put(&addresses, SAN_IP, ip, n);
			continue;
		}
		if (cert_host_check(host, err) < 0)
			return -1;
		if (*host)
			put(&names, SAN_DNS, host, strlen(host));
	}
	buf_add(&names, addresses.data, addresses.len);
	if (!names.len)
		return 0;
	wrap(&names, SEQUENCE);
	put_extension(out, MBEDTLS_OID_SUBJECT_ALT_NAME, false, &names);
	return 0;
}

/* The content of the CA's subject key identifier; false when it has none. */
static bool ca_key_id(const mbedtls_x509_crt *ca, struct buf *ret)
{
	unsigned char *p = ca->v3_ext.p, *end = p ? p + ca->v3_ext.len : p, *next;
	size_t n;

	if (!p || mbedtls_asn1_get_tag(&p, end, &n, SEQUENCE) != 0)
		return false;
	for (; p < end; p = next) {
		if (mbedtls_asn1_get_tag(&p, end, &n, SEQUENCE) != 0)
			return false;
		next = p + n;
		if (mbedtls_asn1_get_tag(&p, next, &n, MBEDTLS_ASN1_OID) != 0)
			return false;
		if (n != strlen(OID_KEY_ID_SUBJECT) || memcmp(p, OID_KEY_ID_SUBJECT, n) != 0)
			continue;
		p += n;
		for (int level = 0; level < 2; level++) /* the extension's, then its value's */
			if (mbedtls_asn1_get_tag(&p, next, &n, MBEDTLS_ASN1_OCTET_STRING) != 0)
				return false;
		buf_add(ret, p, n);
		return n > 0;
	}
	return false;
}

/* RFC 7093, method 1: of SHA-256 over the bit string, the first 160 bits. */
static int own_key_id(mbedtls_pk_context *key, unsigned char ret[HASH_BYTES])
{
	unsigned char bits[SPKI_MAX], *p = bits + sizeof(bits);
	int n = mbedtls_pk_write_pubkey(&p, bits, key);

	return n < 0 ? n
		     : mbedtls_md(mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), p, (size_t)n, ret);
}

static int put_key_ids(struct buf *out, const struct cert_plan *p, mbedtls_pk_context *key)
{
	struct buf subject = BUF_INIT, authority = BUF_INIT;
	_cleanup_buf_ struct buf ca_id = BUF_INIT;
	unsigned char own[HASH_BYTES];
	int r = own_key_id(key, own);

	if (r < 0)
		return r;
	put(&subject, MBEDTLS_ASN1_OCTET_STRING, own, KEY_ID_BYTES);
	put_extension(out, OID_KEY_ID_SUBJECT, false, &subject);
	if (!p->ca)
		buf_add(&ca_id, own, KEY_ID_BYTES);
	else if (!ca_key_id(p->ca, &ca_id))
		return 0;
	put(&authority, CONTEXT(0), ca_id.data, ca_id.len);
	wrap(&authority, SEQUENCE);
	put_extension(out, OID_KEY_ID_AUTHORITY, false, &authority);
	return 0;
}

static int put_extensions(
	struct buf *out, const struct cert_plan *p, mbedtls_pk_context *key, struct err *err)
{
	_cleanup_buf_ struct buf all = BUF_INIT;

	put_usages(&all, p);
	int r = put_key_ids(&all, p, key);
	if (r < 0)
		return tls_err(r, err, "identify a key");
	if (put_hosts(&all, p, err) < 0)
		return -1;
	wrap(&all, SEQUENCE);
	put(out, EXPLICIT(3), all.data, all.len);
	return 0;
}

static int put_algorithm(struct buf *out, const mbedtls_pk_context *key, struct err *err)
{
	struct buf algorithm = BUF_INIT;

	if (mbedtls_pk_can_do(key, MBEDTLS_PK_RSA)) {
		put_oid(&algorithm, MBEDTLS_OID_PKCS1_SHA256);
		put(&algorithm, MBEDTLS_ASN1_NULL, "", 0);
	} else if (mbedtls_pk_can_do(key, MBEDTLS_PK_ECDSA)) {
		put_oid(&algorithm, MBEDTLS_OID_ECDSA_SHA256);
	} else {
		return err_set(err, ERR_USER, "the CA's key is neither RSA nor ECDSA");
	}
	put_wrapped(out, SEQUENCE, &algorithm);
	return 0;
}

static int put_body(
	struct buf *out, const struct cert_plan *p, mbedtls_pk_context *key, struct err *err)
{
	unsigned char serial[SERIAL_BYTES], spki[SPKI_MAX];
	struct buf version = BUF_INIT;
	int r = tls_random(NULL, serial, sizeof(serial));

	if (r != 0)
		return tls_err(r, err, "random numbers");
	serial[0] = (serial[0] & 0x7f) | 0x40; /* positive, and never short */
	put(&version, MBEDTLS_ASN1_INTEGER, "\x02", 1);
	put_wrapped(out, EXPLICIT(0), &version);
	put(out, MBEDTLS_ASN1_INTEGER, serial, sizeof(serial));
	if (put_algorithm(out, p->ca ? p->ca_key : key, err) < 0)
		return -1;
	if (p->ca)
		buf_add(out, p->ca->subject_raw.p, p->ca->subject_raw.len);
	else
		put_name(out, p->organization);
	put_validity(out, kinds[p->kind].days);
	put_name(out, p->organization);
	/* mbedTLS writes to the end of the buffer */
	if ((r = mbedtls_pk_write_pubkey_der(key, spki, sizeof(spki))) < 0)
		return tls_err(r, err, "encode a key");
	buf_add(out, spki + sizeof(spki) - (size_t)r, (size_t)r);
	return put_extensions(out, p, key, err);
}

/* Adds body's signature to out. */
static int put_signature(struct buf *out, const struct buf *body, mbedtls_pk_context *key)
{
	_cleanup_buf_ struct buf bits = BUF_INIT;
	unsigned char hash[HASH_BYTES];
	size_t n = 0;

	buf_addc(&bits, 0); /* no unused bits */
	unsigned char *signature =
		(unsigned char *)buf_reserve(&bits, MBEDTLS_PK_SIGNATURE_MAX_SIZE);
	int r = mbedtls_md(mbedtls_md_info_from_type(MBEDTLS_MD_SHA256),
		(const unsigned char *)body->data, body->len, hash);
	if (r == 0)
		r = mbedtls_pk_sign(key, MBEDTLS_MD_SHA256, hash, sizeof(hash), signature,
#if MBEDTLS_VERSION_MAJOR >= 3
			MBEDTLS_PK_SIGNATURE_MAX_SIZE,
#endif
			&n, tls_random, NULL);
	bits.len += n;
	if (r == 0)
		put(out, MBEDTLS_ASN1_BIT_STRING, bits.data, bits.len);
	return r;
}

int cert_encode(
	const struct cert_plan *plan, mbedtls_pk_context *key, struct buf *ret, struct err *err)
{
	mbedtls_pk_context *signer = plan->ca ? plan->ca_key : key;
	_cleanup_buf_ struct buf body = BUF_INIT, all = BUF_INIT;

	if (put_body(&body, plan, key, err) < 0)
		return -1;
	wrap(&body, SEQUENCE);
	buf_add(&all, body.data, body.len);
	if (put_algorithm(&all, signer, err) < 0)
		return -1;
	int r = put_signature(&all, &body, signer);
	if (r != 0)
		return tls_err(r, err, "sign a certificate");
	put(ret, SEQUENCE, all.data, all.len);
	return 0;
}
