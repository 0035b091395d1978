/*
 * Inside the SDK: what all that uses libcurl has in common. The library brings thirty others along,
 * which take longer to load than most requests to a local driver take; so it is loaded when the
 * first exchange needs it.
 */
#pragma once

#include "err.h"

#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>
#undef curl_easy_setopt
#undef curl_easy_getinfo

#define HTTP_CONNECT_MS 30000L
#define HTTP_STALL_S 60L

/* The library's functions, once it is loaded. */
struct http_curl {
	__typeof__(&curl_easy_init) easy_init;
	__typeof__(&curl_easy_reset) easy_reset;
	__typeof__(&curl_easy_cleanup) easy_cleanup;
	__typeof__(&curl_easy_setopt) easy_setopt;
	__typeof__(&curl_easy_getinfo) easy_getinfo;
	__typeof__(&curl_easy_perform) easy_perform;
	__typeof__(&curl_easy_strerror) easy_strerror;
	__typeof__(&curl_slist_append) slist_append;
	__typeof__(&curl_slist_free_all) slist_free_all;
	__typeof__(&curl_getdate) getdate;
};
extern struct http_curl http_curl;
/* Before any of them is called. ERR_NOT_SUPPORTED: the library is not there. */
int http_curl_load(struct err *err);

/* What every exchange sets: schemes, proxies and certificates as the environment says, limits of
 * waiting, the name of this program. Redirects are not followed. */
void http_curl_usual(CURL *c, char said[CURL_ERROR_SIZE]);
/* Why there is no answer: "WHAT: …", where what is as "GET URL". Returns -1. */
int http_curl_error(CURLcode code, const char *said, const char *what, struct err *err);
struct curl_slist *http_curl_header(
	struct curl_slist *list, const char *name, const char *value); /* "": sent without */
