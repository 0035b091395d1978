/*
 * Messages. What a driver sends is read leniently, so that one broken rule does not look like ten:
 * each deviation is noted at its own rule, and the rest is taken for what it was meant to be.
 */
#include "kit.h"

#include "mem.h"
#include "mstate.h"
#include "rpc.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

void message_finish(struct message *m)
{
	json_free(m->json);
	*m = (struct message){0};
}

void answer_finish(struct answer *a)
{
	json_free(a->body);
	free(a->why);
	*a = (struct answer){0};
}

/* G4: no value of a flag declared secret in what is meant for people. */
static void check_secrets(struct kit *k, const char *text, const char *where)
{
	for (size_t i = 0; text && i < k->secrets.n; i++) {
		saw(k, "G4");
		if (strstr(text, k->secrets.items[i]))
			broke(k, "G4", "the value of a secret flag is in %s", where);
	}
}

void check_error(struct kit *k, const struct json *e)
{
	const struct json *data = json_get(e, "data"), *kind = json_get(data, "kind");
	const struct json *after = json_get(data, "retryAfterMs");
	const char *message = json_str(json_get(e, "message"), "");
	int64_t n;

	saw(k, "E1");
	if (!json_is(e, JSON_OBJECT) || !json_to_int(json_get(e, "code"), &n))
		broke(k, "E1", "an error without an integer code");
	if (!*message)
		broke(k, "E1", "an error without a message");
	check_secrets(k, message, "an error's message");
	if (data && !json_is(data, JSON_OBJECT))
		broke(k, "E2", "an error's data is not an object");
	if (json_is(data, JSON_OBJECT)) {
		const char *name = json_str(kind, "");

		saw(k, "E2");
		if (kind && !streq(name, "internal") && err_kind_parse(name) == ERR_INTERNAL)
			broke(k, "E2", "the kind \"%s\" is not in the table", name);
		saw(k, "E3");
		if ((json_get(data, "retryable") &&
			    !json_is(json_get(data, "retryable"), JSON_BOOL)) ||
			(json_get(data, "mayExist") &&
				!json_is(json_get(data, "mayExist"), JSON_BOOL)))
			broke(k, "E3", "retryable or mayExist is not a bool");
		if (after && (!json_to_int(after, &n) || n < 0 || n > 600000))
			broke(k, "E3", "retryAfterMs is not an integer from 0 to 600000");
	}
}

static int64_t read_id(struct kit *k, const struct json *j)
{
	const struct json *id = json_get(j, "id");
	int64_t n = 0;

	if (!id || json_is(id, JSON_NULL))
		return 0;
	saw(k, "R2");
	if (!json_to_int(id, &n) || n < 1 || n > RPC_MAX_ID) {
		broke(k, "R2", "an id that is not an integer from 1 to 2^53-1");
		return 0;
	}
	return n;
}

static enum message_kind classify(struct kit *k, const struct json *j, int64_t id)
{
	const struct json *method = json_get(j, "method"), *params = json_get(j, "params");
	const struct json *result = json_get(j, "result"), *error = json_get(j, "error");

	saw(k, "R1");
	if (!streq(json_str(json_get(j, "jsonrpc"), ""), "2.0"))
		broke(k, "R1", "a message without \"jsonrpc\": \"2.0\"");
	if (method) {
		saw(k, "R3");
		if (!json_is(method, JSON_STRING))
			broke(k, "R3", "a method that is not a string");
		if (params && !json_is(params, JSON_OBJECT))
			broke(k, "R3", "params that are not an object");
		return id ? MSG_REQUEST : MSG_NOTIFICATION;
	}
	saw(k, "R4");
	if (result && error)
		broke(k, "R4", "a response with both result and error");
	if (!result && !error) {
		broke(k, "R4", "a message without method, result and error");
		return MSG_ODD;
	}
	if (result && !json_is(result, JSON_OBJECT))
		broke(k, "R4", "a result that is not an object");
	if (error && !result)
		check_error(k, error);
	return result ? MSG_RESULT : MSG_ERROR;
}

int receive(
	struct kit *k, struct peer *p, int64_t deadline, struct message *ret, const char **ret_why)
{
	_cleanup_err_ struct err err = ERR_INIT;
	struct json *j = NULL;
	const char *body;
	size_t len;
	int r;

	do {
		r = peer_receive(p, MIN(deadline, now_ms() + 200), &body, &len);
	} while (r == 0 && now_ms() < deadline && !interrupted());
	*ret_why = interrupted() ? "interrupted" : "no answer in time";
	if (r > 0) {
		saw(k, "F1");
		saw(k, "J1");
		if (json_parse(body, len, &j, &err) == 0 && json_is(j, JSON_OBJECT)) {
			ret->json = j;
			ret->id = read_id(k, j);
			ret->kind = classify(k, j, ret->id);
			return 1;
		}
		json_free(j);
		broke(k, "J1", "a body that is not an object in JSON: %s", err_msg(&err));
		if (!p->broken)
			p->broken = xasprintf("sent what is not JSON: %s", err_msg(&err));
		r = -1;
	}
	if (r < 0) {
		if (p->frame_broken)
			broke(k, "F1", "it %s", peer_end(p));
		*ret_why = peer_end(p);
	}
	return 0;
}

static void send_body(struct peer *p, const struct buf *body)
{
	peer_send_frame(p, body->data, body->len);
}

int64_t ask(struct peer *p, const char *method, struct json *take_params)
{
	_cleanup_buf_ struct buf body = BUF_INIT;

	rpc_write_request(&body, ++p->last_id, method, take_params);
	json_free(take_params);
	send_body(p, &body);
	p->serving = p->last_id;
	p->method = method;
	p->checkpoints = 0;
	return p->last_id;
}

void tell(struct peer *p, const char *method, struct json *take_params)
{
	_cleanup_buf_ struct buf body = BUF_INIT;

	rpc_write_notification(&body, method, take_params);
	json_free(take_params);
	send_body(p, &body);
}

void grant(struct peer *p, int64_t id)
{
	_cleanup_buf_ struct buf body = BUF_INIT;

	rpc_write_result(&body, id, NULL);
	send_body(p, &body);
	p->outstanding = 0;
}

void refuse(struct peer *p, int64_t id)
{
	_cleanup_buf_ struct buf body = BUF_INIT;
	_cleanup_err_ struct err err = ERR_INIT;

	err_set(&err, ERR_INTERNAL, "the state could not be written (a test)");
	rpc_write_error(&body, id, RPC_DRIVER_ERROR, &err);
	send_body(p, &body);
	p->outstanding = 0;
}

static void take_notification(struct kit *k, struct peer *p, const struct json *j)
{
	const char *method = json_str(json_get(j, "method"), "");
	const struct json *params = json_get(j, "params");
	const char *message = json_str(json_get(params, "message"), NULL);
	bool progress = streq(method, "progress");
	const char *rule = progress ? "N1" : "N2";
	int64_t request = 0;

	if (!progress && !streq(method, "log"))
		return;
	saw(k, rule);
	if (!message)
		broke(k, rule, "%s without a message", method);
	check_secrets(k, message, method);
	if (progress &&
		(!json_to_int(json_get(params, "request"), &request) || request != p->serving))
		broke(k, rule, "progress of a request that is not being served");
	if (!progress) {
		const char *level = json_str(json_get(params, "level"), "");

		if (!streq(level, "debug") && !streq(level, "info") && !streq(level, "warn") &&
			!streq(level, "error"))
			broke(k, rule, "the level \"%s\"", level);
	}
}

static bool may_checkpoint(const char *method)
{
	static const char *const methods[] = {
		"create", "start", "stop", "restart", "kill", "remove", "upgradeImage"};

	for (size_t i = 0; i < ARRAY_SIZE(methods); i++)
		if (streq(method, methods[i]))
			return true;
	return false;
}

/* A request of the driver's. True: a checkpoint that can be answered. */
static bool take_request(struct kit *k, struct peer *p, const struct message *m)
{
	const struct json *params = json_get(m->json, "params");
	const char *method = json_str(json_get(m->json, "method"), "");
	int64_t request = 0;

	if (m->id <= p->highest_own_id)
		broke(k, "R2", "the id %" PRId64 " comes after %" PRId64, m->id, p->highest_own_id);
	p->highest_own_id = MAX(p->highest_own_id, m->id);
	saw(k, "C1");
	if (!streq(method, "checkpoint")) {
		broke(k, "C1", "the request \"%s\"; the host knows only checkpoint", method);
		refuse(p, m->id);
		return false;
	}
	if (!may_checkpoint(p->method))
		broke(k, "C1", "a checkpoint during %s", p->method);
	if (!json_to_int(json_get(params, "request"), &request) || request != p->serving)
		broke(k, "C1", "the checkpoint is not of the request that is being served");
	if (!json_is(json_get(params, "state"), JSON_OBJECT))
		broke(k, "C1", "a checkpoint without a state");
	else
		check_state(k, json_get(params, "state"));
	saw(k, "C4");
	k->checkpoints += streq(p->method, "create");
	if (++p->checkpoints > MAX_CHECKPOINTS) {
		broke(k, "C1", "more than %d checkpoints of one request", MAX_CHECKPOINTS);
		p->broken = xstrdup("makes checkpoints without end");
		return false;
	}
	if (p->outstanding)
		broke(k, "C4", "a checkpoint before the last one was answered");
	p->outstanding = m->id;
	return true;
}

static void take_answer(struct kit *k, struct peer *p, struct message *m, struct answer *ret)
{
	const struct json *error = json_get(m->json, "error");
	const struct json *body = m->kind == MSG_RESULT ? json_get(m->json, "result") : error;

	ret->what = m->kind == MSG_RESULT ? GOT_RESULT : GOT_ERROR;
	ret->body = json_copy(body);
	if (p->outstanding)
		broke(k, "C4", "%s was answered before its checkpoint was", p->method);
	if (m->kind == MSG_RESULT)
		return;
	ret->error_code = json_int_or(json_get(ret->body, "code"), 0);
	ret->kind = json_str(json_path(ret->body, "data", "kind", NULL), "internal");
	ret->why = xasprintf("%s, %s", json_str(json_get(ret->body, "message"), "no message"),
		ret->error_code == RPC_DRIVER_ERROR ? ret->kind : "an error of the protocol");
}

int receive_other(
	struct kit *k, struct peer *p, int64_t deadline, struct message *ret, const char **ret_why)
{
	for (unsigned n = 0; n < MAX_MESSAGES && receive(k, p, deadline, ret, ret_why); n++) {
		if (ret->kind != MSG_NOTIFICATION)
			return 1;
		take_notification(k, p, ret->json);
		message_finish(ret);
	}
	return 0;
}

static void wait_for_answer(
	struct kit *k, struct peer *p, int64_t id, int64_t deadline, struct answer *ret)
{
	const char *why = "more messages than anybody would read";

	*ret = (struct answer){0};
	for (unsigned n = 0; n < MAX_MESSAGES; n++) {
		_cleanup_message_ struct message m = {0};

		if (!receive(k, p, deadline, &m, &why))
			break;
		if (m.kind == MSG_NOTIFICATION) {
			take_notification(k, p, m.json);
		} else if (m.kind == MSG_REQUEST) {
			if (!take_request(k, p, &m))
				continue;
			ret->what = GOT_CHECKPOINT;
			ret->id = m.id;
			ret->body = json_copy(json_get(m.json, "params"));
			return;
		} else if (m.kind != MSG_ODD) {
			saw(k, "R7");
			if (m.id == id) {
				take_answer(k, p, &m, ret);
				return;
			}
			broke(k, "R7",
				"an answer to the id %" PRId64 " while %" PRId64 " was pending",
				m.id, id);
		}
	}
	ret->why = xasprintf("%s: %s", p->method, why);
}

void await(struct kit *k, struct peer *p, int64_t id, int64_t ms, struct answer *ret)
{
	wait_for_answer(k, p, id, deadline_in(k, ms), ret);
	if (ret->what == GOT_NOTHING && !p->broken)
		p->broken = xstrdup("left a request without an answer");
}

void overhear(struct kit *k, struct peer *p, struct answer *ret)
{
	wait_for_answer(k, p, p->serving, now_ms() + HOLD_MS, ret);
}

void call(struct kit *k, struct peer *p, const char *method, struct json *take_params, int64_t ms,
	struct answer *ret)
{
	int64_t id = ask(p, method, take_params);

	for (;;) {
		await(k, p, id, ms, ret);
		if (ret->what != GOT_CHECKPOINT)
			return;
		grant(p, ret->id);
		json_free(ret->body); /* all that a checkpoint holds; await begins anew */
	}
}
