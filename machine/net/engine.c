/*
 * TLS on the loop: mbedTLS calls for bytes, the socket does not block, and between attempts the
 * coroutine waits for it. The server is judged within the handshake, before it learns anything of
 * the client. The handshake's cost, some milliseconds for the RSA signature, stays on the loop:
 * libuv's threads may be stuck in name lookups.
 */
#include "engine_priv.h"

#include "buf.h"
#include "mem.h"
#include "tcp.h"
#include "tlsfile.h"

#include <errno.h>
#include <mbedtls/oid.h>
#include <mbedtls/ssl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHUNK 4096u

struct session {
	int fd;
	struct rng *rng;
	mbedtls_ssl_config conf;
	mbedtls_ssl_context ssl;
	mbedtls_x509_crt ca, cert;
	mbedtls_pk_context key;
	char *host, *where;
	int port;
	uint64_t until;
	uint32_t flags;     /* what is wrong with the chain so far */
	bool judged;        /* the server's certificate was looked at */
	struct err verdict; /* set: and refused */
};

static struct session *session_new(void)
{
	struct session *s = xcalloc(1, sizeof(*s));

	s->fd = -1;
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
	rng_free(s->rng);
	err_finish(&s->verdict);
	free(s->host);
	free(s->where);
	free(s);
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

	if (n > 0)
		return (int)n;
	return n < 0 && (errno == EAGAIN || errno == EINTR) ? MBEDTLS_ERR_SSL_WANT_READ
							    : MBEDTLS_ERR_SSL_CONN_EOF;
}

/* Called from the root down; what it leaves in flags ends the handshake. */
static int check_cert(void *arg, mbedtls_x509_crt *cert, int depth, uint32_t *flags)
{
	struct session *s = arg;

	s->flags |= *flags;
	if (depth > 0)
		return 0;
	if (mbedtls_x509_crt_check_extended_key_usage(
		    cert, MBEDTLS_OID_SERVER_AUTH, MBEDTLS_OID_SIZE(MBEDTLS_OID_SERVER_AUTH)) != 0)
		s->flags |= MBEDTLS_X509_BADCERT_EXT_KEY_USAGE;
	s->judged = true;
	err_finish(&s->verdict);
	*flags = engine_judge(cert, s->flags, s->host, &s->verdict) < 0 ? MBEDTLS_X509_BADCERT_OTHER
									: 0;
	return 0;
}

static int load_files(struct session *s, const struct engine_tls *tls, struct err *err)
{
	if (tlsfile_cert(tls->ca, &s->ca, err) == 0 &&
		tlsfile_cert(tls->cert, &s->cert, err) == 0 &&
		tlsfile_key(tls->key, s->rng, &s->key, err) == 0)
		return 0;
	err->code = ERR_IO; /* here it is no matter of the server's being found */
	return -1;
}

static int configure(struct session *s)
{
	mbedtls_ssl_config *c = &s->conf;
	int r = mbedtls_ssl_config_defaults(
		c, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT);

	if (r != 0)
		return r;
	mbedtls_ssl_conf_rng(c, mbedtls_ctr_drbg_random, &s->rng->drbg);
	mbedtls_ssl_conf_ca_chain(c, &s->ca, NULL);
	mbedtls_ssl_conf_authmode(c, MBEDTLS_SSL_VERIFY_REQUIRED);
	mbedtls_ssl_conf_verify(c, check_cert, s);
#if MBEDTLS_VERSION_MAJOR >= 3
	mbedtls_ssl_conf_min_tls_version(c, MBEDTLS_SSL_VERSION_TLS1_2);
	/* a refused client certificate shows in the handshake of 1.2, not after it as in 1.3 */
	mbedtls_ssl_conf_max_tls_version(c, MBEDTLS_SSL_VERSION_TLS1_2);
#else
	mbedtls_ssl_conf_min_version(c, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);
#endif
	if ((r = mbedtls_ssl_conf_own_cert(c, &s->cert, &s->key)) ||
		(r = mbedtls_ssl_setup(&s->ssl, c)) ||
		(r = mbedtls_ssl_set_hostname(&s->ssl, NULL))) /* check_cert looks at the name */
		return r;
	mbedtls_ssl_set_bio(&s->ssl, s, send_bytes, recv_bytes, NULL);
	return 0;
}

static int set_up(struct session *s, const struct engine_tls *tls, struct err *err)
{
	if (!(s->rng = rng_new(err)) || load_files(s, tls, err) < 0)
		return -1;
	int r = configure(s);
	return r ? tls_err(r, err, "tls") : 0;
}

/* Waits as a result of mbedTLS asks. 1: try again; 0: it is something else. */
static int wait_for(struct co *co, struct session *s, int result, struct err *err)
{
	int events = result == MBEDTLS_ERR_SSL_WANT_READ    ? UV_READABLE
		     : result == MBEDTLS_ERR_SSL_WANT_WRITE ? UV_WRITABLE
							    : 0;
	uint64_t now = loop_now(co_loop(co));

	if (!events)
		return 0;
	int r = now < s->until ? co_fd(co, s->fd, events, s->until - now, NULL) : -ETIMEDOUT;
	if (r == -ETIMEDOUT)
		return err_set(err, ERR_TIMEOUT, "%s: i/o timeout", s->where);
	return r < 0 ? co_err(r, err) : 1;
}

/* A server that refuses may close before all that we send has arrived: then sending fails, while
 * its last word waits to be read. */
static bool alert_waits(const struct session *s)
{
	unsigned char record[7]; /* type, version, length; level and kind */

	return recv(s->fd, record, sizeof(record), MSG_DONTWAIT) == sizeof(record) &&
	       record[0] == MBEDTLS_SSL_MSG_ALERT && record[4] == 2 &&
	       record[5] == MBEDTLS_SSL_ALERT_LEVEL_FATAL;
}

static int handshake_failed(struct session *s, int r, struct err *err)
{
	if (s->verdict.code != ERR_NONE)
		return err_move(err, &s->verdict);
	if (r == MBEDTLS_ERR_SSL_CONN_EOF && alert_waits(s))
		r = MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE;
	switch (r) {
	case MBEDTLS_ERR_SSL_CONN_EOF:
		return err_set(err, ERR_UNAVAILABLE,
			"%s: the connection was closed during the TLS handshake", s->where);
	case MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE:
		if (!s->judged)
			return err_set(err, ERR_UNAVAILABLE,
				"%s: remote error: tls: handshake failure", s->where);
		return err_set(err, ERR_AUTH,
			"%s: remote error: tls: bad certificate (the server does not accept the "
			"client's)",
			s->where);
	case MBEDTLS_ERR_SSL_INVALID_RECORD:
		return err_set(err, ERR_PROTOCOL,
			"%s: tls: first record does not look like a TLS handshake", s->where);
	default:
		tls_err(r, err, s->where);
		err->code = s->judged ? ERR_AUTH : ERR_PROTOCOL;
		return -1;
	}
}

static int handshake(struct co *co, struct session *s, struct err *err)
{
	int r;

	while ((r = mbedtls_ssl_handshake(&s->ssl)) != 0) {
		int w = wait_for(co, s, r, err);
		if (w < 0)
			return -1;
		if (w == 0)
			return handshake_failed(s, r, err);
	}
	/* both are certain by now; that there is no way around them is worth two lines */
	if (!s->judged || s->verdict.code != ERR_NONE || mbedtls_ssl_get_verify_result(&s->ssl))
		return err_set(err, ERR_AUTH, "%s: x509: the server was not verified", s->where);
	return 0;
}

/* In Go's words, which scripts look for. */
static int dial_failed(const struct session *s, struct err *err)
{
	static const struct {
		int errnum;
		const char *text;
	} known[] = {
		{ECONNREFUSED, "connection refused"},
		{EHOSTUNREACH, "no route to host"},
		{ENETUNREACH, "network is unreachable"},
	};

	if (err->code == ERR_TIMEOUT)
		return err_set(err, ERR_TIMEOUT, "dial tcp %s: i/o timeout", s->where);
	if (err->code == ERR_CANCELED)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (err->errnum == known[i].errnum && strstr(err_msg(err), strerror(err->errnum)))
			return err_set(err, err->code, "dial tcp %s: connect: %s", s->where,
				known[i].text);
	return err_wrap(err, "dial tcp");
}

static int connect_to(struct co *co, struct session *s, const char *address, struct err *err)
{
	uint64_t now = loop_now(co_loop(co));

	if (tcp_split(address, &s->host, &s->port, err) < 0)
		return -1;
	s->where = tcp_join(s->host, s->port);
	if (tcp_connect(co, s->host, s->port, s->until - now, &s->fd, err) < 0)
		return dial_failed(s, err);
	return 0;
}

static int open_session(struct co *co, const char *url, const struct engine_tls *tls,
	uint64_t timeout_ms, struct session **ret, struct err *err)
{
	static const char scheme[] = "tcp://";

	if (strncmp(url, scheme, strlen(scheme)) != 0)
		return err_set(
			err, ERR_NOT_SUPPORTED, "%.200s: only tcp:// URLs can be asked", url);
	struct session *s = session_new();
	s->until = loop_now(co_loop(co)) + timeout_ms;
	/* connect first: a machine that is down costs no certificates */
	if (connect_to(co, s, url + strlen(scheme), err) < 0 || set_up(s, tls, err) < 0 ||
		handshake(co, s, err) < 0) {
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

	if (open_session(co, url, tls, timeout_ms, &s, err) < 0)
		return -1;
	mbedtls_ssl_close_notify(&s->ssl);
	session_free(s);
	return 0;
}

/* The connection ended where it should not have. */
static int broken(const struct session *s, int r, struct err *err)
{
	if (r == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE)
		return err_set(err, ERR_AUTH, "%s: remote error: tls: bad certificate", s->where);
	return err_set(err, ERR_UNAVAILABLE, "%s: the engine closed the connection", s->where);
}

static int ask(struct co *co, struct session *s, const char *request, struct err *err)
{
	size_t len = strlen(request);

	while (len) {
		int r = mbedtls_ssl_write(&s->ssl, (const unsigned char *)request, len);
		if (r > 0) {
			request += r;
			len -= (size_t)r;
			continue;
		}
		int w = wait_for(co, s, r, err);
		if (w <= 0)
			return w < 0 ? -1 : broken(s, r, err);
	}
	return 0;
}

/* Until the answer is complete or the connection ends; what is missing is the parser's matter. */
static int hear(struct co *co, struct session *s, struct buf *answer, struct err *err)
{
	while (!answer->len || !engine_answer_complete(answer->data, answer->len)) {
		int r = mbedtls_ssl_read(
			&s->ssl, (unsigned char *)buf_reserve(answer, CHUNK), CHUNK);
		if (r > 0) {
			answer->len += (size_t)r;
			if (answer->len > ENGINE_MAX_ANSWER)
				return err_set(err, ERR_PROTOCOL,
					"%s: the engine's answer is longer than %u bytes", s->where,
					ENGINE_MAX_ANSWER);
			continue;
		}
		int w = wait_for(co, s, r, err);
		if (w < 0)
			return -1;
		if (w == 0)
			return answer->len ? 0 : broken(s, r, err);
	}
	return 0;
}

int engine_version(struct co *co, const char *url, const struct engine_tls *tls,
	uint64_t timeout_ms, char **ret_version, struct err *err)
{
	_cleanup_buf_ struct buf answer = BUF_INIT;
	struct session *s;

	if (open_session(co, url, tls, timeout_ms, &s, err) < 0)
		return -1;
	_cleanup_free_ char *request =
		xasprintf("GET /version HTTP/1.1\r\nHost: %s\r\nUser-Agent: machine\r\n"
			  "Accept: application/json\r\nConnection: close\r\n\r\n",
			s->where);
	int rc = ask(co, s, request, err);
	if (rc == 0)
		rc = hear(co, s, &answer, err);
	if (rc == 0 && engine_parse_version(buf_str(&answer), answer.len, ret_version, err) < 0)
		rc = err_wrap(err, "%s", s->where);
	session_free(s);
	return rc;
}
