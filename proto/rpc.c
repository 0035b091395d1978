#include "rpc.h"

#include "buf.h"
#include "mem.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define MAX_RETRY_AFTER_MS 600000

/* 0: none, or null. false: something that is no id. */
static bool read_id(const struct json *msg, int64_t *ret)
{
	const struct json *id = json_get(msg, "id");

	*ret = 0;
	if (!id || json_is(id, JSON_NULL))
		return true;
	return json_to_int(id, ret) && *ret >= 1 && *ret <= RPC_MAX_ID;
}

static struct json *object_member(const struct json *msg, const char *key)
{
	struct json *value = json_get(msg, key);

	return json_is(value, JSON_OBJECT) ? value : NULL;
}

/* Returns what is wrong with the message, or NULL. */
static const char *read_call(const struct json *msg, int64_t id, struct rpc_msg *ret, int *ret_code)
{
	const struct json *params = json_get(msg, "params");
	const char *method = json_str(json_get(msg, "method"), NULL);

	if (!method)
		return "\"method\" is not a string (R3)";
	if (json_get(msg, "result") || json_get(msg, "error"))
		return "a method together with a result or an error (R4)";
	if (json_get(msg, "id") && id == 0)
		return "a request with id null (R2)";
	if (params && !json_is(params, JSON_OBJECT)) {
		*ret_code = RPC_INVALID_PARAMS;
		return "\"params\" is not an object (R3)";
	}
	ret->kind = id ? RPC_REQUEST : RPC_NOTIFICATION;
	ret->id = id;
	ret->method = xstrdup(method);
	ret->params = params ? json_copy(params) : json_object();
	return NULL;
}

static const char *read_answer(const struct json *msg, int64_t id, struct rpc_msg *ret)
{
	const struct json *result = json_get(msg, "result");
	const struct json *error = json_get(msg, "error");

	if (!result && !error)
		return "neither request, notification nor response (R6)";
	if (result && error)
		return "a response with both result and error (R4)";
	if (result && !json_is(result, JSON_OBJECT))
		return "\"result\" is not an object (R4)";
	if (error && !json_is(error, JSON_OBJECT))
		return "\"error\" is not an object (R4)";
	if (id == 0 && (result || !json_get(msg, "id")))
		return "a response without id (R4)";
	ret->id = id;
	if (result) {
		ret->kind = RPC_RESULT;
		ret->result = json_copy(result);
	} else {
		ret->kind = RPC_ERROR;
		ret->error_code = rpc_error_from_json(error, &ret->error);
	}
	return NULL;
}

int rpc_parse(const char *body, size_t len, struct rpc_msg *ret, int *ret_code, int64_t *ret_id,
	struct err *err)
{
	_cleanup_json_ struct json *msg = NULL;
	struct rpc_msg m = RPC_MSG_INIT;
	const char *problem = NULL;
	int64_t id = 0;
	bool id_ok;

	*ret_id = 0;
	*ret_code = RPC_PARSE_ERROR;
	if (json_parse(body, len, &msg, err) < 0)
		return -1;
	*ret_code = RPC_INVALID_REQUEST;
	if (!json_is(msg, JSON_OBJECT))
		return err_set(err, ERR_PROTOCOL, "message: not an object (J1)");
	id_ok = read_id(msg, &id);
	if (!id_ok)
		id = 0;
	*ret_id = id;
	if (!streq(json_str(json_get(msg, "jsonrpc"), ""), "2.0"))
		problem = "\"jsonrpc\" is not \"2.0\" (R1)";
	else if (!id_ok)
		problem = "\"id\" is not an integer from 1 to 2^53-1 (R2)";
	else if (json_get(msg, "method"))
		problem = read_call(msg, id, &m, ret_code);
	else
		problem = read_answer(msg, id, &m);
	if (problem)
		return err_set(err, ERR_PROTOCOL, "message: %s", problem);
	*ret = m;
	return 0;
}

void rpc_msg_finish(struct rpc_msg *m)
{
	free(m->method);
	json_free(m->params);
	json_free(m->result);
	err_finish(&m->error);
	*m = RPC_MSG_INIT;
}

static void write_head(struct buf *out, int64_t id)
{
	buf_adds(out, "{\"jsonrpc\":\"2.0\"");
	if (id)
		buf_addf(out, ",\"id\":%" PRId64, id);
}

static void write_call(struct buf *out, int64_t id, const char *method, const struct json *params)
{
	_cleanup_json_ struct json *name = json_string(method);

	write_head(out, id);
	buf_adds(out, ",\"method\":");
	json_write(name, JSON_COMPACT, out);
	if (params) {
		buf_adds(out, ",\"params\":");
		json_write(params, JSON_COMPACT, out);
	}
	buf_addc(out, '}');
}

void rpc_write_request(struct buf *out, int64_t id, const char *method, const struct json *params)
{
	write_call(out, id, method, params);
}

void rpc_write_notification(struct buf *out, const char *method, const struct json *params)
{
	write_call(out, 0, method, params);
}

void rpc_write_result(struct buf *out, int64_t id, const struct json *result)
{
	write_head(out, id);
	buf_adds(out, ",\"result\":");
	if (result)
		json_write(result, JSON_COMPACT, out);
	else
		buf_adds(out, "{}");
	buf_addc(out, '}');
}

void rpc_write_error(struct buf *out, int64_t id, int code, const struct err *error)
{
	_cleanup_json_ struct json *j = rpc_error_to_json(code, error);

	write_head(out, id);
	if (!id)
		buf_adds(out, ",\"id\":null");
	buf_adds(out, ",\"error\":");
	json_write(j, JSON_COMPACT, out);
	buf_addc(out, '}');
}

/* Errors of JSON-RPC itself say all with their code; a driver's own carry data. */
struct json *rpc_error_to_json(int code, const struct err *error)
{
	struct json *j = json_object();
	struct json *data;

	json_set(j, "code", json_int(code));
	json_set_str(j, "message", err_msg(error));
	if (code != RPC_DRIVER_ERROR)
		return j;
	data = json_object();
	json_set_str(data, "kind", err_kind_name(error->code));
	json_set(data, "retryable", json_bool(error->retryable));
	json_set(data, "retryAfterMs",
		json_int(MIN(error->retry_after_ms, (uint32_t)MAX_RETRY_AFTER_MS)));
	json_set(data, "mayExist", json_bool(error->may_exist));
	json_set(j, "data", data);
	return j;
}

int rpc_error_from_json(const struct json *j, struct err *ret)
{
	const struct json *data = object_member(j, "data");
	const char *kind = json_str(json_get(data, "kind"), NULL);
	const char *message = json_str(json_get(j, "message"), NULL);
	int64_t after = json_int_or(json_get(data, "retryAfterMs"), 0);
	int64_t code = json_int_or(json_get(j, "code"), RPC_DRIVER_ERROR);

	if (code < INT32_MIN || code > INT32_MAX)
		code = RPC_DRIVER_ERROR;
	err_set(ret, err_kind_parse(kind), "%s",
		message && *message ? message : "an error without a message");
	if (!kind && code == RPC_METHOD_NOT_FOUND)
		ret->code = ERR_NOT_SUPPORTED;
	ret->retryable = json_bool_or(json_get(data, "retryable"), false);
	ret->may_exist = json_bool_or(json_get(data, "mayExist"), false);
	ret->retry_after_ms = (uint32_t)MAX(MIN(after, (int64_t)MAX_RETRY_AFTER_MS), (int64_t)0);
	return (int)code;
}
