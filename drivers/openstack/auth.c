/*
 * Logging in. A process serves many machines of one account: what it was told (the token, the
 * catalog) is kept under the credentials it was told for, until the token ends or is refused.
 */
#include "openstack.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define SESSIONS_MAX 8u
#define EXPIRES_EARLY_S 60 /* a token that ends so soon is not used any more */

static struct os_session sessions[SESSIONS_MAX];
static unsigned next_session;

static void session_finish(struct os_session *s)
{
	secret_free(s->key);
	secret_free(s->token);
	free(s->project);
	json_free(s->catalog);
	*s = (struct os_session){0};
}

char *os_account(const struct md_machine *m)
{
	static const char *const members[] = {"AuthUrl", "CaCert", "DomainID", "DomainName",
		"Username", "UserId", "Password", "UserDomainName", "UserDomainId", "TenantName",
		"TenantId", "TenantDomainName", "TenantDomainId", "ApplicationCredentialId",
		"ApplicationCredentialName", "ApplicationCredentialSecret"};
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(members); i++)
		buf_addf(&b, "%zu:%s", strlen(md_state_str(m, members[i])),
			md_state_str(m, members[i]));
	buf_addf(&b, "%d%s", md_state_bool(m, "Insecure"), os_token(m));
	return buf_steal(&b);
}

static bool is_fresh(const struct os_session *s)
{
	return !s->expires || s->expires - EXPIRES_EARLY_S > (int64_t)time(NULL);
}

/* "2026-01-02T03:04:05.000000Z" */
static int64_t time_of(const char *text)
{
	struct tm tm = {0};

	return strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) ? (int64_t)timegm(&tm) : 0;
}

static enum md_verdict judge(struct md_api *api, const struct md_api_call *c,
	const struct md_http_answer *answer, struct err *err)
{
	_cleanup_free_ char *said = os_said(answer);
	const struct md_machine *m = api->arg;
	bool asks = streq(c->http.method, "GET"); /* for versions */

	if (answer->status == 300 && asks)
		return MD_ANSWER_GOOD;
	if (md_api_judge_status(answer, said, err) == MD_ANSWER_GOOD)
		return MD_ANSWER_GOOD;
	if (answer->status == 401)
		err_set(err, ERR_AUTH, "the credentials are not accepted%s%s%s", said ? ": " : "",
			said ? said : "",
			os_uses_token(m) ? " (a token ends; OS_TOKEN gives a new one)" : "");
	else if (err->code == ERR_NOT_FOUND) /* of a server, which is not what is gone */
		err_set(err, asks ? ERR_NOT_FOUND : ERR_USER,
			"%ld %s: --openstack-auth-url is no address of an identity service",
			answer->status, answer->status == OS_STATUS_GONE ? "Gone" : "Not Found");
	return MD_ANSWER_BAD;
}

static int read_v3(const struct md_http_answer *answer, const struct json *said,
	struct os_session *s, struct err *err)
{
	const struct json *token = json_get(said, "token");
	const char *text = md_http_header(answer, "x-subject-token");

	if (!text || !*text || !json_is(token, JSON_OBJECT))
		return err_set(err, ERR_PROTOCOL, "the answer has no token");
	s->token = xstrdup(text);
	s->project = xstrdup(json_str(json_path(token, "project", "id", NULL), ""));
	s->catalog = json_copy(json_get(token, "catalog"));
	s->expires = time_of(json_str(json_get(token, "expires_at"), ""));
	return 0;
}

static int read_v2(const struct json *said, struct os_session *s, struct err *err)
{
	const struct json *access = json_get(said, "access"), *token = json_get(access, "token");
	const char *text = json_str(json_get(token, "id"), "");

	if (!*text)
		return err_set(err, ERR_PROTOCOL, "the answer has no token");
	s->token = xstrdup(text);
	s->project = xstrdup(json_str(json_path(token, "tenant", "id", NULL), ""));
	s->catalog = os_catalog_of_v2(json_get(access, "serviceCatalog"));
	s->expires = time_of(json_str(json_get(token, "expires"), ""));
	return 0;
}

static int ask_for_token(struct md_api *api, const struct md_machine *m,
	const struct os_identity *identity, struct os_session *s, struct err *err)
{
	_cleanup_http_answer_ struct md_http_answer answer = {0};
	_cleanup_json_ struct json *body = json_object(), *said = NULL;
	_cleanup_secret_ char *text = NULL;
	_cleanup_free_ char *url =
		xasprintf("%s/%s", identity->url, identity->v2 ? "tokens" : "auth/tokens");
	struct json *auth = NULL;

	if ((identity->v2 ? os_auth_v2 : os_auth_v3)(m, &auth, err) < 0)
		return -1;
	json_set(body, "auth", auth);
	text = json_to_string(body, JSON_COMPACT);
	struct md_api_call c = {
		.http = {.method = "POST",
			.url = url,
			.body = text,
			.n_body = strlen(text),
			.content_type = "application/json"},
		.what = "log in",
		.repeatable = true, /* another token does no harm */
		.secret = true,
	};
	if (md_api_call(api, &c, &answer, err) < 0)
		return -1;
	if (json_parse(buf_str(&answer.body), answer.body.len, &said, err) < 0)
		return err_wrap(err, "log in: OpenStack: the answer is not JSON");
	return identity->v2 ? read_v2(said, s, err) : read_v3(&answer, said, s, err);
}

static int prepare(struct md_api *api, struct md_api_call *c, struct err *err)
{
	(void)api;
	(void)err;
	strv_add(&c->http.headers, "Accept");
	strv_add(&c->http.headers, "application/json");
	return 0;
}

static int log_in(struct os_api *a, struct os_session *s, struct err *err)
{
	struct os_identity identity = {0};
	struct md_api api;
	int r;

	md_api_init(&api, a->api.rq, "OpenStack");
	api.insecure = a->api.insecure;
	api.ca_file = a->api.ca_file;
	api.prepare = prepare;
	api.judge = judge;
	api.arg = (void *)a->m;
	os_mask_secrets(&api, a->m);
	r = os_identity_find(&api, md_state_str(a->m, "AuthUrl"), &identity, err);
	if (r == 0)
		r = ask_for_token(&api, a->m, &identity, s, err);
	free(identity.url);
	md_api_finish(&api);
	return r;
}

int os_login(struct os_api *a, struct err *err)
{
	const char *key = a->account;
	struct os_session *s = NULL;

	for (size_t i = 0; i < SESSIONS_MAX && !s; i++)
		if (sessions[i].key && streq(sessions[i].key, key))
			s = &sessions[i];
	if (!s)
		s = &sessions[next_session++ % SESSIONS_MAX];
	if (!s->key || !streq(s->key, key) || !is_fresh(s)) { /* it may be of another account */
		session_finish(s);
		if (log_in(a, s, err) < 0) {
			session_finish(s);
			return -1;
		}
		s->key = xstrdup(key);
	}
	a->session = s;
	md_api_secret(&a->api, s->token);
	return 0;
}

void os_forget(struct os_api *a)
{
	if (a->session)
		session_finish(a->session);
	a->session = NULL;
}
