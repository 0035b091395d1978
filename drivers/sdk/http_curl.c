#include "http_curl.h"

#include "config.h"
#include "lazy.h"
#include "mem.h"

#include <stdbool.h>

#define STALL_BYTES 1L /* a second */

#define LIBRARY "libcurl.so.4"

struct http_curl http_curl;

#define FUNCTION(name)                                  \
	{                                               \
		"curl_" #name, (void **)&http_curl.name \
	}
static const struct lazy_function functions[] = {
	FUNCTION(easy_init),
	FUNCTION(easy_reset),
	FUNCTION(easy_cleanup),
	FUNCTION(easy_setopt),
	FUNCTION(easy_getinfo),
	FUNCTION(easy_perform),
	FUNCTION(easy_strerror),
	FUNCTION(slist_append),
	FUNCTION(slist_free_all),
	FUNCTION(getdate),
};

int http_curl_load(struct err *err)
{
	static bool loaded;

	if (!loaded && lazy_load(LIBRARY, functions, ARRAY_SIZE(functions), err) < 0)
		return -1;
	loaded = true;
	return 0;
}

static const struct {
	CURLcode curl;
	enum err_code code;
	bool retryable;
	const char *text; /* NULL: curl's */
} troubles[] = {
	{CURLE_COULDNT_RESOLVE_HOST, ERR_UNAVAILABLE, true, NULL},
	{CURLE_COULDNT_RESOLVE_PROXY, ERR_UNAVAILABLE, true, NULL},
	{CURLE_COULDNT_CONNECT, ERR_UNAVAILABLE, true, NULL},
	{CURLE_OPERATION_TIMEDOUT, ERR_TIMEOUT, true, NULL},
	{CURLE_PARTIAL_FILE, ERR_UNAVAILABLE, true, "the connection ended early"},
	{CURLE_GOT_NOTHING, ERR_UNAVAILABLE, true, "the connection ended without an answer"},
	{CURLE_RECV_ERROR, ERR_UNAVAILABLE, true, NULL},
	{CURLE_SEND_ERROR, ERR_UNAVAILABLE, true, NULL},
	{CURLE_HTTP2, ERR_UNAVAILABLE, true, NULL},
	{CURLE_HTTP2_STREAM, ERR_UNAVAILABLE, true, NULL},
	{CURLE_SSL_CONNECT_ERROR, ERR_UNAVAILABLE, false, NULL},
	{CURLE_UNSUPPORTED_PROTOCOL, ERR_USER, false,
		"it leads to an address that is not one of https, which is not followed"},
	{CURLE_TOO_MANY_REDIRECTS, ERR_USER, false, "too many redirects"},
	{CURLE_URL_MALFORMAT, ERR_USER, false, "it is no URL"},
};

static const char *environment(const char *const *names)
{
	for (; *names; names++) {
		const char *value = getenv(*names);

		if (value && *value)
			return value;
	}
	return NULL;
}

void http_curl_usual(CURL *c, char said[CURL_ERROR_SIZE])
{
	static const char *const files[] = {"CURL_CA_BUNDLE", "SSL_CERT_FILE", NULL};
	static const char *const dirs[] = {"SSL_CERT_DIR", NULL};
	const char *file = environment(files), *dir = environment(dirs);

	http_curl.easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
	http_curl.easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, HTTP_CONNECT_MS);
	http_curl.easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, STALL_BYTES);
	http_curl.easy_setopt(c, CURLOPT_LOW_SPEED_TIME, HTTP_STALL_S);
	http_curl.easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	http_curl.easy_setopt(c, CURLOPT_USERAGENT, "machine/" MACHINE_VERSION);
	http_curl.easy_setopt(c, CURLOPT_ERRORBUFFER, said);
	if (file)
		http_curl.easy_setopt(c, CURLOPT_CAINFO, file);
	if (dir)
		http_curl.easy_setopt(c, CURLOPT_CAPATH, dir);
}

int http_curl_error(CURLcode code, const char *said, const char *what, struct err *err)
{
	const char *text = *said ? said : http_curl.easy_strerror(code);

	if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE)
		return err_set(err, ERR_USER,
			"%s: %s\n(The certificates of an authority of your own: name their file "
			"in SSL_CERT_FILE.)",
			what, text);
	for (size_t i = 0; i < ARRAY_SIZE(troubles); i++)
		if (troubles[i].curl == code) {
			err_set(err, troubles[i].code, "%s: %s", what,
				troubles[i].text ? troubles[i].text : text);
			err->retryable = troubles[i].retryable;
			return -1;
		}
	return err_set(err, ERR_UNAVAILABLE, "%s: %s", what, text);
}

struct curl_slist *http_curl_header(struct curl_slist *list, const char *name, const char *value)
{
	_cleanup_free_ char *line =
		*value ? xasprintf("%s: %s", name, value) : xasprintf("%s;", name);
	struct curl_slist *longer = http_curl.slist_append(list, line);

	if (!longer)
		abort(); /* no memory */
	return longer;
}
