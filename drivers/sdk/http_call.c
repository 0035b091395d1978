/*
 * One exchange with an API. There is one handle of libcurl in a process, which keeps connections
 * between exchanges; a driver does one thing at a time.
 */
#include "md-http.h"

#include "http.h"
#include "http_curl.h"
#include "sdk.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define LOOK_MS 100 /* between looks at the watcher */

struct exchange {
	const struct md_watch *w;
	struct md_http_answer *answer;
	int64_t looked;
	size_t head;    /* bytes so far */
	unsigned sends; /* of the request */
	bool cancelled, too_large;
	char said[CURL_ERROR_SIZE];
};

void sdk_http_header(struct md_http_answer *a, const char *data, size_t len)
{
	if (len > MD_HTTP_HEADER_MAX || a->headers.n >= 2 * (size_t)MD_HTTP_HEADERS_MAX)
		return;
	_cleanup_free_ char *line = xstrndup(data, len);
	for (char *end = line + strlen(line); end > line && isspace((unsigned char)end[-1]);)
		*--end = '\0';
	if (strncasecmp(line, "HTTP/", 5) == 0) { /* another answer, after "100 Continue" */
		strv_finish(&a->headers);
		return;
	}
	char *colon = strchr(line, ':');
	if (!colon)
		return;
	*colon++ = '\0';
	for (char *p = line; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	strv_add(&a->headers, line);
	strv_add(&a->headers, colon + strspn(colon, " \t"));
}

static size_t on_header(char *data, size_t size, size_t n, void *arg)
{
	struct exchange *x = arg;
	size_t len = size * n;

	x->head += len;
	if (x->head > MD_HTTP_HEAD_MAX) {
		x->too_large = true;
		return 0;
	}
	sdk_http_header(x->answer, data, len);
	return len;
}

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
	struct exchange *x = arg;
	size_t len = size * n;

	if (x->answer->body.len + len > MD_HTTP_ANSWER_MAX) {
		x->too_large = true;
		return 0;
	}
	buf_add(&x->answer->body, data, len);
	return len;
}

static int on_progress(
	void *arg, curl_off_t total, curl_off_t now, curl_off_t up_total, curl_off_t up)
{
	struct exchange *x = arg;
	int64_t time = sdk_now_ms();

	(void)total;
	(void)now;
	(void)up_total;
	(void)up;
	if (time - x->looked < LOOK_MS)
		return 0;
	x->looked = time;
	x->cancelled = sdk_watch_cancelled(x->w);
	return x->cancelled;
}

/* Each time that the request is about to be sent. libcurl sends it once more by itself when a
 * connection that was used before is closed without an answer. */
static int on_send(void *arg, char *ip, char *own_ip, int port, int own_port)
{
	struct exchange *x = arg;

	(void)ip;
	(void)own_ip;
	(void)port;
	(void)own_port;
	x->sends++;
	return CURL_PREREQFUNC_OK;
}

/* What it is may be a secret: it is not told. */
static int check_headers(const struct strv *headers, struct err *err)
{
	for (size_t i = 0; i + 1 < headers->n; i += 2)
		for (const char *p = headers->items[i + 1]; *p; p++)
			if (iscntrl((unsigned char)*p))
				return err_set(err, ERR_USER,
					"the value of %s has a line break or control character in "
					"it",
					headers->items[i]);
	return 0;
}

static struct curl_slist *headers_of(const struct md_http_call *c)
{
	struct curl_slist *list = http_curl_header(NULL, "Expect", "");

	if (c->body && c->content_type)
		list = http_curl_header(list, "Content-Type", c->content_type);
	for (size_t i = 0; i + 1 < c->headers.n; i += 2)
		list = http_curl_header(list, c->headers.items[i], c->headers.items[i + 1]);
	return list;
}

static void set_body(CURL *curl, const struct md_http_call *c)
{
	if (streq(c->method, "HEAD"))
		http_curl.easy_setopt(curl, CURLOPT_NOBODY, 1L);
	if (c->body || streq(c->method, "POST") || streq(c->method, "PUT")) {
		http_curl.easy_setopt(curl, CURLOPT_POST, 1L);
		http_curl.easy_setopt(curl, CURLOPT_POSTFIELDS, c->body ? c->body : "");
		http_curl.easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)c->n_body);
	}
	http_curl.easy_setopt(curl, CURLOPT_CUSTOMREQUEST, c->method);
}

static void set_options(
	CURL *curl, const struct md_http_call *c, struct exchange *x, struct curl_slist *headers)
{
	http_curl.easy_reset(curl);
	http_curl_usual(curl, x->said);
	set_body(curl, c);
	http_curl.easy_setopt(curl, CURLOPT_URL, c->url);
	http_curl.easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	http_curl.easy_setopt(
		curl, CURLOPT_TIMEOUT_MS, (long)(c->total_ms ? c->total_ms : MD_HTTP_TOTAL_MS));
	http_curl.easy_setopt(curl, CURLOPT_FRESH_CONNECT, (long)c->once);
	if (c->connect_ms)
		http_curl.easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)c->connect_ms);
	if (c->insecure) {
		http_curl.easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
		http_curl.easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
	}
	if (c->ca_file && *c->ca_file)
		http_curl.easy_setopt(curl, CURLOPT_CAINFO, c->ca_file);
	if (c->no_proxy)
		http_curl.easy_setopt(curl, CURLOPT_NOPROXY, "*");
	http_curl.easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
	http_curl.easy_setopt(curl, CURLOPT_HEADERDATA, x);
	http_curl.easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
	http_curl.easy_setopt(curl, CURLOPT_WRITEDATA, x);
	http_curl.easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	http_curl.easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
	http_curl.easy_setopt(curl, CURLOPT_XFERINFODATA, x);
	http_curl.easy_setopt(curl, CURLOPT_PREREQFUNCTION, on_send);
	http_curl.easy_setopt(curl, CURLOPT_PREREQDATA, x);
	http_curl.easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L);
	http_curl.easy_setopt(curl, CURLOPT_PIPEWAIT, 0L);
}

/* Has a byte of the request been sent? */
static bool was_sent(CURL *curl)
{
	long bytes = 0;

	http_curl.easy_getinfo(curl, CURLINFO_REQUEST_SIZE, &bytes);
	return bytes > 0;
}

static int judge(CURL *curl, const struct md_http_call *c, const struct exchange *x, CURLcode code,
	struct err *err)
{
	_cleanup_free_ char *shown = http_shown(c->url);
	_cleanup_free_ char *what = xasprintf("%s %s", c->method, shown);

	if (code == CURLE_OK)
		return 0;
	if (x->cancelled)
		err_set(err, ERR_CANCELED, "%s: cancelled", what);
	else if (x->too_large)
		err_set(err, ERR_PROTOCOL,
			"%s: the answer is too large (%u bytes, and %u of headers)", what,
			MD_HTTP_ANSWER_MAX, MD_HTTP_HEAD_MAX);
	else if (code == CURLE_WEIRD_SERVER_REPLY ||
		 (code == CURLE_UNSUPPORTED_PROTOCOL && http_is_url(c->url)))
		err_set(err, ERR_PROTOCOL, "%s: the answer is not HTTP", what);
	else
		http_curl_error(code, x->said, what, err);
	err->may_exist = was_sent(curl) || x->sends > 1;
	return -1;
}

int md_http(const struct md_watch *w, const struct md_http_call *c, struct md_http_answer *ret,
	struct err *err)
{
	static CURL *curl; /* the process's; ends with it */
	struct md_http_answer answer = {0};
	struct exchange x = {.w = w, .answer = &answer};
	int64_t began = sdk_now_ms();

	if (check_headers(&c->headers, err) < 0 || http_curl_load(err) < 0)
		return -1;
	if (!curl)
		curl = http_curl.easy_init();
	if (!curl)
		return err_set(err, ERR_INTERNAL, "libcurl does not start");
	struct curl_slist *headers = headers_of(c);
	set_options(curl, c, &x, headers);
	CURLcode code = http_curl.easy_perform(curl);
	http_curl.easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer.status);
	answer.took_ms = sdk_now_ms() - began;
	int r = judge(curl, c, &x, code, err);
	http_curl.slist_free_all(headers);
	if (r < 0) {
		md_http_answer_finish(&answer);
		return -1;
	}
	answer.sent_before = x.sends > 1;
	*ret = answer;
	return 0;
}

void md_http_answer_finish(struct md_http_answer *a)
{
	strv_finish(&a->headers);
	buf_finish(&a->body);
}

const char *md_http_header(const struct md_http_answer *a, const char *name)
{
	for (size_t i = 0; i + 1 < a->headers.n; i += 2)
		if (strcasecmp(a->headers.items[i], name) == 0)
			return a->headers.items[i + 1];
	return NULL;
}

int64_t md_http_retry_after_ms(const struct md_http_answer *a)
{
	const char *value = md_http_header(a, "retry-after");
	int64_t ms;

	if (!value || !*value)
		return -1;
	if (strspn(value, "0123456789") == strlen(value)) {
		ms = strlen(value) > 9 ? MD_HTTP_RETRY_AFTER_MAX_MS
				       : strtoll(value, NULL, 10) * 1000;
	} else {
		time_t then = http_curl.getdate(value, NULL);
		if (then < 0)
			return -1;
		ms = MAX((int64_t)(then - time(NULL)), (int64_t)0) * 1000;
	}
	return MIN(ms, MD_HTTP_RETRY_AFTER_MAX_MS);
}

int64_t md_http_date(const struct md_http_answer *a)
{
	const char *date = md_http_header(a, "date");

	return date ? (int64_t)http_curl.getdate(date, NULL) : -1;
}

void md_http_escape(struct buf *b, const char *s)
{
	for (; *s; s++) {
		if (isalnum((unsigned char)*s) || strchr("-_.~", *s))
			buf_addc(b, *s);
		else
			buf_addf(b, "%%%02X", (unsigned char)*s);
	}
}

char *md_http_shown(const char *url)
{
	return http_shown(url);
}

bool md_http_url_secure(const char *url)
{
	return strncasecmp(url, "https://", 8) == 0 || (http_is_url(url) && http_is_local(url));
}
