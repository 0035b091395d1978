#include "engine_session.h"

#include "buf.h"
#include "mem.h"

#include <string.h>

#define CHUNK 4096u

int engine_check_tls(struct co *co, const char *url, const struct engine_tls *tls,
	uint64_t timeout_ms, struct err *err)
{
	struct engine_session *s;

	if (engine_session_open(co, url, tls, loop_now(co_loop(co)) + timeout_ms, &s, err) < 0)
		return -1;
	mbedtls_ssl_close_notify(&s->ssl);
	engine_session_free(s);
	return 0;
}

/* The connection ended where it should not have. */
static int broken(const struct engine_session *s, int r, struct err *err)
{
	if (r == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE)
		return err_set(err, ERR_AUTH, "%s: remote error: tls: bad certificate", s->where);
	return err_set(err, ERR_UNAVAILABLE, "%s: the engine closed the connection", s->where);
}

static int ask(struct co *co, struct engine_session *s, const char *request, struct err *err)
{
	size_t len = strlen(request);

	while (len) {
		int r = mbedtls_ssl_write(&s->ssl, (const unsigned char *)request, len);
		if (r > 0) {
			request += r;
			len -= (size_t)r;
			continue;
		}
		int w = engine_session_wait(co, s, r, err);
		if (w <= 0)
			return w < 0 ? -1 : broken(s, r, err);
	}
	return 0;
}

/* Until the answer is complete or the connection ends; what is missing is the parser's matter. */
static int hear(struct co *co, struct engine_session *s, struct buf *answer, struct err *err)
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
		int w = engine_session_wait(co, s, r, err);
		if (w < 0)
			return -1;
		if (w == 0)
			return answer->len ? 0 : broken(s, r, err);
	}
	return 0;
}

/* *ret_again: without the ticket it might not fail. */
static int ask_version(struct co *co, const char *url, const struct engine_tls *tls, uint64_t until,
	char **ret_version, bool *ret_again, struct err *err)
{
	_cleanup_buf_ struct buf answer = BUF_INIT;
	struct engine_session *s;

	if (engine_session_open(co, url, tls, until, &s, err) < 0)
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
	if (rc < 0)
		*ret_again = engine_session_blame_ticket(s, tls->ticket, err);
	engine_session_free(s);
	return rc;
}

int engine_version(struct co *co, const char *url, const struct engine_tls *tls,
	uint64_t timeout_ms, char **ret_version, struct err *err)
{
	uint64_t until = loop_now(co_loop(co)) + timeout_ms;
	bool again = false;
	int rc = ask_version(co, url, tls, until, ret_version, &again, err);

	if (rc < 0 && again) {
		err_finish(err);
		rc = ask_version(co, url, tls, until, ret_version, &again, err);
	}
	return rc;
}
