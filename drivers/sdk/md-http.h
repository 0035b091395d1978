/*
 * Part of machine-driver.h: calls to a provider's HTTP API.
 *
 * md_http makes one exchange: the answer is whatever the server said, of any status. md_api_call
 * (md-api.h) is what a driver uses: it judges answers, repeats what may be repeated, and traces.
 * The connections of a process are kept and used again. Redirects are not followed: the credentials
 * are for the address that the user gave.
 */
#pragma once

#include "buf.h"
#include "err.h"
#include "md-watch.h"
#include "strv.h"

#include <stdbool.h>
#include <stdint.h>

#define MD_HTTP_ANSWER_MAX (8u << 20) /* bytes of a body */
#define MD_HTTP_HEADERS_MAX 100u      /* headers that are kept of an answer */
#define MD_HTTP_HEADER_MAX 8192u      /* bytes of one that is kept */
#define MD_HTTP_HEAD_MAX (256u << 10) /* bytes of all */
#define MD_HTTP_RETRY_AFTER_MAX_MS (24 * 3600 * INT64_C(1000))
#define MD_HTTP_TOTAL_MS 120000u /* of an exchange, if nothing else is set */

struct md_http_call {
	const char *method;  /* "GET" */
	const char *url;     /* http or https */
	struct strv headers; /* names and values in turn; borrowed */
	const void *body;    /* NULL: none */
	size_t n_body;
	const char *content_type; /* of the body */
	uint32_t connect_ms;      /* 0: 30 s */
	uint32_t total_ms;        /* 0: MD_HTTP_TOTAL_MS */
	bool insecure;            /* certificates are not verified */
	const char *ca_file;      /* PEM; NULL or "": the system's */
	bool no_proxy;
	bool once; /* on a connection of its own, and sent once or not at all */
};

struct md_http_answer {
	long status;
	struct strv headers; /* names in small letters and values in turn, of the last answer */
	struct buf body;
	int64_t took_ms;
	bool sent_before; /* it is the answer to the second sending; the first had none */
};

/*
 * 0: there is an answer. -1: there is none, and err says why, with "GET URL" in front:
 * ERR_UNAVAILABLE, ERR_TIMEOUT, ERR_CANCELED, ERR_USER (certificates, no URL, a header),
 * ERR_PROTOCOL (the answer is too large, or not HTTP). err->retryable: it may go better the next
 * time. err->may_exist: the server may have got the request, and done what it says.
 */
int md_http(const struct md_watch *w, const struct md_http_call *c, struct md_http_answer *ret,
	struct err *err);
void md_http_answer_finish(struct md_http_answer *a);
/* The value of a header; NULL: it is not there. */
const char *md_http_header(const struct md_http_answer *a, const char *name);
/* Milliseconds that Retry-After tells (seconds, or a date), at most a day; -1: it is not there, or
 * makes no sense. */
int64_t md_http_retry_after_ms(const struct md_http_answer *a);
/* The server's clock, from Date: seconds since 1970; -1: it does not tell. */
int64_t md_http_date(const struct md_http_answer *a);
/* Appends a string in the form of a URL's query: all but A-Z a-z 0-9 - _ . ~ as %XX. */
void md_http_escape(struct buf *b, const char *s);
/* A URL as it may be shown: without user, password, query and fragment; malloc'ed. */
char *md_http_shown(const char *url);
/* Is it http or https, and if http, of this computer? Other addresses are for https only. */
bool md_http_url_secure(const char *url);

#define _cleanup_http_answer_ __attribute__((cleanup(md_http_answer_finish)))
