/* The query API: a signed form in, XML out. */
#include "amazonec2.h"

#include "sigv4.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define VERSION "2016-11-15"
#define DESCRIBE "Describe" /* such actions change nothing */
#define CONTENT_TYPE "application/x-www-form-urlencoded; charset=utf-8"
#define PAGES_MAX 1000u
#define ITEMS_MAX 100000u /* of a list */
#define SAID_MAX 1024     /* bytes of their words in an error */
#define ROOT_MAX 64       /* bytes of a name in an error */
#define SKEW_MAX_S (5 * 60)
#define STATUS_SLOWER 429
#define STATUS_SERVER 500 /* from there on it is theirs */

void query_begin(struct query *q, const char *action)
{
	*q = (struct query){
		.action = action, .repeatable = strncmp(action, DESCRIBE, strlen(DESCRIBE)) == 0};
	buf_addf(&q->form, "Action=%s", action);
}

void query_add(struct query *q, const char *name, const char *value)
{
	if (!value || !*value)
		return;
	buf_addf(&q->form, "&%s=", name);
	md_http_escape(&q->form, value);
}

void query_addf(struct query *q, const char *name, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	_cleanup_free_ char *value = xvasprintf(fmt, ap);
	va_end(ap);
	query_add(q, name, value);
}

void query_bool(struct query *q, const char *name, bool value)
{
	query_add(q, name, value ? "true" : "false");
}

void query_filter(struct query *q, unsigned n, const char *name, const char *value)
{
	_cleanup_free_ char *key = xasprintf("Filter.%u.Name", n);
	_cleanup_free_ char *values = xasprintf("Filter.%u.Value.1", n);

	query_add(q, key, name);
	query_add(q, values, value);
}

void query_finish(struct query *q)
{
	buf_finish(&q->form);
}

static int prepare(struct md_api *api, struct md_api_call *c, struct err *err)
{
	struct ec2 *e = api->arg;
	char date[SIGV4_DATE_BYTES];
	struct sigv4 s = {.key = e->credentials.key,
		.secret = e->credentials.secret,
		.token = e->credentials.token,
		.region = e->region,
		.service = "ec2",
		.host = e->host,
		.path = e->path,
		.content_type = c->http.content_type,
		.body = c->http.body,
		.n_body = c->http.n_body,
		.now = time(NULL)};
	_cleanup_free_ char *authorization = sigv4_sign(&s, date);

	(void)err;
	e->code[0] = '\0';
	strv_add(&c->http.headers, "X-Amz-Date");
	strv_add(&c->http.headers, date);
	strv_add(&c->http.headers, "Authorization");
	strv_add(&c->http.headers, authorization);
	if (*e->credentials.token) {
		strv_add(&c->http.headers, "X-Amz-Security-Token");
		strv_add(&c->http.headers, e->credentials.token);
	}
	return 0;
}

static const struct {
	const char *code; /* a "*" at the beginning or end stands for anything */
	enum err_code kind;
	bool retryable;
	const char *hint;
} known[] = {
	{"RequestLimitExceeded", ERR_THROTTLED, true, ""},
	{"Throttling*", ERR_THROTTLED, true, ""},
	{"RequestThrottled*", ERR_THROTTLED, true, ""},
	{"EC2ThrottledException", ERR_THROTTLED, true, ""},
	{"InternalError", ERR_UNAVAILABLE, true, ""},
	{"InternalFailure", ERR_UNAVAILABLE, true, ""},
	{"InvalidAMIID.*", ERR_USER, false, " (--amazonec2-ami)"},
	{"*Unavailable", ERR_UNAVAILABLE, true, ""},
	{"InvalidSubnetID.NotFound", ERR_USER, false,
		" (--amazonec2-subnet-id; is the region right?)"},
	{"*.NotFound", ERR_NOT_FOUND, false, ""},
	{"*.Duplicate", ERR_EXISTS, false, ""},
	{"ExpiredToken*", ERR_AUTH, false,
		" (new ones are taken from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and "
		"AWS_SESSION_TOKEN, a profile, or a role)"},
	{"RequestExpired", ERR_AUTH, false, ""},
	{"AuthFailure", ERR_AUTH, false, " (--amazonec2-access-key, --amazonec2-secret-key)"},
	{"InvalidClientTokenId", ERR_AUTH, false, " (--amazonec2-access-key)"},
	{"SignatureDoesNotMatch", ERR_AUTH, false, " (--amazonec2-secret-key)"},
	{"UnauthorizedOperation", ERR_AUTH, false, " (a permission of the account is missing)"},
	{"OptInRequired", ERR_AUTH, false, ""},
	{"Insufficient*", ERR_QUOTA, false, ""}, /* InstanceCapacity, FreeAddressesInSubnet */
	{"*LimitExceeded", ERR_QUOTA, false, ""},
	{"MaxSpotInstanceCountExceeded", ERR_QUOTA, false, ""},
	{"UnsupportedOperation", ERR_NOT_SUPPORTED, false, ""},
	{"IncorrectInstanceState", ERR_NOT_RUNNING, false, ""},
	{"IncorrectState", ERR_NOT_RUNNING, false, ""},
};

static bool matches(const char *pattern, const char *code)
{
	size_t n = strlen(pattern), len = strlen(code);

	if (*pattern == '*')
		return len >= n - 1 && streq(code + len - (n - 1), pattern + 1);
	if (pattern[n - 1] == '*')
		return strncmp(code, pattern, n - 1) == 0;
	return streq(pattern, code);
}

static int code_error(
	const char *code, const char *message, const struct md_http_answer *answer, struct err *err)
{
	int64_t after = md_http_retry_after_ms(answer);
	enum err_code kind = ERR_USER;
	const char *hint = "";
	bool retryable = false;
	size_t i = 0;

	while (i < ARRAY_SIZE(known) && !matches(known[i].code, code))
		i++;
	if (i < ARRAY_SIZE(known)) {
		kind = known[i].kind;
		retryable = known[i].retryable;
		hint = known[i].hint;
	} else if (answer->status == STATUS_SLOWER || answer->status >= STATUS_SERVER) {
		kind = answer->status == STATUS_SLOWER ? ERR_THROTTLED : ERR_UNAVAILABLE;
		retryable = true;
	}
	err_set(err, kind, "%s: %.*s%s", code, SAID_MAX, message, hint);
	err->retryable = retryable;
	err->may_exist = err->retryable && err->code != ERR_THROTTLED;
	err->retry_after_ms = after > 0 ? (uint32_t)MIN(after, (int64_t)UINT32_MAX) : 0;
	return -1;
}

/* By the server's clock, which is in its answers. */
static int64_t skew_of(const struct md_http_answer *answer)
{
	int64_t theirs = md_http_date(answer);

	return theirs < 0 ? 0 : llabs((long long)time(NULL) - (long long)theirs);
}

static int renew(struct ec2 *e, struct err *err)
{
	struct credentials fresh = {0};

	if (e->renewed || credentials_find(e->api.rq, e->m, true, &fresh, err) < 0)
		return -1;
	e->renewed = true;
	credentials_finish(&e->credentials);
	e->credentials = fresh;
	md_api_secret(&e->api, fresh.secret);
	md_api_secret(&e->api, fresh.token);
	return 0;
}

/* An answer of something in between, a proxy: it knows nothing of what EC2 has. */
static enum md_verdict judge_other(const struct md_http_answer *answer, struct err *err)
{
	enum md_verdict v = md_api_judge_status(answer, NULL, err);

	if (err->code == ERR_NOT_FOUND || err->code == ERR_EXISTS) {
		err->code = ERR_PROTOCOL;
		err_wrap(err, "an answer that is not EC2's");
	}
	return v;
}

static enum md_verdict judge(struct md_api *api, const struct md_api_call *c,
	const struct md_http_answer *answer, struct err *err)
{
	struct ec2 *e = api->arg;
	_cleanup_err_ struct err none = ERR_INIT;
	_cleanup_json_ struct json *said = NULL;
	const char *code = "", *message = "";

	(void)c;
	if (answer->status >= 200 && answer->status < 300)
		return MD_ANSWER_GOOD;
	if (md_xml_parse(buf_str(&answer->body), answer->body.len, &said, NULL, &none) == 0) {
		code = md_xml_text(said, "Errors/Error/Code");
		message = md_xml_text(said, "Errors/Error/Message");
	}
	if (!*code)
		return judge_other(answer, err);
	snprintf(e->code, sizeof(e->code), "%s", code);
	code_error(e->code, message, answer, err);
	if (err->code == ERR_AUTH && skew_of(answer) > SKEW_MAX_S) {
		err_wrap(err, "this computer's clock is %lld s off", (long long)skew_of(answer));
		return MD_ANSWER_BAD;
	}
	if ((strncmp(code, "ExpiredToken", 12) == 0 || streq(code, "RequestExpired")) &&
		renew(e, &none) == 0) {
		err_finish(err);
		return MD_ANSWER_AGAIN;
	}
	return MD_ANSWER_BAD;
}

/* Host and path, as they are signed. */
static void split_url(struct ec2 *e)
{
	const char *host = strstr(e->url, "://") + 3;
	size_t len = strcspn(host, "/");
	const char *standard = strncmp(e->url, "https", 5) == 0 ? ":443" : ":80";
	size_t n = strlen(standard);

	e->path = xstrdup(host + len);
	if (len > n && strncmp(host + len - n, standard, n) == 0)
		len -= n;
	e->host = xstrndup(host, len);
}

int ec2_open(struct ec2 *e, struct md_request *rq, const struct md_machine *m, struct err *err)
{
	const char *region = md_state_str(m, "Region");
	int64_t retries = md_state_int(m, "RetryCount");

	*e = (struct ec2){.m = m, .region = region};
	if (ec2_check_state(m, err) < 0)
		return -1;
	if (!*region || streq(region, "custom-endpoint"))
		e->region = "us-east-1";
	md_api_init(&e->api, rq, "EC2");
	e->api.prepare = prepare;
	e->api.judge = judge;
	e->api.arg = e;
	e->api.retries = retries < 0 ? 0 : (unsigned)MIN(retries, (int64_t)100);
	if (endpoint_url(m, &e->url, err) < 0 ||
		credentials_find(rq, m, false, &e->credentials, err) < 0)
		return -1;
	md_api_secret(&e->api, e->credentials.secret);
	md_api_secret(&e->api, e->credentials.token);
	split_url(e);
	e->account = xasprintf("%s %s", e->region, e->credentials.key);
	e->api.account = e->account;
	return 0;
}

void ec2_close(struct ec2 *e)
{
	credentials_finish(&e->credentials);
	md_api_finish(&e->api);
	free(e->url);
	free(e->host);
	free(e->path);
	free(e->account);
}

/* Something in between may say that all is well with words of its own. */
static int parse_answer(
	const char *action, const struct md_http_answer *answer, struct json **ret, struct err *err)
{
	_cleanup_free_ char *root = NULL, *wanted = xasprintf("%sResponse", action);
	_cleanup_json_ struct json *tree = NULL;

	if (md_xml_parse(buf_str(&answer->body), answer->body.len, &tree, &root, err) < 0)
		return -1;
	if (!streq(root, wanted))
		return err_set(err, ERR_PROTOCOL, "the answer is <%.*s>, not <%s>", ROOT_MAX, root,
			wanted);
	*ret = take(tree);
	return 0;
}

int ec2_call(struct ec2 *e, struct query *q, const char *what, struct json **ret, struct err *err)
{
	_cleanup_http_answer_ struct md_http_answer answer = {0};
	_cleanup_json_ struct json *tree = NULL;
	_cleanup_secret_ char *form = xasprintf("%s&Version=" VERSION, buf_str(&q->form));
	struct md_api_call c = {
		.http = {.method = "POST",
			.url = e->url,
			.body = form,
			.n_body = strlen(form),
			.content_type = CONTENT_TYPE},
		.what = what,
		.repeatable = q->repeatable,
		.shared = q->shared,
		.secret = streq(q->action, "RunInstances"), /* a host key is in it */
	};

	e->api.arg = e;
	if (md_api_call(&e->api, &c, &answer, err) < 0)
		return -1;
	if (parse_answer(q->action, &answer, &tree, err) < 0) {
		err->may_exist = strncmp(q->action, DESCRIBE, strlen(DESCRIBE)) != 0;
		return err_wrap(err, "%s: EC2", what);
	}
	if (ret)
		*ret = take(tree);
	return 0;
}

int ec2_list(struct ec2 *e, struct query *q, const char *key, const char *what, struct json **ret,
	struct err *err)
{
	_cleanup_json_ struct json *all = json_array();
	_cleanup_free_ char *next = NULL;
	size_t len = q->form.len, n = 0;

	for (unsigned page = 0; page < PAGES_MAX; page++) {
		_cleanup_json_ struct json *answer = NULL;
		const struct json *list;

		q->form.len = len;
		query_add(q, "NextToken", next);
		if (ec2_call(e, q, what, &answer, err) < 0)
			return -1;
		list = json_get(answer, key);
		for (size_t i = 0; json_at(list, i); i++, n++)
			json_add(all, json_copy(json_at(list, i)));
		if (n > ITEMS_MAX)
			return err_set(err, ERR_PROTOCOL, "%s: EC2: more than %u of them", what,
				ITEMS_MAX);
		free(next);
		next = xstrdup(md_xml_text(answer, "nextToken"));
		if (!*next) {
			*ret = take(all);
			return 0;
		}
	}
	return err_set(err, ERR_PROTOCOL, "%s: EC2: more than %u pages", what, PAGES_MAX);
}

int ec2_call_new(
	struct ec2 *e, struct query *q, const char *what, struct json **ret, struct err *err)
{
	for (unsigned look = 0;; look++) {
		_cleanup_err_ struct err mine = ERR_INIT;

		if (ec2_call(e, q, what, ret, &mine) == 0)
			return 0;
		if (mine.code != ERR_NOT_FOUND || look == EC2_LOOKS)
			return err_move(err, &mine);
		if (ec2_pause(e, EC2_LOOK_MS, err) < 0)
			return -1;
	}
}

int ec2_pause(struct ec2 *e, uint32_t ms, struct err *err)
{
	uint32_t first = md_api_first_pause_ms();

	return md_sleep(e->api.rq, MAX(ms * first / MD_API_PAUSE_MS, 1u), err);
}

bool ec2_failed_with(const struct ec2 *e, const char *code)
{
	return streq(e->code, code);
}
