/*
 * Whom does a server's certificate name? mbedTLS 2.28 knows no addresses in subjectAltName, so the
 * name is matched here. As in Go, the common name never counts.
 */
#include "engine_priv.h"

#include "buf.h"
#include "mem.h"
#include "tlsfile.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define SAN_DNS 2
#define SAN_IP 7
#define SAN_TYPE 0x1f
#define NAMES_SHOWN 10u
#define TEXT_SHOWN 300u

char *engine_safe_text(const char *text, size_t len)
{
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < len && i < TEXT_SHOWN; i++)
		buf_addc(&b, text[i] >= ' ' && text[i] < 0x7f ? text[i] : '?');
	if (len > TEXT_SHOWN)
		buf_adds(&b, "...");
	return buf_steal(&b);
}

/* "*" stands for the whole first label, and for nothing else. */
static bool dns_matches(const char *pattern, size_t n, const char *host, size_t host_len)
{
	if (n > 2 && pattern[0] == '*' && pattern[1] == '.') {
		const char *dot = memchr(host, '.', host_len);
		if (!dot || dot == host)
			return false;
		host_len -= (size_t)(dot - host);
		host = dot;
		pattern++;
		n--;
	}
	return n == host_len && n > 0 && !memchr(pattern, '\0', n) &&
	       strncasecmp(pattern, host, n) == 0;
}

struct wanted {
	const char *host;
	size_t host_len; /* without a dot at the end */
	unsigned char ip[16];
	size_t ip_len; /* 0: host is a name */
};

static void wanted_init(struct wanted *w, const char *host)
{
	static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};

	*w = (struct wanted){.host = host, .host_len = strlen(host)};
	if (inet_pton(AF_INET, host, w->ip) == 1)
		w->ip_len = 4;
	else if (inet_pton(AF_INET6, host, w->ip) == 1)
		w->ip_len = 16;
	else if (w->host_len && host[w->host_len - 1] == '.')
		w->host_len--;
	if (w->ip_len == 16 && memcmp(w->ip, mapped, sizeof(mapped)) == 0) {
		memmove(w->ip, w->ip + sizeof(mapped), 4);
		w->ip_len = 4;
	}
}

/* Adds the names of the wanted kind to names, as far as they do not match. */
static bool name_fits(const mbedtls_x509_crt *cert, const struct wanted *w, struct buf *names)
{
	char text[INET6_ADDRSTRLEN];
	unsigned shown = 0;

	for (const mbedtls_x509_sequence *q = &cert->subject_alt_names; q && q->buf.p;
		q = q->next) {
		int type = q->buf.tag & SAN_TYPE;
		const char *p = (const char *)q->buf.p;
		size_t n = q->buf.len;
		_cleanup_free_ char *name = NULL;
		if (type == SAN_DNS && !w->ip_len) {
			if (dns_matches(p, n, w->host, w->host_len))
				return true;
			name = engine_safe_text(p, n);
		} else if (type == SAN_IP && w->ip_len && (n == 4 || n == 16)) {
			if (n == w->ip_len && memcmp(p, w->ip, n) == 0)
				return true;
			name = xstrdup(
				inet_ntop(n == 4 ? AF_INET : AF_INET6, p, text, sizeof(text)));
		}
		if (name && ++shown <= NAMES_SHOWN)
			buf_addf(names, "%s%s", names->len ? ", " : "", name);
	}
	if (shown > NAMES_SHOWN)
		buf_addf(names, " and %u more", shown - NAMES_SHOWN);
	return false;
}

static int judge_name(const mbedtls_x509_crt *peer, const char *host, struct err *err)
{
	_cleanup_buf_ struct buf names = BUF_INIT;
	struct wanted w;

	wanted_init(&w, host);
	if (name_fits(peer, &w, &names))
		return 0;
	if (names.len)
		return err_set(err, ERR_AUTH, "x509: certificate is valid for %s, not %s",
			buf_str(&names), host);
	if (w.ip_len)
		return err_set(err, ERR_AUTH,
			"x509: cannot validate certificate for %s because it doesn't contain any "
			"IP SANs",
			host);
	return err_set(err, ERR_AUTH,
		"x509: certificate is not valid for any names, but wanted to match %s", host);
}

static int judge_times(const mbedtls_x509_crt *peer, struct err *err)
{
	static const char text[] = "x509: certificate has expired or is not yet valid";
	time_t now = time(NULL), from = tls_time(&peer->valid_from), to = tls_time(&peer->valid_to),
	       other = now < from ? from : to;
	char here[32], there[32];
	struct tm tm;

	if (now >= from && now <= to)
		return err_set(err, ERR_AUTH, "%s (the CA's)", text);
	strftime(here, sizeof(here), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
	strftime(there, sizeof(there), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&other, &tm));
	return err_set(err, ERR_AUTH, "%s: current time %s is %s %s", text, here,
		now < from ? "before" : "after", there);
}

int engine_judge(const mbedtls_x509_crt *peer, uint32_t flags, const char *host, struct err *err)
{
	static const struct {
		uint32_t flag;
		const char *text;
	} faults[] = {
		{MBEDTLS_X509_BADCERT_NOT_TRUSTED, "signed by unknown authority"},
		{MBEDTLS_X509_BADCERT_KEY_USAGE | MBEDTLS_X509_BADCERT_EXT_KEY_USAGE |
				MBEDTLS_X509_BADCERT_NS_CERT_TYPE,
			"specifies an incompatible key usage"},
		{MBEDTLS_X509_BADCERT_BAD_MD | MBEDTLS_X509_BADCERT_BAD_PK |
				MBEDTLS_X509_BADCERT_BAD_KEY,
			"uses an algorithm or a key that is too weak"},
	};

	if (flags & (MBEDTLS_X509_BADCERT_EXPIRED | MBEDTLS_X509_BADCERT_FUTURE))
		return judge_times(peer, err);
	if (judge_name(peer, host, err) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(faults); i++)
		if (flags & faults[i].flag)
			return err_set(err, ERR_AUTH, "x509: certificate %s", faults[i].text);
	if (flags)
		return err_set(err, ERR_AUTH, "x509: certificate cannot be verified (0x%x)", flags);
	return 0;
}
