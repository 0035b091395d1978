/* Calls to a provider's API: the policy of what is repeated, and the trace. See md-api.h. */
#include "machine-driver.h"
#include "pace.h"
#include "sdk.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define SECRET_MIN 6u   /* bytes */
#define TRACE_MAX 2048u /* bytes of a body in a trace */
#define SAID_MAX 1024u  /* bytes of a provider's words in an error */
#define STATUS_NO_CONTENT 204
#define STATUS_REDIRECT 300 /* from there on it is no good answer */

void md_api_init(struct md_api *a, struct md_request *rq, const char *provider)
{
	*a = (struct md_api){.rq = rq, .provider = provider, .retries = MD_API_RETRIES};
}

void md_api_finish(struct md_api *a)
{
	for (size_t i = 0; i < a->secrets.n; i++)
		explicit_bzero(a->secrets.items[i], strlen(a->secrets.items[i]));
	strv_finish(&a->secrets);
}

static void add_secret(struct md_api *a, const char *text)
{
	if (!strv_contains(&a->secrets, text))
		strv_add(&a->secrets, text);
}

void md_api_secret(struct md_api *a, const char *secret)
{
	if (!secret || strlen(secret) < SECRET_MIN)
		return;
	_cleanup_json_ struct json *j = json_string(secret);
	_cleanup_secret_ char *written = json_to_string(j, JSON_COMPACT);
	_cleanup_buf_ struct buf escaped = BUF_INIT;

	written[strlen(written) - 1] = '\0'; /* quotes */
	md_http_escape(&escaped, secret);
	add_secret(a, secret);
	add_secret(a, written + 1);
	add_secret(a, buf_str(&escaped));
}

static void mask(const struct md_api *a, char *text)
{
	strv_foreach (secret, &a->secrets) {
		size_t len = strlen(secret);

		for (char *p = text; (p = strstr(p, secret)); p += len)
			memset(p, '*', len);
	}
}

static void trace_body(const struct md_api *a, const char *mark, const void *data, size_t len)
{
	_cleanup_secret_ char *text = xstrndup(data ? data : "", len);

	if (!*text)
		return;
	mask(a, text); /* all of it first: a cut would spare a part of a secret */
	md_log(a->rq, LOG_LEVEL_DEBUG, "%s %.*s%s", mark, (int)MIN(len, (size_t)TRACE_MAX), text,
		len > TRACE_MAX ? " …" : "");
}

static void trace(const struct md_api *a, const struct md_api_call *c,
	const struct md_http_answer *answer, const struct err *err)
{
	_cleanup_free_ char *shown = md_http_shown(c->http.url);

	if (!log_debug_enabled())
		return;
	if (!answer) {
		md_log(a->rq, LOG_LEVEL_DEBUG, "%s %s: %s", c->http.method, shown, err_msg(err));
		return;
	}
	md_log(a->rq, LOG_LEVEL_DEBUG, "%s %s: %ld in %lld ms, %zu bytes (%s)", c->http.method,
		shown, answer->status, (long long)answer->took_ms, answer->body.len, c->what);
	if (c->secret)
		return;
	trace_body(a, ">", c->http.body, c->http.n_body);
	trace_body(a, "<", buf_str(&answer->body), answer->body.len);
}

static uint32_t exchange_ms(const struct md_api_call *c)
{
	const char *set = getenv(MD_API_TIMEOUT_VARIABLE);
	unsigned long ms = set && *set ? strtoul(set, NULL, 10) : 0;
	uint32_t usual = c->http.total_ms ? c->http.total_ms : MD_HTTP_TOTAL_MS;

	return ms ? (uint32_t)MIN(ms, (unsigned long)usual) : usual;
}

static bool is_repeatable(const struct md_api_call *c)
{
	static const char *const methods[] = {"GET", "HEAD", "PUT", "DELETE"};

	for (size_t i = 0; i < ARRAY_SIZE(methods); i++)
		if (streq(c->http.method, methods[i]))
			return true;
	return c->repeatable;
}

/* What only asks has made nothing, answered or not. */
static bool only_asks(const struct md_api_call *c)
{
	return streq(c->http.method, "GET") || streq(c->http.method, "HEAD");
}

/* One attempt. */
static enum md_verdict attempt(
	struct md_api *a, struct md_api_call *c, struct md_http_answer *ret, struct err *err)
{
	struct md_watch watch = md_watch_request(a->rq);
	enum md_verdict v;

	c->http.insecure = a->insecure;
	c->http.ca_file = a->ca_file;
	c->http.once = !is_repeatable(c);
	c->http.total_ms = exchange_ms(c);
	strv_finish(&c->http.headers);
	int r = a->prepare ? a->prepare(a, c, err) : 0;
	if (r < 0)
		err->may_exist = false; /* whatever that asked for, this was not sent */
	else if ((r = md_http(&watch, &c->http, ret, err)) < 0)
		trace(a, c, NULL, err);
	strv_finish(&c->http.headers);
	if (r < 0)
		return MD_ANSWER_BAD;
	a->connected = true;
	trace(a, c, ret, NULL);
	/* it may repeat what it was told: masked before words are cut, as in a trace */
	if (ret->status >= STATUS_REDIRECT && ret->body.len)
		mask(a, ret->body.data);
	v = a->judge(a, c, ret, err);
	if (v != MD_ANSWER_GOOD) {
		err->may_exist = err->may_exist || ret->sent_before;
		md_http_answer_finish(ret);
	}
	if (err->msg)
		mask(a, err->msg);
	return v;
}

static struct pace pace; /* of the process */

/* again: what is refused once more has its own, growing pauses already. */
static enum md_verdict paced_attempt(struct md_api *a, struct md_api_call *c, bool again,
	struct md_http_answer *ret, struct err *err)
{
	const struct pace before = pace;
	/* in tests time goes as much faster as the first pause is shorter */
	uint32_t first = md_api_first_pause_ms();
	uint32_t wait = pace_wait_ms(&pace, sdk_now_ms() * (int64_t)MD_API_PAUSE_MS / first);

	if (wait && md_sleep(a->rq, wait * first / MD_API_PAUSE_MS, err) < 0) {
		pace = before; /* the call was not made */
		return MD_ANSWER_BAD;
	}
	enum md_verdict v = attempt(a, c, ret, err);
	if (err->code != ERR_THROTTLED)
		pace_served(&pace);
	else if (!again)
		pace_refused(&pace);
	return v;
}

static bool may_repeat(const struct md_api *a, const struct md_api_call *c, const struct err *err)
{
	if (err->code == ERR_THROTTLED)
		return true;
	if (!err->retryable)
		return false;
	/* a wrong address is told at once, a network that was there may come back */
	return err->may_exist ? is_repeatable(c) : a->connected;
}

uint32_t md_api_first_pause_ms(void)
{
	const char *set = getenv(MD_API_PAUSE_VARIABLE);
	unsigned long ms = set && *set ? strtoul(set, NULL, 10) : MD_API_PAUSE_MS;

	return (uint32_t)MIN(MAX(ms, 1ul), (unsigned long)MD_API_PAUSE_MS);
}

/* Between half of it and all. */
static uint32_t jitter(uint32_t ms)
{
	return ms / 2 + randombytes_uniform(ms / 2 + 1);
}

/* How far a call is. */
struct effort {
	unsigned attempts;
	bool may_exist;  /* one of them may have been carried out */
	uint32_t paused; /* ms */
	int64_t began;
};

/* Before the next attempt. False: it would take too long, or has been tried enough. */
static bool pause_of(
	const struct md_api *a, const struct err *err, const struct effort *done, uint32_t *ret_ms)
{
	uint32_t first = md_api_first_pause_ms(), shift = MIN(done->attempts - 1, 10u);
	uint32_t ms =
		jitter(MIN(first << shift, MD_API_PAUSE_MAX_MS * first / MD_API_PAUSE_MS + 1));

	/* on top of what is told: who were refused together do not come again together */
	ms += MIN(err->retry_after_ms, UINT32_MAX - ms);
	*ret_ms = ms;
	return done->attempts <= a->retries && ms <= MD_API_PATIENCE_MS - done->paused &&
	       sdk_now_ms() + ms - done->began <= MD_API_LAST_MS;
}

int md_api_call(
	struct md_api *a, struct md_api_call *c, struct md_http_answer *ret, struct err *err)
{
	struct effort done = {.attempts = 1, .began = sdk_now_ms()};
	bool fresh = true;
	uint32_t ms;

	if (sdk_remembers(a, c, ret)) {
		md_log(a->rq, LOG_LEVEL_DEBUG, "%s: as answered before", c->what);
		return 0;
	}
	for (;;) {
		_cleanup_err_ struct err mine = ERR_INIT;
		enum md_verdict v = paced_attempt(a, c, done.attempts > 1, ret, &mine);

		if (v == MD_ANSWER_GOOD) {
			sdk_remember(a, c, ret);
			return 0;
		}
		bool repeat = may_repeat(a, c, &mine);
		done.may_exist = !only_asks(c) && (done.may_exist || mine.may_exist);
		mine.may_exist = done.may_exist;
		if (v == MD_ANSWER_AGAIN && fresh) {
			fresh = false;
			continue;
		}
		if (!repeat || !pause_of(a, &mine, &done, &ms)) {
			err_move(err, &mine);
			return err_wrap(err, "%s: %s", c->what, a->provider);
		}
		md_log(a->rq, LOG_LEVEL_DEBUG, "again in %u ms: %s", ms, err_msg(&mine));
		if (md_sleep(a->rq, ms, err) < 0) {
			err->may_exist = done.may_exist;
			return -1;
		}
		done.paused += ms;
		done.attempts++;
	}
}

int md_api_json(struct md_api *a, struct md_api_call *c, struct json **ret, struct err *err)
{
	_cleanup_http_answer_ struct md_http_answer answer = {0};

	if (md_api_call(a, c, &answer, err) < 0)
		return -1;
	if (!answer.body.len || answer.status == STATUS_NO_CONTENT) {
		*ret = json_object();
		return 0;
	}
	if (json_parse(answer.body.data, answer.body.len, ret, err) < 0) {
		err->code = ERR_PROTOCOL;
		err->may_exist = !streq(c->http.method, "GET");
		return err_wrap(err, "%s: %s: the answer is not JSON", c->what, a->provider);
	}
	return 0;
}

int md_api_send_json(struct md_api *a, const char *method, const char *url, struct json *take_body,
	const char *what, struct json **ret, struct err *err)
{
	_cleanup_json_ struct json *body = take_body, *answer = NULL;
	_cleanup_secret_ char *text = body ? json_to_string(body, JSON_COMPACT) : NULL;
	struct md_api_call c = {
		.http = {.method = method,
			.url = url,
			.body = text,
			.n_body = text ? strlen(text) : 0,
			.content_type = "application/json"},
		.what = what,
	};

	if (md_api_json(a, &c, &answer, err) < 0)
		return -1;
	if (ret)
		*ret = take(answer);
	return 0;
}

enum md_verdict md_api_judge_status(
	const struct md_http_answer *answer, const char *said, struct err *err)
{
	static const struct {
		long low, high; /* statuses */
		enum err_code code;
		bool retryable;
		const char *text;
	} known[] = {
		{300, 399, ERR_PROTOCOL, false, "a redirect, which is not followed"},
		{401, 401, ERR_AUTH, false, "Unauthorized"},
		{403, 403, ERR_AUTH, false, "Forbidden"},
		{404, 404, ERR_NOT_FOUND, false, "Not Found"},
		{407, 407, ERR_AUTH, false, "Proxy Authentication Required"},
		{408, 408, ERR_UNAVAILABLE, true, "Request Timeout"},
		{409, 409, ERR_EXISTS, false, "Conflict"},
		{410, 410, ERR_NOT_FOUND, false, "Gone"},
		{429, 429, ERR_THROTTLED, true, "Too Many Requests"},
		{400, 499, ERR_USER, false, "refused"},
		{500, 500, ERR_UNAVAILABLE, true, "Internal Server Error"},
		{502, 502, ERR_UNAVAILABLE, true, "Bad Gateway"},
		{503, 503, ERR_UNAVAILABLE, true, "Service Unavailable"},
		{504, 504, ERR_UNAVAILABLE, true, "Gateway Timeout"},
		{500, 599, ERR_UNAVAILABLE, true, "a server's error"},
	};
	int64_t after = md_http_retry_after_ms(answer);
	size_t i = 0;

	if (answer->status >= 200 && answer->status < 300)
		return MD_ANSWER_GOOD;
	while (i < ARRAY_SIZE(known) &&
		(answer->status < known[i].low || answer->status > known[i].high))
		i++;
	if (i == ARRAY_SIZE(known))
		err_set(err, ERR_PROTOCOL, "an answer of status %ld", answer->status);
	else
		err_set(err, known[i].code, "%ld %s%s%.*s", answer->status, known[i].text,
			said && *said ? ": " : "", (int)SAID_MAX, said ? said : "");
	err->retryable = i < ARRAY_SIZE(known) && known[i].retryable;
	if (answer->status == 503 && after >= 0) /* it was not done */
		err->code = ERR_THROTTLED;
	if (after > 0 && err->retryable)
		err->retry_after_ms = (uint32_t)MIN(after, (int64_t)UINT32_MAX);
	err->may_exist = err->retryable && err->code != ERR_THROTTLED;
	return MD_ANSWER_BAD;
}
