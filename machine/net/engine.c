/*
 * TLS on the loop: mbedTLS calls for bytes, the socket does not block, and between attempts the
 * coroutine waits for it. The chain is verified by mbedTLS; the name is matched here, as
 * mbedTLS 2.28 knows no addresses in subjectAltName.
 */
#include "engine.h"

#include "buf.h"
#include "log.h"
#include "mem.h"
#include "tcp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/error.h>
#include <mbedtls/ssl.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crt.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define PEM_FILE_MAX (256u << 10)
#define SAN_DNS 2
#define SAN_IP 7

struct session {
	int fd;
	mbedtls_entropy_context entropy;
	mbedtls_ctr_drbg_context drbg;
	mbedtls_ssl_config conf;
	mbedtls_ssl_context ssl;
	mbedtls_x509_crt ca, cert;
	mbedtls_pk_context key;
	char *host;
	int port;
};

static struct session *session_new(void)
{
	struct session *s = xcalloc(1, sizeof(*s));

	s->fd = -1;
	mbedtls_entropy_init(&s->entropy);
	mbedtls_ctr_drbg_init(&s->drbg);
	mbedtls_ssl_config_init(&s->conf);
	mbedtls_ssl_init(&s->ssl);
	mbedtls_x509_crt_init(&s->ca);
	mbedtls_x509_crt_init(&s->cert);
	mbedtls_pk_init(&s->key);
	return s;
}

static void session_free(struct session *s)
{
	if (s->fd >= 0)
		close(s->fd);
	mbedtls_ssl_free(&s->ssl);
	mbedtls_ssl_config_free(&s->conf);
	mbedtls_x509_crt_free(&s->ca);
	mbedtls_x509_crt_free(&s->cert);
	mbedtls_pk_free(&s->key);
	mbedtls_ctr_drbg_free(&s->drbg);
	mbedtls_entropy_free(&s->entropy);
	free(s->host);
	free(s);
}

static int read_pem(const char *path, char **ret, size_t *ret_len, struct err *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_set(err, ERR_IO, "open %s: %s", path,
			errno == ENOENT ? "no such file or directory" : strerror(errno));
	if (!S_ISREG(st.st_mode) || st.st_size > (off_t)PEM_FILE_MAX)
		return err_set(err, ERR_IO, "%s: not a certificate or key", path);
	char *text = xcalloc(1, (size_t)st.st_size + 1);
	ssize_t n = read(fd, text, (size_t)st.st_size);
	if (n < 0) {
		free(text);
		return err_set(err, ERR_IO, "read %s: %s", path, strerror(errno));
	}
	*ret = text;
	*ret_len = (size_t)n + 1; /* mbedTLS wants the NUL counted */
	return 0;
}

static int load_cert(const char *path, mbedtls_x509_crt *ret, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	size_t len;

	if (read_pem(path, &text, &len, err) < 0)
		return -1;
	if (mbedtls_x509_crt_parse(ret, (const unsigned char *)text, len) < 0 || !ret->raw.len)
		return err_set(err, ERR_IO, "There was an error reading certificate %s", path);
	return 0;
}

static int load_key(const char *path, struct session *s, struct err *err)
{
	_cleanup_secret_ char *text = NULL;
	size_t len;

	if (read_pem(path, &text, &len, err) < 0)
		return -1;
#if MBEDTLS_VERSION_MAJOR >= 3
	int r = mbedtls_pk_parse_key(&s->key, (const unsigned char *)text, len, NULL, 0,
		mbedtls_ctr_drbg_random, &s->drbg);
#else
	int r = mbedtls_pk_parse_key(&s->key, (const unsigned char *)text, len, NULL, 0);
#endif
	return r ? err_set(err, ERR_IO, "There was an error reading the key %s", path) : 0;
}

static int tls_failed(int r, struct err *err, const char *what)
{
	char text[160];

	mbedtls_strerror(r, text, sizeof(text));
	return err_set(err, ERR_AUTH, "%s: %s", what, text);
}

static int send_bytes(void *ctx, const unsigned char *data, size_t len)
{
	const struct session *s = ctx;
	ssize_t n = send(s->fd, data, len, MSG_NOSIGNAL);

	if (n >= 0)
		return (int)n;
	return errno == EAGAIN || errno == EINTR ? MBEDTLS_ERR_SSL_WANT_WRITE
						 : MBEDTLS_ERR_SSL_CONN_EOF;
}

static int recv_bytes(void *ctx, unsigned char *data, size_t len)
{
	const struct session *s = ctx;
	ssize_t n = recv(s->fd, data, len, 0);

	if (n >= 0)
		return (int)n;
	return errno == EAGAIN || errno == EINTR ? MBEDTLS_ERR_SSL_WANT_READ
						 : MBEDTLS_ERR_SSL_CONN_EOF;
}

static int set_up(struct session *s, const struct engine_tls *tls, struct err *err)
{
	int r = mbedtls_ctr_drbg_seed(&s->drbg, mbedtls_entropy_func, &s->entropy, NULL, 0);

	if (r != 0)
		return tls_failed(r, err, "random numbers");
	if (load_cert(tls->ca, &s->ca, err) < 0 || load_cert(tls->cert, &s->cert, err) < 0 ||
		load_key(tls->key, s, err) < 0)
		return -1;
	r = mbedtls_ssl_config_defaults(&s->conf, MBEDTLS_SSL_IS_CLIENT,
		MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT);
	if (r != 0)
		return tls_failed(r, err, "tls");
	mbedtls_ssl_conf_rng(&s->conf, mbedtls_ctr_drbg_random, &s->drbg);
	mbedtls_ssl_conf_ca_chain(&s->conf, &s->ca, NULL);
	mbedtls_ssl_conf_authmode(&s->conf, MBEDTLS_SSL_VERIFY_OPTIONAL); /* judged in verify() */
	mbedtls_ssl_conf_min_version(
		&s->conf, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);
#if MBEDTLS_VERSION_MAJOR >= 3
	/* a refused client certificate shows in the handshake of 1.2, not after it as in 1.3 */
	mbedtls_ssl_conf_max_version(
		&s->conf, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);
#endif
	if ((r = mbedtls_ssl_conf_own_cert(&s->conf, &s->cert, &s->key)) ||
		(r = mbedtls_ssl_setup(&s->ssl, &s->conf)))
		return tls_failed(r, err, "tls");
	mbedtls_ssl_set_hostname(&s->ssl, NULL);
	mbedtls_ssl_set_bio(&s->ssl, s, send_bytes, recv_bytes, NULL);
	return 0;
}

/* Waits as a result of mbedTLS asks. 1: try again; 0: it is something else. */
static int wait_for(struct co *co, struct session *s, int result, uint64_t until, struct err *err)
{
	int events = result == MBEDTLS_ERR_SSL_WANT_READ    ? UV_READABLE
		     : result == MBEDTLS_ERR_SSL_WANT_WRITE ? UV_WRITABLE
							    : 0;
	uint64_t now = loop_now(co_loop(co));

	if (!events)
		return 0;
	int r = now < until ? co_fd(co, s->fd, events, until - now, NULL) : -ETIMEDOUT;
	if (r == -ETIMEDOUT) {
		_cleanup_free_ char *where = tcp_join(s->host, s->port);
		return err_set(err, ERR_TIMEOUT, "%s: i/o timeout", where);
	}
	return r < 0 ? co_err(r, err) : 1;
}

static bool dns_matches(const char *pattern, size_t n, const char *host)
{
	const char *dot;

	if (strlen(host) == n && strncasecmp(pattern, host, n) == 0)
		return true;
	return n > 2 && pattern[0] == '*' && pattern[1] == '.' && (dot = strchr(host, '.')) &&
	       dot != host && strlen(dot) == n - 1 && strncasecmp(pattern + 1, dot, n - 1) == 0;
}

static bool name_fits(const mbedtls_x509_crt *cert, const char *host, struct buf *names)
{
	unsigned char ip[16];
	size_t ip_len = inet_pton(AF_INET, host, ip) == 1    ? 4
			: inet_pton(AF_INET6, host, ip) == 1 ? 16
							     : 0;
	char text[INET6_ADDRSTRLEN];

	for (const mbedtls_x509_sequence *q = &cert->subject_alt_names; q && q->buf.p;
		q = q->next) {
		int type = q->buf.tag & 0x1f;
		const char *sep = names->len ? ", " : "";
		if (type == SAN_DNS) {
			if (!ip_len && dns_matches((const char *)q->buf.p, q->buf.len, host))
				return true;
			buf_addf(names, "%s%.*s", sep, (int)MIN(q->buf.len, (size_t)100),
				(char *)q->buf.p);
		} else if (type == SAN_IP && (q->buf.len == 4 || q->buf.len == 16)) {
			if (q->buf.len == ip_len && memcmp(q->buf.p, ip, ip_len) == 0)
				return true;
			inet_ntop(
				q->buf.len == 4 ? AF_INET : AF_INET6, q->buf.p, text, sizeof(text));
			buf_addf(names, "%s%s", sep, text);
		}
	}
	return false;
}

static int verify(struct session *s, struct err *err)
{
	const mbedtls_x509_crt *peer = mbedtls_ssl_get_peer_cert(&s->ssl);
	uint32_t flags = mbedtls_ssl_get_verify_result(&s->ssl);
	_cleanup_buf_ struct buf names = BUF_INIT;

	if (!peer)
		return err_set(err, ERR_AUTH, "x509: the server shows no certificate");
	if (flags & (MBEDTLS_X509_BADCERT_EXPIRED | MBEDTLS_X509_BADCERT_FUTURE))
		return err_set(err, ERR_AUTH, "x509: certificate has expired or is not yet valid");
	if (flags & MBEDTLS_X509_BADCERT_NOT_TRUSTED)
		return err_set(err, ERR_AUTH, "x509: certificate signed by unknown authority");
	if (flags & ~(uint32_t)MBEDTLS_X509_BADCERT_CN_MISMATCH)
		return err_set(err, ERR_AUTH, "x509: certificate is not usable (0x%x)", flags);
	if (!name_fits(peer, s->host, &names))
		return err_set(err, ERR_AUTH, "x509: certificate is valid for %s, not %s",
			names.len ? buf_str(&names) : "no name", s->host);
	return 0;
}

static int handshake(struct co *co, struct session *s, uint64_t until, struct err *err)
{
	int r;

	while ((r = mbedtls_ssl_handshake(&s->ssl)) != 0) {
		int w = wait_for(co, s, r, until, err);
		if (w < 0)
			return -1;
		if (w == 1)
			continue;
		_cleanup_free_ char *where = tcp_join(s->host, s->port);
		if (r == MBEDTLS_ERR_SSL_CONN_EOF)
			return err_set(err, ERR_UNAVAILABLE,
				"%s: the connection was closed during the TLS handshake", where);
		if (r == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE)
			return err_set(err, ERR_AUTH,
				"remote error: tls: the server refuses (is the client certificate "
				"of its CA?)");
		if (r == MBEDTLS_ERR_SSL_INVALID_RECORD)
			return err_set(err, ERR_PROTOCOL,
				"%s: tls: first record does not look like a TLS handshake", where);
		return tls_failed(r, err, where);
	}
	return verify(s, err);
}

static int open_session(struct co *co, const char *url, const struct engine_tls *tls,
	uint64_t until, struct session **ret, struct err *err)
{
	const char *address = strncmp(url, "tcp://", 6) == 0 ? url + 6 : NULL;
	struct session *s;

	if (!address)
		return err_set(
			err, ERR_NOT_SUPPORTED, "%.200s: only tcp:// URLs can be asked", url);
	s = session_new();
	uint64_t now = loop_now(co_loop(co));
	/* connect first: a machine that is down costs no certificates */
	if (tcp_split(address, &s->host, &s->port, err) < 0 ||
		tcp_connect(co, s->host, s->port, until - now, &s->fd, err) < 0 ||
		set_up(s, tls, err) < 0 || handshake(co, s, until, err) < 0) {
		session_free(s);
		return -1;
	}
	*ret = s;
	return 0;
}

int engine_check_tls(struct co *co, const char *url, const struct engine_tls *tls,
	uint64_t timeout_ms, struct err *err)
{
	struct session *s;

	if (open_session(co, url, tls, loop_now(co_loop(co)) + timeout_ms, &s, err) < 0)
		return -1;
	mbedtls_ssl_close_notify(&s->ssl);
	session_free(s);
	return 0;
}

static int write_all(struct co *co, struct session *s, const char *data, size_t len, uint64_t until,
	struct err *err)
{
	while (len) {
		int r = mbedtls_ssl_write(&s->ssl, (const unsigned char *)data, len);
		if (r > 0) {
			data += r;
			len -= (size_t)r;
			continue;
		}
		int w = wait_for(co, s, r, until, err);
		if (w <= 0)
			return w < 0 ? -1
				     : err_set(err, ERR_UNAVAILABLE,
					       "the engine closed the connection");
	}
	return 0;
}

static int read_all(
	struct co *co, struct session *s, struct buf *out, uint64_t until, struct err *err)
{
	unsigned char *chunk = xmalloc(4096);
	int rc = 0;

	while (rc == 0) {
		int r = mbedtls_ssl_read(&s->ssl, chunk, 4096);
		if (r > 0) {
			buf_add(out, chunk, (size_t)r);
			if (out->len > ENGINE_MAX_ANSWER)
				rc = err_set(err, ERR_PROTOCOL,
					"the engine's answer is longer than %u bytes",
					ENGINE_MAX_ANSWER);
			continue;
		}
		int w = wait_for(co, s, r, until, err);
		if (w < 0)
			rc = -1;
		if (w == 1)
			continue;
		if (rc == 0 && !out->len)
			rc = r == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE
				     ? err_set(err, ERR_AUTH, "remote error: tls: bad certificate")
				     : err_set(err, ERR_UNAVAILABLE,
					       "the engine closed the connection");
		break;
	}
	free(chunk);
	return rc;
}

int engine_version(struct co *co, const char *url, const struct engine_tls *tls,
	uint64_t timeout_ms, char **ret_version, struct err *err)
{
	uint64_t until = loop_now(co_loop(co)) + timeout_ms;
	_cleanup_buf_ struct buf answer = BUF_INIT;
	struct session *s;

	if (open_session(co, url, tls, until, &s, err) < 0)
		return -1;
	_cleanup_free_ char *where = tcp_join(s->host, s->port);
	_cleanup_free_ char *request =
		xasprintf("GET /version HTTP/1.1\r\nHost: %s\r\nUser-Agent: machine\r\n"
			  "Accept: application/json\r\nConnection: close\r\n\r\n",
			where);
	int rc = write_all(co, s, request, strlen(request), until, err);
	if (rc == 0)
		rc = read_all(co, s, &answer, until, err);
	session_free(s);
	return rc < 0 ? -1 : engine_parse_version(buf_str(&answer), answer.len, ret_version, err);
}
