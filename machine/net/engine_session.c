/*
 * TLS on the loop: mbedTLS calls for bytes, the socket does not block, and between attempts the
 * coroutine waits for it. The server is judged within the handshake, before it learns anything of
 * the client. The handshake's cost, some milliseconds for the RSA signature, stays on the loop:
 * libuv's threads may be stuck in name lookups.
 */
#include "engine_session.h"

#include "log.h"
#include "mem.h"
#include "tcp.h"

#include <errno.h>
#include <mbedtls/oid.h>
#include <mbedtls/ssl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct engine_session *session_new(void)
{
	struct engine_session *s = xcalloc(1, sizeof(*s));

	s->fd = -1;
	mbedtls_ssl_config_init(&s->conf);
	mbedtls_ssl_init(&s->ssl);
	mbedtls_x509_crt_init(&s->ca);
	mbedtls_x509_crt_init(&s->cert);
	mbedtls_pk_init(&s->key);
	return s;
}

void engine_session_free(struct engine_session *s)
{
	if (s->fd >= 0)
		close(s->fd);
	mbedtls_ssl_free(&s->ssl);
	mbedtls_ssl_config_free(&s->conf);
	mbedtls_x509_crt_free(&s->ca);
	mbedtls_x509_crt_free(&s->cert);
	mbedtls_pk_free(&s->key);
	explicit_bzero(s->seal, sizeof(s->seal));
	err_finish(&s->verdict);
	free(s->host);
	free(s->where);
	free(s);
}

static int send_bytes(void *ctx, const unsigned char *data, size_t len)
{
	const struct engine_session *s = ctx;
	ssize_t n = send(s->fd, data, len, MSG_NOSIGNAL);

	if (n >= 0)
		return (int)n;
	return errno == EAGAIN || errno == EINTR ? MBEDTLS_ERR_SSL_WANT_WRITE
						 : MBEDTLS_ERR_SSL_CONN_EOF;
}

static int recv_bytes(void *ctx, unsigned char *data, size_t len)
{
	const struct engine_session *s = ctx;
	ssize_t n = recv(s->fd, data, len, 0);

	if (n > 0)
		return (int)n;
	return n < 0 && (errno == EAGAIN || errno == EINTR) ? MBEDTLS_ERR_SSL_WANT_READ
							    : MBEDTLS_ERR_SSL_CONN_EOF;
}

/* Called from the root down; what it leaves in flags ends the handshake. */
static int check_cert(void *arg, mbedtls_x509_crt *cert, int depth, uint32_t *flags)
{
	struct engine_session *s = arg;

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

enum { CA, CERT, KEY, N_FILES };

static int use_files(struct engine_session *s, const struct engine_tls *tls,
	const struct ticket_part files[N_FILES], struct err *err)
{
	if (tlsfile_parse_cert(tls->ca, files[CA].data, files[CA].len, &s->ca, err) < 0 ||
		tlsfile_parse_cert(tls->cert, files[CERT].data, files[CERT].len, &s->cert, err) <
			0 ||
		tlsfile_parse_key(tls->key, files[KEY].data, files[KEY].len, &s->key, err) < 0)
		return -1;
	if (!tls->ticket)
		return 0;
	const struct ticket_part parts[] = {
		{s->where, strlen(s->where)}, files[CA], files[CERT], files[KEY]};
	s->sealed = ticket_key(parts, ARRAY_SIZE(parts), s->seal);
	return 0;
}

/* Each is read once: what a ticket's key is made of is what the handshake goes by. */
static int load_files(struct engine_session *s, const struct engine_tls *tls, struct err *err)
{
	const char *const paths[N_FILES] = {tls->ca, tls->cert, tls->key};
	struct ticket_part files[N_FILES] = {{0}};
	char *texts[N_FILES] = {NULL};
	int rc = 0;

	for (size_t i = 0; i < N_FILES && rc == 0; i++) {
		rc = tlsfile_read(paths[i], &texts[i], &files[i].len, err);
		files[i].data = texts[i];
	}
	if (rc == 0)
		rc = use_files(s, tls, files, err);
	if (rc < 0)
		err->code = ERR_IO; /* here it is no matter of the server's being found */
	for (size_t i = 0; i < N_FILES; i++)
		secret_free(texts[i]);
	return rc;
}

static int configure(struct engine_session *s)
{
	mbedtls_ssl_config *c = &s->conf;
	int r = mbedtls_ssl_config_defaults(
		c, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT);

	if (r != 0)
		return r;
	mbedtls_ssl_conf_rng(c, tls_random, NULL);
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

/* Would the certificate be accepted if the server showed it now? The verdict is forgotten: if it is
 * bad, the handshake shall tell, with the certificate that the server has by now. */
static bool still_good(struct engine_session *s, mbedtls_x509_crt *peer)
{
	uint32_t flags;

	bool good = mbedtls_x509_crt_verify(peer, &s->ca, NULL, NULL, &flags, check_cert, s) == 0 &&
		    s->judged && s->verdict.code == ERR_NONE;
	s->judged = false;
	s->flags = 0;
	err_finish(&s->verdict);
	return good;
}

/* Proposes the ticket's session, if it and the certificates of both sides are good. */
static void offer(struct engine_session *s, const struct engine_ticket *t)
{
	mbedtls_ssl_session session;
	mbedtls_x509_crt peer;

	mbedtls_ssl_session_init(&session);
	mbedtls_x509_crt_init(&peer);
	s->offered = s->sealed && t->data && ticket_open(s->seal, t, time(NULL), &session, &peer) &&
		     !mbedtls_x509_time_is_past(&s->cert.valid_to) && still_good(s, &peer) &&
		     mbedtls_ssl_set_session(&s->ssl, &session) == 0;
	mbedtls_ssl_session_free(&session);
	mbedtls_x509_crt_free(&peer);
}

static int set_up(struct engine_session *s, const struct engine_tls *tls, struct err *err)
{
	if (load_files(s, tls, err) < 0)
		return -1;
	int r = configure(s);
	return r ? tls_err(r, err, "tls") : 0;
}

int engine_session_wait(struct co *co, struct engine_session *s, int result, struct err *err)
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
static bool alert_waits(const struct engine_session *s)
{
	unsigned char record[7]; /* type, version, length; level and kind */

	return recv(s->fd, record, sizeof(record), MSG_DONTWAIT) == sizeof(record) &&
	       record[0] == MBEDTLS_SSL_MSG_ALERT && record[4] == 2 &&
	       record[5] == MBEDTLS_SSL_ALERT_LEVEL_FATAL;
}

static int handshake_failed(struct engine_session *s, int r, struct err *err)
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

static int handshake(struct co *co, struct engine_session *s, struct err *err)
{
	int r;

	while ((r = mbedtls_ssl_handshake(&s->ssl)) != 0) {
		int w = engine_session_wait(co, s, r, err);
		if (w < 0)
			return -1;
		if (w == 0)
			return handshake_failed(s, r, err);
	}
	/* all are certain by now (a session was judged when it was offered); that there is no way
	 * around them is worth these lines */
	if ((!s->judged && !s->offered) || s->verdict.code != ERR_NONE ||
		mbedtls_ssl_get_verify_result(&s->ssl))
		return err_set(err, ERR_AUTH, "%s: x509: the server was not verified", s->where);
	return 0;
}

/* In Go's words, which scripts look for. */
static int dial_failed(const struct engine_session *s, struct err *err)
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

static int connect_to(struct co *co, struct engine_session *s, const char *address, struct err *err)
{
	uint64_t now = loop_now(co_loop(co));

	if (tcp_split(address, &s->host, &s->port, err) < 0)
		return -1;
	s->where = tcp_join(s->host, s->port);
	uint64_t left = s->until > now ? s->until - now : 1; /* 0 is for ever */
	if (tcp_connect(co, s->host, s->port, left, &s->fd, err) < 0)
		return dial_failed(s, err);
	return 0;
}

/* The server took the short way. */
static bool resumed(const struct engine_session *s)
{
	return s->offered && !s->judged;
}

bool engine_session_blame_ticket(
	const struct engine_session *s, struct engine_ticket *t, const struct err *err)
{
	if (!s->offered || err->code == ERR_CANCELED)
		return false;
	ticket_forget(t);
	return err->code != ERR_TIMEOUT;
}

/* NULL: failed; *ret_again: without the ticket it might not. */
static struct engine_session *try_session(struct co *co, const char *address, uint64_t until,
	const struct engine_tls *tls, bool *ret_again, struct err *err)
{
	struct engine_session *s = session_new();

	s->until = until;
	/* connect first: a machine that is down costs no certificates */
	int rc = connect_to(co, s, address, err);
	if (rc == 0)
		rc = set_up(s, tls, err);
	if (rc == 0) {
		if (tls->ticket)
			offer(s, tls->ticket);
		rc = handshake(co, s, err);
	}
	if (rc == 0) {
		if (s->sealed && !resumed(s))
			ticket_seal(s->seal, &s->ssl, time(NULL), tls->ticket);
		return s;
	}
	*ret_again = engine_session_blame_ticket(s, tls->ticket, err);
	engine_session_free(s);
	return NULL;
}

int engine_session_open(struct co *co, const char *url, const struct engine_tls *tls,
	uint64_t until, struct engine_session **ret, struct err *err)
{
	static const char scheme[] = "tcp://";
	bool again = false;

	if (strncmp(url, scheme, strlen(scheme)) != 0)
		return err_set(
			err, ERR_NOT_SUPPORTED, "%.200s: only tcp:// URLs can be asked", url);
	*ret = try_session(co, url + strlen(scheme), until, tls, &again, err);
	if (!*ret && again) {
		err_finish(err);
		*ret = try_session(co, url + strlen(scheme), until, tls, &again, err);
	}
	if (!*ret)
		return -1;
	log_debug("%s: TLS session %s", (*ret)->where, resumed(*ret) ? "resumed" : "made");
	return 0;
}
