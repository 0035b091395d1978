/* The services' calls: JSON, a token that may end at any time, pages. */
#include "openstack.h"

#include <string.h>

#define PAGES_MAX 1000u

static int prepare(struct md_api *api, struct md_api_call *c, struct err *err)
{
	struct os_api *a = api->arg;

	if (!a->session && os_login(a, err) < 0)
		return -1;
	strv_add(&c->http.headers, "X-Auth-Token");
	strv_add(&c->http.headers, a->session->token);
	strv_add(&c->http.headers, "Accept");
	strv_add(&c->http.headers, "application/json");
	if (a->microversion) {
		strv_add(&c->http.headers, "OpenStack-API-Version");
		strv_addf(&c->http.headers, "compute %s", a->microversion);
		strv_add(&c->http.headers, "X-OpenStack-Nova-API-Version");
		strv_add(&c->http.headers, a->microversion);
	}
	if (a->if_match) {
		strv_add(&c->http.headers, "If-Match");
		strv_add(&c->http.headers, a->if_match);
	}
	return 0;
}

char *os_path(const char *base, const char *id)
{
	struct buf b = BUF_INIT;

	buf_addf(&b, "%s/", base);
	md_http_escape(&b, id);
	return buf_steal(&b);
}

/* {"message"}, {"badRequest": {"message"}}, {"error": {"message"}}, {"NeutronError": "…"} */
char *os_said(const struct md_http_answer *answer)
{
	_cleanup_json_ struct json *said = NULL;
	_cleanup_err_ struct err none = ERR_INIT;
	const struct json *inner;
	const char *text;

	if (json_parse(buf_str(&answer->body), answer->body.len, &said, &none) < 0 ||
		!json_is(said, JSON_OBJECT) || !said->n)
		return NULL;
	inner = said->members[0].value;
	text = json_str(json_get(said, "message"), NULL);
	if (!text)
		text = json_is(inner, JSON_OBJECT) ? json_str(json_get(inner, "message"), NULL)
						   : json_str(inner, NULL);
	return xstrdup(text);
}

static bool is_quota(long status, const char *said)
{
	return (status == 403 || status == 409 || status == 413) && said &&
	       (strstr(said, "uota") || strstr(said, "exceeds allowed"));
}

/* A proxy's 404 does not tell that something is gone. Glance has no words of its own for it. */
static bool is_of_another(
	const struct os_api *a, const struct md_http_answer *answer, const char *said)
{
	return (answer->status == 404 || answer->status == OS_STATUS_GONE) && !said &&
	       a->service != OS_IMAGE;
}

static enum md_verdict judge(struct md_api *api, const struct md_api_call *c,
	const struct md_http_answer *answer, struct err *err)
{
	_cleanup_free_ char *said = os_said(answer);
	struct os_api *a = api->arg;

	(void)c;
	a->status = answer->status;
	if (md_api_judge_status(answer, said, err) == MD_ANSWER_GOOD)
		return MD_ANSWER_GOOD;
	if (is_quota(answer->status, said)) {
		err->code = ERR_QUOTA;
		err->retryable = false;
	}
	if (is_of_another(a, answer, said))
		err_set(err, ERR_UNAVAILABLE, "%ld %s, but not of OpenStack's own words",
			answer->status, answer->status == OS_STATUS_GONE ? "Gone" : "Not Found");
	if (answer->status != 401)
		return MD_ANSWER_BAD;
	os_forget(a);
	if (!os_uses_token(a->m))
		return MD_ANSWER_AGAIN;
	err_set(err, ERR_AUTH, "the token is not accepted (any more): OS_TOKEN gives a new one");
	return MD_ANSWER_BAD;
}

void os_mask_secrets(struct md_api *api, const struct md_machine *m)
{
	static const char *const secrets[] = {"Password", "ApplicationCredentialSecret"};

	for (size_t i = 0; i < ARRAY_SIZE(secrets); i++)
		md_api_secret(api, md_state_str(m, secrets[i]));
	md_api_secret(api, os_token(m));
}

int os_open(struct os_api *a, struct md_request *rq, const struct md_machine *m, struct err *err)
{
	if (os_check_state(m, err) < 0)
		return -1;
	*a = (struct os_api){.m = m};
	md_api_init(&a->api, rq, "OpenStack");
	a->api.prepare = prepare;
	a->api.judge = judge;
	a->api.insecure = md_state_bool(m, "Insecure");
	a->api.ca_file = md_state_str(m, "CaCert");
	os_mask_secrets(&a->api, m);
	a->account = os_account(m);
	a->api.account = a->account;
	return 0;
}

void os_close(struct os_api *a)
{
	for (size_t i = 0; i < OS_SERVICES; i++)
		free(a->endpoints[i]);
	err_finish(&a->busy);
	secret_free(a->account);
	md_api_finish(&a->api);
}

static int ready(struct os_api *a, enum os_service service, struct err *err)
{
	a->api.arg = a;
	a->status = 0;
	a->service = service;
	if (a->endpoints[service])
		return 0;
	if (!a->session && os_login(a, err) < 0)
		return -1;
	return os_endpoint(a->m, a->session, service, &a->endpoints[service], err);
}

int os_call(struct os_api *a, enum os_service service, const char *method, const char *path,
	struct json *take_body, const char *what, struct json **ret, struct err *err)
{
	_cleanup_json_ struct json *body = take_body, *answer = NULL;
	_cleanup_secret_ char *text = body ? json_to_string(body, JSON_COMPACT) : NULL;
	int r = ready(a, service, err);

	if (r == 0) {
		_cleanup_free_ char *url = xasprintf("%s%s", a->endpoints[service], path);
		struct md_api_call c = {
			.http = {.method = method,
				.url = url,
				.body = text,
				.n_body = text ? strlen(text) : 0,
				.content_type = "application/json"},
			.what = what,
			.secret = a->secret,
			.shared = a->shared,
		};

		r = md_api_json(&a->api, &c, &answer, err);
	}
	a->microversion = a->if_match = NULL;
	a->secret = a->shared = false;
	if (r == 0 && ret)
		*ret = take(answer);
	return r;
}

int os_delete(struct os_api *a, enum os_service service, const char *path, const char *what,
	struct err *err)
{
	_cleanup_err_ struct err mine = ERR_INIT;

	if (os_call(a, service, "DELETE", path, NULL, what, NULL, &mine) == 0 ||
		mine.code == ERR_NOT_FOUND)
		return 0;
	return err_move(err, &mine);
}

/* nova, neutron and cinder: "KEY_links"; glance: "next". NULL: this was the last page. */
static const char *next_of(const struct json *answer, const char *key)
{
	_cleanup_free_ char *name = xasprintf("%s_links", key);
	const struct json *links = json_get(answer, name);

	for (size_t i = 0; json_at(links, i); i++)
		if (streq(json_str(json_get(json_at(links, i), "rel"), ""), "next"))
			return json_str(json_get(json_at(links, i), "href"), NULL);
	return json_str(json_get(answer, "next"), NULL);
}

/* The query of a link to the same list. The address before it is not used: proxies let services
 * tell names that lead nowhere, and the token is for the endpoint only. */
static const char *query_of(const char *link, const char *path)
{
	const char *query = strchr(link, '?');
	size_t n = strlen(path);

	if (!query || (size_t)(query - link) < n || strncmp(query - n, path, n) != 0)
		return NULL;
	return query + 1;
}

int os_list(struct os_api *a, enum os_service service, const char *path, const char *query,
	const char *key, const char *what, struct json **ret, struct err *err)
{
	_cleanup_json_ struct json *all = json_array();
	_cleanup_strv_ struct strv seen = STRV_INIT;
	_cleanup_free_ char *now = xstrdup(query ? query : "");
	bool shared = a->shared;

	for (unsigned page = 1; page <= PAGES_MAX; page++) {
		_cleanup_free_ char *url = xasprintf("%s%s%s", path, *now ? "?" : "", now);
		_cleanup_json_ struct json *answer = NULL;
		const struct json *list;
		const char *next;

		a->shared = shared;
		if (os_call(a, service, "GET", url, NULL, what, &answer, err) < 0)
			return -1;
		list = json_get(answer, key);
		if (!json_is(list, JSON_ARRAY))
			return err_set(
				err, ERR_PROTOCOL, "%s: OpenStack: the answer has no list", what);
		for (size_t i = 0; json_at(list, i); i++)
			json_add(all, json_copy(json_at(list, i)));
		next = next_of(answer, key);
		if (!next) {
			*ret = take(all);
			return 0;
		}
		next = query_of(next, path);
		if (!next || strv_contains(&seen, next))
			return err_set(err, ERR_PROTOCOL,
				"%s: OpenStack: the link to the next page leads elsewhere, or "
				"back",
				what);
		strv_add(&seen, next);
		free(now);
		now = xstrdup(next);
	}
	return err_set(err, ERR_PROTOCOL, "%s: OpenStack: more than %u pages", what, PAGES_MAX);
}
