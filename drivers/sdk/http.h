/*
 * HTTP, by libcurl. https is verified; certificates are looked for where the system has them, or
 * where CURL_CA_BUNDLE, SSL_CERT_FILE or SSL_CERT_DIR say. Proxies come from the environment. A
 * redirect may lead to https only.
 */
#pragma once

#include "err.h"
#include "md-watch.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_head {
	long status;                /* 200, or 206: the body is what was asked for from `from` on */
	int64_t total;              /* bytes of the whole; -1: not told */
	char *etag, *last_modified; /* "": not told */
};

struct http_get {
	const char *url;
	int64_t max_bytes;     /* of the whole; a server that sends more is an error */
	int64_t from;          /* bytes that are here already, if it is still the same file … */
	const char *validator; /* … which this strong ETag or date tells … */
	int64_t whole;         /* … and its size; 0: not known */
	uint32_t stall_s;      /* no data for so long ends it; 0: a minute */
	const char *message;   /* what a watcher is told; NULL: nothing */
	/* Before the first byte of a good answer; then its bytes. -1 ends it. head may be NULL. */
	int (*head)(void *arg, const struct http_head *head, struct err *err);
	int (*body)(void *arg, const void *data, size_t len, struct err *err);
	void *arg;
};

/*
 * err->retryable: it may go better the next time. 401, 403: ERR_AUTH; 404, 410: ERR_NOT_FOUND;
 * 429: ERR_THROTTLED; what takes too long: ERR_TIMEOUT; else ERR_UNAVAILABLE.
 */
int http_get(const struct md_watch *w, const struct http_get *rq, struct err *err);
/* A text of at most max bytes; malloc'ed, NUL-terminated. */
int http_get_text(const struct md_watch *w, const char *url, size_t max, char **ret,
	size_t *ret_len, struct err *err);
/* A URL as it may be shown and stored: without user, password, query and fragment; malloc'ed. */
char *http_shown(const char *url);
bool http_is_url(const char *s);     /* of http or https */
bool http_is_local(const char *url); /* of this computer */
