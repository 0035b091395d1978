#include "http.h"

#include "buf.h"
#include "http_curl.h"
#include "sdk.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define REDIRECTS_MAX 10L
#define BUFFER_BYTES (256L << 10)
#define LOOK_MS 100 /* between looks at the watcher */
#define HEADER_MAX 1024u
#define REFUSAL_MAX (1 << 20) /* bytes of an answer that is none, read to keep the connection */

#define STATUS_OK 200
#define STATUS_PARTIAL 206
#define STATUS_REFUSED 400 /* and above */
#define STATUS_RANGE 416

struct transfer {
	const struct md_watch *w;
	const struct http_get *rq;
	int64_t from; /* what is asked for; 0 when the range did not do */
	CURL *curl;
	struct err *err;
	bool failed;    /* err is set, by a callback */
	bool told_head; /* to rq->head */
	bool cancelled;
	bool start_over;
	struct http_head head;
	int64_t range_from; /* of Content-Range; -1: none */
	int64_t got;        /* bytes of the body */
	int64_t looked;
	struct sdk_meter meter;
	char said[CURL_ERROR_SIZE];
};

bool http_is_url(const char *s)
{
	return strncasecmp(s, "http://", 7) == 0 || strncasecmp(s, "https://", 8) == 0;
}

/* Where the host begins, behind "scheme://" and "user:password@". */
static const char *host_of(const char *url)
{
	const char *slashes = strstr(url, "://");
	const char *host = slashes ? slashes + 3 : url;
	const char *end = host + strcspn(host, "/?#");

	for (const char *p = host; p < end; p++)
		if (*p == '@')
			host = p + 1;
	return host;
}

char *http_shown(const char *url)
{
	const char *slashes = strstr(url, "://"), *host = host_of(url);
	size_t scheme = slashes ? (size_t)(slashes + 3 - url) : 0;
	char *shown = xasprintf("%.*s%.*s", (int)scheme, url, (int)strcspn(host, "?#"), host);

	log_neutralise(shown);
	return shown;
}

bool http_is_local(const char *url)
{
	static const char *const names[] = {"localhost", "127.0.0.1", "[::1]"};
	const char *host = host_of(url);

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		size_t len = strlen(names[i]);

		if (strncasecmp(host, names[i], len) == 0 && strchr(":/?#", host[len]))
			return true;
	}
	return false;
}

static void head_clear(struct transfer *t)
{
	free(t->head.etag);
	free(t->head.last_modified);
	t->head =
		(struct http_head){.total = -1, .etag = xstrdup(""), .last_modified = xstrdup("")};
	t->range_from = -1;
}

static void set_text(char **field, const char *value)
{
	free(*field);
	*field = xstrdup(value);
}

/* A number and the character behind it; -1: there is none. */
static int64_t take_number(const char **s, char behind)
{
	char *end;

	if (!isdigit((unsigned char)**s))
		return -1;
	long long n = strtoll(*s, &end, 10);
	if (*end != behind)
		return -1;
	*s = *end ? end + 1 : end;
	return n;
}

/* "bytes 100-199/200" */
static void take_range(struct transfer *t, const char *value)
{
	static const char unit[] = "bytes ";
	const char *s = value + strlen(unit);

	if (strncmp(value, unit, strlen(unit)) != 0)
		return;
	int64_t from = take_number(&s, '-');
	int64_t to = from < 0 ? -1 : take_number(&s, '/');
	int64_t total = to < 0 ? -1 : take_number(&s, '\0');
	if (total < 0)
		return;
	t->range_from = from;
	t->head.total = total;
}

static void take_header(struct transfer *t, const char *name, const char *value)
{
	char *end;

	if (strcasecmp(name, "ETag") == 0)
		set_text(&t->head.etag, value);
	else if (strcasecmp(name, "Last-Modified") == 0)
		set_text(&t->head.last_modified, value);
	else if (strcasecmp(name, "Content-Range") == 0)
		take_range(t, value);
	else if (strcasecmp(name, "Content-Length") == 0 && t->range_from < 0) {
		long long n = strtoll(value, &end, 10);
		t->head.total = n >= 0 && end > value && !*end ? n : -1;
	}
}

static size_t on_header(char *data, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;
	size_t len = size * n;

	if (len > HEADER_MAX)
		return len; /* none that matters here */
	_cleanup_free_ char *line = xstrndup(data, len);
	for (char *end = line + strlen(line); end > line && isspace((unsigned char)end[-1]);)
		*--end = '\0';
	if (strncasecmp(line, "HTTP/", 5) == 0) { /* another answer: after a redirect */
		head_clear(t);
		return len;
	}
	char *colon = strchr(line, ':');
	if (colon) {
		*colon++ = '\0';
		take_header(t, line, colon + strspn(colon, " \t"));
	}
	return len;
}

static bool is_good(const struct transfer *t)
{
	return t->head.status == STATUS_OK || t->head.status == STATUS_PARTIAL;
}

/* Is the part that is sent the one that was asked for, of the same file? */
static bool range_fits(const struct transfer *t)
{
	const char *validator = t->rq->validator;

	if (t->range_from != t->from || !t->from)
		return false;
	if (t->rq->whole && t->rq->whole != t->head.total)
		return false;
	const char *now = *validator == '"' ? t->head.etag : t->head.last_modified;
	return !*now || streq(validator, now);
}

static int check_head(struct transfer *t)
{
	_cleanup_free_ char *shown = http_shown(t->rq->url);

	if (t->head.status == STATUS_PARTIAL && !range_fits(t)) {
		t->start_over = true;
		return err_set(
			t->err, ERR_UNAVAILABLE, "GET %s: another part than asked for", shown);
	}
	if (t->head.total > t->rq->max_bytes)
		return err_set(t->err, ERR_USER,
			"GET %s: it is too large: %lld of at most %lld bytes", shown,
			(long long)t->head.total, (long long)t->rq->max_bytes);
	return t->rq->head ? t->rq->head(t->rq->arg, &t->head, t->err) : 0;
}

/* Once the headers of the last answer are there. */
static int begin_body(struct transfer *t)
{
	http_curl.easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &t->head.status);
	if (t->told_head || !is_good(t))
		return 0;
	t->told_head = true;
	return check_head(t);
}

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;
	size_t len = size * n;

	if (begin_body(t) < 0)
		return t->failed = true, 0;
	t->got += (int64_t)len;
	if (!is_good(t))
		return t->got > REFUSAL_MAX ? 0 : len;
	int64_t before = t->head.status == STATUS_PARTIAL ? t->from : 0;
	if (before + t->got > t->rq->max_bytes) {
		_cleanup_free_ char *shown = http_shown(t->rq->url);

		err_set(t->err, ERR_USER, "GET %s: it is too large: more than %lld bytes", shown,
			(long long)t->rq->max_bytes);
		return t->failed = true, 0;
	}
	if (t->rq->body(t->rq->arg, data, len, t->err) < 0)
		return t->failed = true, 0;
	return len;
}

static int on_progress(
	void *arg, curl_off_t total, curl_off_t now, curl_off_t up_total, curl_off_t up)
{
	struct transfer *t = arg;
	int64_t time = sdk_now_ms();
	int64_t before = t->head.status == STATUS_PARTIAL ? t->from : 0;

	(void)up_total;
	(void)up;
	(void)total;
	if (time - t->looked < LOOK_MS)
		return 0;
	t->looked = time;
	if (t->rq->message && t->told_head)
		sdk_meter_tell(&t->meter, before + now, MAX(t->head.total, (int64_t)0));
	t->cancelled = sdk_watch_cancelled(t->w);
	return t->cancelled;
}

static int status_error(const struct transfer *t, const char *shown, struct err *err)
{
	static const struct {
		long status;
		enum err_code code;
		bool retryable;
		const char *text;
	} known[] = {{401, ERR_AUTH, false, " Unauthorized"}, {403, ERR_AUTH, false, " Forbidden"},
		{404, ERR_NOT_FOUND, false, " Not Found"},
		{407, ERR_AUTH, false, " Proxy Authentication Required"},
		{408, ERR_UNAVAILABLE, true, " Request Timeout"},
		{410, ERR_NOT_FOUND, false, " Gone"},
		{429, ERR_THROTTLED, true, " Too Many Requests"},
		{500, ERR_UNAVAILABLE, true, " Internal Server Error"},
		{502, ERR_UNAVAILABLE, true, " Bad Gateway"},
		{503, ERR_UNAVAILABLE, true, " Service Unavailable"},
		{504, ERR_UNAVAILABLE, true, " Gateway Timeout"}};
	enum err_code code = ERR_UNAVAILABLE;
	const char *text = "";
	bool retryable = t->head.status >= 500;

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (known[i].status == t->head.status) {
			code = known[i].code;
			retryable = known[i].retryable;
			text = known[i].text;
		}
	err_set(err, code, "GET %s: %ld%s", shown, t->head.status, text);
	err->retryable = retryable;
	return -1;
}

static int judge(struct transfer *t, CURLcode code, struct err *err)
{
	_cleanup_free_ char *shown = http_shown(t->rq->url);

	if (t->failed)
		return -1;
	if (t->cancelled)
		return err_set(err, ERR_CANCELED, "GET %s: cancelled", shown);
	if (code != CURLE_OK && t->head.status < STATUS_REFUSED) { /* a redirect, too */
		_cleanup_free_ char *what = xasprintf("GET %s", shown);

		return http_curl_error(code, t->said, what, err);
	}
	if (t->head.status == STATUS_RANGE && t->from)
		t->start_over = true;
	if (!is_good(t))
		return status_error(t, shown, err);
	return begin_body(t); /* of an empty body */
}

static void set_options(struct transfer *t, struct curl_slist *headers)
{
	CURL *c = t->curl;

	http_curl_usual(c, t->said);
	http_curl.easy_setopt(c, CURLOPT_URL, t->rq->url);
	http_curl.easy_setopt(c, CURLOPT_HTTPHEADER, headers);
	http_curl.easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, "https");
	http_curl.easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L);
	http_curl.easy_setopt(c, CURLOPT_MAXREDIRS, REDIRECTS_MAX);
	if (t->rq->stall_s)
		http_curl.easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)t->rq->stall_s);
	http_curl.easy_setopt(c, CURLOPT_BUFFERSIZE, BUFFER_BYTES);
	http_curl.easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
	http_curl.easy_setopt(c, CURLOPT_HEADERDATA, t);
	http_curl.easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
	http_curl.easy_setopt(c, CURLOPT_WRITEDATA, t);
	http_curl.easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
	http_curl.easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
	http_curl.easy_setopt(c, CURLOPT_XFERINFODATA, t);
}

static int perform(struct transfer *t, struct err *err)
{
	struct curl_slist *headers;
	int r;

	if (http_curl_load(err) < 0)
		return -1;
	headers = http_curl_header(NULL, "Accept", "*/*");
	t->curl = http_curl.easy_init();
	if (!t->curl) {
		http_curl.slist_free_all(headers);
		return err_set(err, ERR_INTERNAL, "libcurl does not start");
	}
	if (t->from) {
		_cleanup_free_ char *range = xasprintf("bytes=%lld-", (long long)t->from);

		headers = http_curl_header(headers, "Range", range);
		headers = http_curl_header(headers, "If-Range", t->rq->validator);
	}
	set_options(t, headers);
	CURLcode code = http_curl.easy_perform(t->curl);
	http_curl.easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &t->head.status);
	r = judge(t, code, err);
	http_curl.easy_cleanup(t->curl);
	http_curl.slist_free_all(headers);
	return r;
}

int http_get(const struct md_watch *w, const struct http_get *rq, struct err *err)
{
	struct err mine = ERR_INIT;
	bool again = rq->validator && *rq->validator;
	int64_t from = again ? rq->from : 0;
	int r;

	for (;;) {
		struct transfer t = {.w = w, .rq = rq, .from = from, .err = &mine};

		t.meter = (struct sdk_meter){.w = w, .message = rq->message};
		head_clear(&t);
		r = perform(&t, &mine);
		free(t.head.etag);
		free(t.head.last_modified);
		if (r == 0 || !t.start_over || !from)
			break;
		from = 0;
	}
	return r < 0 ? err_move(err, &mine) : (err_finish(&mine), 0);
}

static int add_text(void *arg, const void *data, size_t len, struct err *err)
{
	(void)err;
	buf_add(arg, data, len);
	return 0;
}

int http_get_text(const struct md_watch *w, const char *url, size_t max, char **ret,
	size_t *ret_len, struct err *err)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct http_get rq = {.url = url, .max_bytes = (int64_t)max, .body = add_text, .arg = &b};

	if (http_get(w, &rq, err) < 0)
		return -1;
	*ret_len = b.len;
	*ret = buf_steal(&b);
	return 0;
}
