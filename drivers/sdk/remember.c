/*
 * Answers that serve several machines: see md_api_call.shared. A process serves one request at a
 * time, so nothing is locked here.
 */
#include "machine-driver.h"
#include "sdk.h"

#include <string.h>

#define ANSWERS_MAX 32u
#define BODY_MAX (256u << 10) /* bytes; what is larger is asked for again */

struct remembered {
	char *key; /* a secret, for accounts may be named by one; NULL: free */
	int64_t end_ms;
	long status;
	struct buf body;
};

static struct remembered answers[ANSWERS_MAX];
static unsigned next;

static void drop(struct remembered *r)
{
	secret_free(r->key);
	buf_finish(&r->body);
	*r = (struct remembered){0};
}

static bool is_shared(const struct md_api *a, const struct md_api_call *c)
{
	return c->shared && a->account && c->http.n_body <= BODY_MAX &&
	       (!c->http.n_body || !memchr(c->http.body, '\0', c->http.n_body)); /* see key_of */
}

static char *key_of(const struct md_api *a, const struct md_api_call *c)
{
	return xasprintf("%zu %s %s %s %.*s", strlen(a->account), a->account, c->http.method,
		c->http.url, (int)c->http.n_body, c->http.body ? (const char *)c->http.body : "");
}

static struct remembered *find(const char *key)
{
	for (size_t i = 0; i < ARRAY_SIZE(answers); i++)
		if (answers[i].key && streq(answers[i].key, key))
			return &answers[i];
	return NULL;
}

bool sdk_remembers(const struct md_api *a, const struct md_api_call *c, struct md_http_answer *ret)
{
	struct remembered *r = NULL;

	if (is_shared(a, c)) {
		_cleanup_secret_ char *key = key_of(a, c);
		r = find(key);
	}
	if (!r || sdk_now_ms() >= r->end_ms)
		return false;
	*ret = (struct md_http_answer){.status = r->status};
	buf_add(&ret->body, r->body.data, r->body.len);
	return true;
}

void sdk_remember(
	const struct md_api *a, const struct md_api_call *c, const struct md_http_answer *answer)
{
	if (!is_shared(a, c) || answer->body.len > BODY_MAX)
		return;
	char *key = key_of(a, c);
	struct remembered *r = find(key);
	if (!r)
		r = &answers[next++ % ANSWERS_MAX];
	drop(r);
	*r = (struct remembered){
		.key = key, .end_ms = sdk_now_ms() + MD_API_SHARED_MS, .status = answer->status};
	buf_add(&r->body, answer->body.data, answer->body.len);
}

void md_api_forget(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(answers); i++)
		drop(&answers[i]);
}
