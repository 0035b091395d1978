/* Inside the SDK: what all that uses libcurl has in common. */
#pragma once

#include "err.h"

#include <curl/curl.h>

#define HTTP_CONNECT_MS 30000L
#define HTTP_STALL_S 60L

/* What every exchange sets: schemes, proxies and certificates as the environment says, limits of
 * waiting, the name of this program. Redirects are not followed. */
void http_curl_usual(CURL *c, char said[CURL_ERROR_SIZE]);
/* Why there is no answer: "WHAT: …", where what is as "GET URL". Returns -1. */
int http_curl_error(CURLcode code, const char *said, const char *what, struct err *err);
struct curl_slist *http_curl_header(
	struct curl_slist *list, const char *name, const char *value); /* "": sent without */
