/* The API's calls: JSON, a bearer token, pages. */
#include "digitalocean.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PAGES_MAX 100u /* 20,000 droplets */
#define RESET_MAX_S INT64_C(300)

static int prepare(struct md_api *api, struct md_api_call *c, struct err *err)
{
	const struct do_api *a = api->arg;

	(void)err;
	strv_add(&c->http.headers, "Authorization");
	strv_add(&c->http.headers, a->bearer);
	strv_add(&c->http.headers, "Accept");
	strv_add(&c->http.headers, "application/json");
	return 0;
}

/* A limit tells when it is over: by Retry-After, or by the time at which the count starts anew. */
static void set_pause(const struct md_http_answer *answer, struct err *err)
{
	const char *reset = md_http_header(answer, "ratelimit-reset");
	int64_t now = (int64_t)time(NULL), then;

	if (err->code != ERR_THROTTLED || md_http_retry_after_ms(answer) >= 0 || !reset)
		return;
	then = strtoll(reset, NULL, 10);
	then = MIN(MAX(then, now + 1), now + RESET_MAX_S);
	err->retry_after_ms = (uint32_t)(then - now) * 1000;
}

static enum md_verdict judge(struct md_api *api, const struct md_api_call *c,
	const struct md_http_answer *answer, struct err *err)
{
	_cleanup_json_ struct json *said = NULL;
	_cleanup_err_ struct err none = ERR_INIT;
	struct do_api *a = api->arg;
	const char *text = NULL, *id = "";

	(void)c;
	a->status = answer->status;
	if (json_parse(buf_str(&answer->body), answer->body.len, &said, &none) == 0) {
		text = json_str(json_get(said, "message"), NULL);
		id = json_str(json_get(said, "id"), "");
	}
	if (md_api_judge_status(answer, text, err) == MD_ANSWER_GOOD)
		return MD_ANSWER_GOOD;
	set_pause(answer, err);
	if (answer->status == 401)
		err_set(err, ERR_AUTH,
			"the access token is not accepted (--digitalocean-access-token, "
			"DIGITALOCEAN_ACCESS_TOKEN)");
	else if (answer->status == 403)
		err_set(err, ERR_AUTH,
			"%s (if the access token lacks a scope: it needs regions:read, image:read, "
			"tag:create, tag:read and tag:delete, and ssh_key and droplet in full)",
			text ? text : "Forbidden");
	else if (err->code == ERR_NOT_FOUND && !*id) /* a proxy's does not tell what is gone */
		err_set(err, ERR_UNAVAILABLE,
			"%ld %s, but not of DigitalOcean's own words (is it a proxy, or another "
			"--digitalocean-api-url?)",
			answer->status,
			answer->status == DO_STATUS_NOT_FOUND ? "Not Found" : "Gone");
	else if (answer->status == DO_STATUS_UNPROCESSABLE && text &&
		 strstr(text, "will exceed your"))
		err->code = ERR_QUOTA;
	return MD_ANSWER_BAD;
}

int do_open(struct do_api *a, struct md_request *rq, const struct md_machine *m, struct err *err)
{
	const char *token = md_state_str(m, "AccessToken"), *base = md_state_str(m, "APIURL");

	if (do_check_state(m, err) < 0)
		return -1;
	*a = (struct do_api){
		.base = *base ? base : "https://api.digitalocean.com",
		.bearer = xasprintf("Bearer %s", token),
	};
	md_api_init(&a->api, rq, "DigitalOcean");
	a->api.prepare = prepare;
	a->api.judge = judge;
	a->api.arg = a;
	md_api_secret(&a->api, token);
	return 0;
}

void do_close(struct do_api *a)
{
	secret_free(a->bearer);
	md_api_finish(&a->api);
}

int do_call(struct do_api *a, const char *method, const char *path, struct json *take_body,
	const char *what, struct json **ret, struct err *err)
{
	_cleanup_free_ char *url = xasprintf("%s/v2%s", a->base, path);

	a->status = 0;
	return md_api_send_json(&a->api, method, url, take_body, what, ret, err);
}

int do_act(struct do_api *a, const struct md_machine *m, const char *type, struct err *err)
{
	_cleanup_free_ char *url = xasprintf(
		"%s/v2/droplets/%lld/actions", a->base, (long long)md_state_int(m, "DropletID"));
	_cleanup_free_ char *body = xasprintf("{\"type\":\"%s\"}", type);
	_cleanup_free_ char *what = xasprintf("%s the droplet", type);
	_cleanup_json_ struct json *answer = NULL;
	struct md_api_call c = {
		.http = {.method = "POST",
			.url = url,
			.body = body,
			.n_body = strlen(body),
			.content_type = "application/json"},
		.what = what,
		/* twice is once: the droplet is as it is to be, or an event is under way */
		.repeatable = !streq(type, "reboot"),
	};

	a->status = 0;
	return md_api_json(&a->api, &c, &answer, err);
}

int do_refused(struct md_request *rq, struct md_machine *m, struct err *take_refusal,
	struct md_outcome *out, struct err *err)
{
	int64_t now = (int64_t)time(NULL), first = md_state_int(m, "RefusedAt");
	_cleanup_err_ struct err refusal = *take_refusal, ignored = ERR_INIT;

	*take_refusal = ERR_INIT;
	if (first > now || now - first > INT64_C(2) * DO_REFUSED_S)
		first = now; /* it was of a command that nobody waits for any more */
	if (now - first < DO_REFUSED_S) {
		json_set(m->state, "RefusedAt", json_int(first));
		md_cloud_wait(out, STATE_NONE, DO_POLL_MS, "%s", err_msg(&refusal));
		return 0;
	}
	do_not_refused(m);
	(void)!md_checkpoint(rq, m->state, &ignored);
	return err_move(err, &refusal);
}

void do_not_refused(struct md_machine *m)
{
	json_set(m->state, "RefusedAt", json_int(0));
}

bool do_is_new(const struct md_machine *m)
{
	return md_cloud_recent(md_state_int(m, "CreatedAt"), DO_NEW_S);
}

int do_list(struct do_api *a, const char *path, const char *key, const char *what,
	bool (*each)(const struct json *item, void *arg), void *arg, struct err *err)
{
	for (unsigned page = 1; page <= PAGES_MAX; page++) {
		_cleanup_free_ char *paged = xasprintf("%s%sper_page=%d&page=%u", path,
			strchr(path, '?') ? "&" : "?", DO_PAGE, page);
		_cleanup_json_ struct json *answer = NULL;
		const struct json *list;

		if (do_call(a, "GET", paged, NULL, what, &answer, err) < 0)
			return -1;
		list = json_get(answer, key);
		if (!json_is(list, JSON_ARRAY))
			return err_set(err, ERR_PROTOCOL,
				"%s: DigitalOcean: the answer has no list \"%s\"", what, key);
		for (size_t i = 0; json_at(list, i); i++)
			if (each(json_at(list, i), arg))
				return 0;
		/* the link's address is not followed: it may be anybody's */
		if (!*json_str(json_path(answer, "links", "pages", "next", NULL), ""))
			return 0;
	}
	return err_set(err, ERR_PROTOCOL, "%s: DigitalOcean: more than %u pages", what, PAGES_MAX);
}

int do_take_id(struct md_machine *m, const char *key, const struct json *thing, const char *what,
	struct err *err)
{
	int64_t id = json_int_or(json_get(thing, "id"), 0);

	if (id <= 0) {
		err_set(err, ERR_PROTOCOL, "%s: DigitalOcean: the answer has no id", what);
		err->may_exist = true;
		return -1;
	}
	json_set(m->state, key, json_int(id));
	return 0;
}
