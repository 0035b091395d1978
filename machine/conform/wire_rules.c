/* The rules of framing, JSON and messages. */
#include "kit.h"

#include "mem.h"
#include "rpc.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#define MAX_SURPLUS 100
#define DEEP_ID 4711
#define BOMB_LEVELS 400000 /* too deep for any recursion; below 1 MiB: sizes are F4's matter */

static void send_text(struct peer *p, const char *body)
{
	peer_send_frame(p, body, strlen(body));
}

static struct json *no_machines(void)
{
	struct json *params = json_object();

	json_set(params, "machines", json_array());
	return params;
}

/* Does it still answer an ordinary request? */
static bool still_serves(struct kit *k, struct peer *p, const char *after)
{
	_cleanup_answer_ struct answer a = {0};

	call(k, p, "states", no_machines(), ANSWER_MS, &a);
	if (a.what == GOT_RESULT)
		return true;
	fail(k, "%s: an ordinary request fails: %s", after, a.why);
	return false;
}

/* The next message has to be an error of this code and id (0: null). */
static bool answers_error(struct kit *k, struct peer *p, int64_t code, int64_t id, const char *to)
{
	_cleanup_message_ struct message m = {0};
	const char *why;
	int64_t got;
	int r;

	while ((r = receive_other(k, p, deadline_in(k, ANSWER_MS), &m, &why)) > 0 &&
		m.kind == MSG_RESULT && m.id != id && p->surplus++ < MAX_SURPLUS) {
		broke(k, "R7", "a second answer, or one to an id that was not asked");
		message_finish(&m);
	}
	if (r == 0) {
		fail(k, "%s: %s", to, why);
		return false;
	}
	got = json_int_or(json_path(m.json, "error", "code", NULL), 0);
	if (m.kind != MSG_ERROR)
		fail(k, "%s: accepted; wanted the error %" PRId64, to, code);
	else if (got != code)
		fail(k, "%s: answered with the error %" PRId64 ", not %" PRId64, to, got, code);
	else if (m.id != id)
		fail(k, "%s: answered with the id %" PRId64 ", not %" PRId64, to, m.id, id);
	else
		return true;
	return false;
}

static enum verdict check_R9(struct kit *k)
{
	struct peer *p = start_peer(k);
	enum verdict v = VERDICT_FAIL;
	_cleanup_answer_ struct answer a = {0};

	if (!p)
		return v;
	ask(p, "states", no_machines());
	if (answers_error(k, p, RPC_NOT_INITIALIZED, p->last_id, "states before initialize")) {
		call(k, p, "initialize", hello_params(), ANSWER_MS, &a);
		v = a.what == GOT_RESULT ? VERDICT_OK : fail(k, "initialize afterwards: %s", a.why);
	}
	end_peer(k, p);
	return v;
}

static enum verdict check_R5(struct kit *k)
{
	struct peer *p = start_ready(k);
	enum verdict v = VERDICT_FAIL;

	if (!p)
		return v;
	ask(p, "xConform/noSuchMethod", NULL);
	if (answers_error(k, p, RPC_METHOD_NOT_FOUND, p->last_id, "an unknown method"))
		v = VERDICT_OK;
	end_peer(k, p);
	return v;
}

static enum verdict check_ignored(struct kit *k, const char *method, const char *params)
{
	_cleanup_free_ char *text =
		xasprintf("{\"jsonrpc\":\"2.0\",\"method\":\"%s\",\"params\":%s}", method, params);
	_cleanup_message_ struct message m = {0};
	struct peer *p = start_ready(k);
	enum verdict v = VERDICT_OK;
	const char *why;
	int64_t id;

	if (!p)
		return VERDICT_FAIL;
	/* Messages are answered in order: an answer to the first would come before the second's. */
	send_text(p, text);
	id = ask(p, "states", no_machines());
	if (!receive_other(k, p, deadline_in(k, ANSWER_MS), &m, &why))
		v = fail(k, "an ordinary request afterwards: %s", why);
	else if (m.id != id)
		v = fail(k, "it is answered");
	else if (m.kind != MSG_RESULT)
		v = fail(k, "an ordinary request afterwards fails");
	end_peer(k, p);
	return v;
}

static enum verdict check_R5_notification(struct kit *k)
{
	return check_ignored(k, "xConform/noSuchThing", "{\"a\":[1]}");
}

static enum verdict check_X4(struct kit *k)
{
	return check_ignored(k, "$/cancelRequest", "{\"id\":4711}");
}

static enum verdict check_R6_params(struct kit *k)
{
	static const struct {
		const char *method, *params, *what;
	} cases[] = {
		{"configure", NULL, "configure without params"},
		{"states", "{}", "states without machines"},
		{"states", "{\"machines\":7}", "states with machines that are a number"},
		{"create", "{\"machine\":7}", "create with a machine that is a number"},
	};
	struct peer *p = start_ready(k);
	enum verdict v = VERDICT_OK;

	if (!p)
		return VERDICT_FAIL;
	for (size_t i = 0; i < ARRAY_SIZE(cases) && v == VERDICT_OK; i++) {
		_cleanup_json_ struct json *params = NULL;
		_cleanup_err_ struct err err = ERR_INIT;

		if (cases[i].params)
			json_parse(cases[i].params, strlen(cases[i].params), &params, &err);
		ask(p, cases[i].method, take(params));
		if (!answers_error(k, p, RPC_INVALID_PARAMS, p->last_id, cases[i].what))
			v = VERDICT_FAIL;
	}
	end_peer(k, p);
	return v;
}

static enum verdict check_R6_message(struct kit *k)
{
	struct peer *p = start_ready(k);
	enum verdict v = VERDICT_FAIL;

	if (!p)
		return v;
	send_text(p, "{\"jsonrpc\":\"2.0\",\"id\":4711}");
	if (answers_error(k, p, RPC_INVALID_REQUEST, 4711, "a message with nothing but an id")) {
		send_text(p, "[]");
		if (answers_error(k, p, RPC_INVALID_REQUEST, 0, "an empty array") &&
			still_serves(k, p, "afterwards"))
			v = VERDICT_OK;
	}
	end_peer(k, p);
	return v;
}

/* A body of that depth. An unknown method, for whatever it asked would be another rule's matter. */
static char *nested_request(unsigned depth)
{
	struct buf b = BUF_INIT;

	buf_addf(&b,
		"{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"xConform/noSuchMethod\",\"params\":{"
		"\"xConform\":",
		DEEP_ID);
	for (unsigned i = 2; i < depth; i++)
		buf_addc(&b, '[');
	for (unsigned i = 2; i < depth; i++)
		buf_addc(&b, ']');
	buf_adds(&b, "}}");
	return buf_steal(&b);
}

static bool is_parse_error(struct kit *k, struct peer *p, const char *body, const char *what)
{
	send_text(p, body);
	return answers_error(k, p, RPC_PARSE_ERROR, 0, what) && still_serves(k, p, what);
}

static enum verdict check_J2(struct kit *k)
{
	static const struct {
		const char *body, *what;
	} cases[] = {
		{"{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":", "half an object"},
		{"hello", "plain text"},
		{"{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"states\xff\"}", "the byte FF"},
		{"{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"\xc0\xaf\"}",
			"UTF-8 that is too long"},
		{"{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"x\"} {}", "two objects"},
		{"\xef\xbb\xbf{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"x\"}",
			"a byte order mark"},
		{"{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"x\",\"params\":{\"a\":NaN}}", "NaN"},
	};
	struct peer *p = start_ready(k);
	enum verdict v = p ? VERDICT_OK : VERDICT_FAIL;

	for (size_t i = 0; i < ARRAY_SIZE(cases) && v == VERDICT_OK; i++)
		if (!is_parse_error(k, p, cases[i].body, cases[i].what))
			v = VERDICT_FAIL;
	end_peer(k, p);
	return v;
}

static enum verdict check_J2_depth(struct kit *k)
{
	_cleanup_free_ char *deepest = nested_request(JSON_MAX_DEPTH);
	_cleanup_free_ char *deeper = nested_request(JSON_MAX_DEPTH + 1);
	_cleanup_free_ char *bomb = nested_request(BOMB_LEVELS);
	_cleanup_message_ struct message m = {0};
	struct peer *p = start_ready(k);
	enum verdict v = VERDICT_FAIL;
	const char *why;

	if (!p)
		return v;
	send_text(p, deepest);
	if (!receive_other(k, p, deadline_in(k, ANSWER_MS), &m, &why))
		fail(k, "64 levels: %s", why);
	else if (m.id != DEEP_ID)
		fail(k, "64 levels are not read");
	else if (is_parse_error(k, p, deeper, "65 levels") &&
		 is_parse_error(k, p, bomb, "400,000 levels"))
		v = VERDICT_OK;
	end_peer(k, p);
	return v;
}

static enum verdict check_J3(struct kit *k)
{
	struct json *params = hello_params();
	_cleanup_answer_ struct answer a = {0}, b = {0};
	struct peer *p = start_peer(k);
	enum verdict v = VERDICT_OK;

	if (!p) {
		json_free(params);
		return VERDICT_FAIL;
	}
	json_set(params, "xConform", no_machines());
	json_set_str(json_get(params, "host"), "xConform", "y");
	call(k, p, "initialize", params, ANSWER_MS, &a);
	if (a.what != GOT_RESULT)
		v = fail(k, "%s", a.why);
	if (v == VERDICT_OK) {
		send_text(p, "{\"xConform\":[null],\"jsonrpc\":\"2.0\",\"id\":77,"
			     "\"method\":\"states\",\"params\":{\"a\":1,\"machines\":[]}}");
		p->method = "states";
		await(k, p, 77, ANSWER_MS, &b);
		if (b.what != GOT_RESULT)
			v = fail(k, "%s", b.why);
	}
	end_peer(k, p);
	return v;
}

static enum verdict expect_hello(struct kit *k, struct peer *p, int64_t id)
{
	_cleanup_answer_ struct answer a = {0};

	p->method = "initialize";
	await(k, p, id, ANSWER_MS, &a);
	return a.what == GOT_RESULT ? VERDICT_OK : fail(k, "%s", a.why);
}

static void hello_body(int64_t id, struct buf *ret)
{
	_cleanup_json_ struct json *params = hello_params();

	rpc_write_request(ret, id, "initialize", params);
}

static enum verdict check_hello_sent_as(struct kit *k, const char *before, const char *after)
{
	_cleanup_buf_ struct buf frame = BUF_INIT, body = BUF_INIT;
	struct peer *p = start_peer(k);
	enum verdict v;

	if (!p)
		return VERDICT_FAIL;
	hello_body(1, &body);
	buf_addf(&frame, "%s%zu\r\n%s\r\n%s", before, body.len, after, body.data);
	peer_send(p, frame.data, frame.len);
	v = expect_hello(k, p, 1);
	end_peer(k, p);
	return v;
}

static enum verdict check_F2(struct kit *k)
{
	return check_hello_sent_as(k, "cONTENT-lENGTH:", "");
}

static enum verdict check_F3(struct kit *k)
{
	enum verdict v = check_hello_sent_as(k,
		"Content-Type: application/json; charset=utf-8\r\nContent-Length: ",
		"X-Conform: a:b\r\n");

	k->takes_headers = v == VERDICT_OK;
	return v;
}

static enum verdict check_F4(struct kit *k)
{
	_cleanup_buf_ struct buf body = BUF_INIT;
	struct peer *p = start_peer(k);
	enum verdict v;

	if (!p)
		return VERDICT_FAIL;
	hello_body(1, &body);
	memset(buf_reserve(&body, FRAME_MAX_BODY - body.len), ' ', FRAME_MAX_BODY - body.len);
	body.len = FRAME_MAX_BODY;
	peer_send_frame(p, body.data, body.len);
	v = expect_hello(k, p, 1);
	end_peer(k, p);
	return v;
}

/* A header part of exactly the limit, the empty line and all. */
static enum verdict check_F4_header(struct kit *k)
{
	char padding[FRAME_MAX_HEADER] = "X-Conform: ";
	_cleanup_free_ char *before = NULL;
	_cleanup_buf_ struct buf body = BUF_INIT;
	int others;

	if (!k->takes_headers)
		return skip(k, "it takes no other headers (F3)");
	hello_body(1, &body);
	others = snprintf(NULL, 0, "\r\nContent-Length: %zu\r\n\r\n", body.len);
	memset(padding + strlen(padding), 'x', FRAME_MAX_HEADER - strlen(padding) - (size_t)others);
	before = xasprintf("%s\r\nContent-Length: ", padding);
	return check_hello_sent_as(k, before, "");
}

static enum verdict check_broken_frame(struct kit *k, const char *bytes, const char *what)
{
	struct peer *p = start_ready(k);
	enum verdict v = VERDICT_OK;

	if (!p)
		return VERDICT_FAIL;
	peer_send(p, bytes, strlen(bytes));
	peer_flush(p, deadline_in(k, ANSWER_MS));
	if (!peer_wait_exit(p, now_ms() + EXIT_MS))
		v = fail(k, "%s: still running after %d s", what, EXIT_MS / 1000);
	else if (!WIFEXITED(p->status) || WEXITSTATUS(p->status) == 0)
		v = fail(k, "%s: it %s", what, peer_end(p));
	else if (p->stderr_bytes == 0)
		v = fail(k, "%s: it gives no reason on standard error", what);
	end_peer(k, p);
	return v;
}

static enum verdict check_F5(struct kit *k)
{
	static const struct {
		const char *bytes, *what;
	} cases[] = {
		{"X-Conform: 1\r\n\r\n{}", "no Content-Length"},
		{"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}", "Content-Length twice"},
		{"Content-Length: two\r\n\r\n{}", "a Content-Length that is not a number"},
		{"Content-Length: -2\r\n\r\n{}", "a negative Content-Length"},
		{"Content-Length: 0\r\n\r\n", "an empty body"},
		{"Content-Length: 8388609\r\n\r\n", "a body of 8 MiB and a byte"},
		{"Content-Length: 99999999999999999999\r\n\r\n", "a length of 20 digits"},
		{"this is no header line\r\n\r\n", "a header line without a colon"},
	};
	char header[FRAME_MAX_HEADER + 64] = "X-Conform: ";
	enum verdict v = VERDICT_OK;

	for (size_t i = 0; i < ARRAY_SIZE(cases) && v == VERDICT_OK; i++)
		v = check_broken_frame(k, cases[i].bytes, cases[i].what);
	memset(header + strlen(header), 'x', sizeof(header) - strlen(header) - 1);
	header[sizeof(header) - 1] = '\0';
	return v == VERDICT_OK ? check_broken_frame(k, header, "an endless header line") : v;
}

static enum verdict check_F6(struct kit *k)
{
	_cleanup_buf_ struct buf frame = BUF_INIT, body = BUF_INIT;
	struct peer *p = start_peer(k);
	enum verdict v;

	if (!p)
		return VERDICT_FAIL;
	hello_body(1, &body);
	buf_addf(&frame, "Content-Length: %zu\r\n\r\n%s", body.len, body.data);
	for (size_t i = 0; i < frame.len; i++) {
		peer_send(p, frame.data + i, 1);
		peer_flush(p, deadline_in(k, ANSWER_MS));
	}
	v = expect_hello(k, p, 1);
	end_peer(k, p);
	return v;
}

static enum verdict check_F6_several(struct kit *k)
{
	struct peer *p = start_peer(k);
	enum verdict v;

	if (!p)
		return VERDICT_FAIL;
	tell(p, "xConform/noSuchThing", NULL);
	tell(p, "xConform/norThisOne", NULL);
	v = expect_hello(k, p, ask(p, "initialize", hello_params()));
	end_peer(k, p);
	return v;
}

const struct rule wire_rules[] = {
	{"R9", "before initialize everything else is answered with -32002", check_R9,
		NEED_INITIALIZE},
	{"R5", "unknown methods are answered with -32601", check_R5, NEED_INITIALIZE},
	{"R5", "unknown notifications are ignored", check_R5_notification, NEED_INITIALIZE},
	{"R6", "missing or wrong params are answered with -32602", check_R6_params,
		NEED_INITIALIZE},
	{"R6", "what is no message is answered with -32600", check_R6_message, NEED_INITIALIZE},
	{"X4", "a cancel for nothing is ignored", check_X4, NEED_INITIALIZE},
	{"J2", "what is not JSON is answered with -32700", check_J2, NEED_INITIALIZE},
	{"J2", "64 levels are read, 65 answered with -32700", check_J2_depth, NEED_INITIALIZE},
	{"J3", "unknown members are ignored", check_J3, NEED_INITIALIZE},
	{"F2", "header names in any case", check_F2, NEED_INITIALIZE},
	{"F3", "other headers are ignored", check_F3, NEED_INITIALIZE},
	{"F4", "a body of 8 MiB is read", check_F4, NEED_INITIALIZE},
	{"F4", "a header part of 1,024 bytes is read", check_F4_header, NEED_INITIALIZE},
	{"F5", "a broken frame ends the driver with a reason", check_F5, NEED_INITIALIZE},
	{"F6", "a frame byte by byte", check_F6, NEED_INITIALIZE},
	{"F6", "several frames at once", check_F6_several, NEED_INITIALIZE},
};
const size_t n_wire_rules = ARRAY_SIZE(wire_rules);
