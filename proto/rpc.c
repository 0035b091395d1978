#include "rpc.h"

#include "buf.h"
#include "mem.h"

#include <string.h>

#define RETRY_AFTER_MAX_MS 600000

void rpc_msg_finish(struct rpc_msg *m)
{
	free(m->method);
	json_free(m->params);
	json_free(m->result);
	err_finish(&m->error);
	*m = RPC_MSG_INIT;
}

static bool read_id(const struct json *body, int64_t *ret, bool *ret_present)
{
	const struct json *id = json_get(body, "id");

	*ret = 0;
	*ret_present = id && id->type != JSON_NULL;
	if (!id || id->type == JSON_NULL)
		return true;
	return json_to_int(id, ret) && *ret >= 1 && *ret <= RPC_MAX_ID;
}

static const char *classify(const struct json *body, bool has_id, struct rpc_msg *m)
{
	const struct json *method = json_get(body, "method"), *params = json_get(body, "params");
	const struct json *result = json_get(body, "result"), *error = json_get(body, "error");

	if (!streq(json_str(json_get(body, "jsonrpc"), ""), "2.0"))
		return "jsonrpc is not \"2.0\" (R1)";
	if (method) {
		if (!json_is(method, JSON_STRING) || !method->n)
			return "method is not a string (R3)";
		if (result || error)
			return "a method beside a result or error (R4)";
		if (params && !json_is(params, JSON_OBJECT))
			return "params is not an object (R3)";
		m->kind = has_id ? RPC_REQUEST : RPC_NOTIFICATION;
		m->method = xstrdup(method->text);
		m->params = params ? json_copy(params) : json_object();
		return NULL;
	}
	if (!result == !error)
		return "neither request nor response (R4)";
	if (result) {
		if (!json_is(result, JSON_OBJECT))
			return "result is not an object (R4)";
		if (!has_id)
			return "a result without id (R4)";
		m->kind = RPC_RESULT;
		m->result = json_copy(result);
		return NULL;
	}
	if (!json_is(error, JSON_OBJECT))
		return "error is not an object (E)";
	m->kind = RPC_ERROR;
	m->error_code = rpc_error_from_json(error, &m->error);
	return NULL;
}

int rpc_parse(const char *text, size_t len, struct rpc_msg *ret, int *ret_code, int64_t *ret_id,
	struct err *err)
{
	_cleanup_json_ struct json *body = NULL;
	struct rpc_msg m = RPC_MSG_INIT;
	bool has_id;

	*ret_id = 0;
	*ret_code = RPC_PARSE_ERROR;
	if (json_parse(text, len, &body, err) < 0)
		return -1;
	*ret_code = RPC_INVALID_REQUEST;
	if (!json_is(body, JSON_OBJECT))
		return err_set(err, ERR_PROTOCOL, "a message that is not an object (J1)");
	if (!read_id(body, &m.id, &has_id)) {
		return err_set(err, ERR_PROTOCOL, "id is not an integer from 1 to 2^53-1 (R2)");
	}
	*ret_id = m.id;
	const char *wrong = classify(body, has_id, &m);
	if (wrong) {
		rpc_msg_finish(&m);
		return err_set(err, ERR_PROTOCOL, "%s", wrong);
	}
	*ret = m;
	return 0;
}

static void add_method(struct buf *out, const char *method, const struct json *params)
{
	_cleanup_json_ struct json *name = json_string(method);

	buf_adds(out, "\"method\":");
	json_write(name, JSON_COMPACT, out);
	if (params) {
		buf_adds(out, ",\"params\":");
		json_write(params, JSON_COMPACT, out);
	}
	buf_addc(out, '}');
}

void rpc_write_request(struct buf *out, int64_t id, const char *method, const struct json *params)
{
	buf_addf(out, "{\"jsonrpc\":\"2.0\",\"id\":%lld,", (long long)id);
	add_method(out, method, params);
}

void rpc_write_notification(struct buf *out, const char *method, const struct json *params)
{
	buf_adds(out, "{\"jsonrpc\":\"2.0\",");
	add_method(out, method, params);
}

static void add_id(struct buf *out, int64_t id)
{
	if (id)
		buf_addf(out, "{\"jsonrpc\":\"2.0\",\"id\":%lld,", (long long)id);
	else
		buf_adds(out, "{\"jsonrpc\":\"2.0\",\"id\":null,");
}

void rpc_write_result(struct buf *out, int64_t id, const struct json *result)
{
	add_id(out, id);
	buf_adds(out, "\"result\":");
	if (result)
		json_write(result, JSON_COMPACT, out);
	else
		buf_adds(out, "{}");
	buf_addc(out, '}');
}

void rpc_write_error(struct buf *out, int64_t id, int code, const struct err *error)
{
	_cleanup_json_ struct json *j = rpc_error_to_json(code, error);

	add_id(out, id);
	buf_adds(out, "\"error\":");
	json_write(j, JSON_COMPACT, out);
	buf_addc(out, '}');
}

struct json *rpc_error_to_json(int code, const struct err *error)
{
	struct json *j = json_object(), *data;

	json_set(j, "code", json_int(code));
	json_set_str(j, "message", err_msg(error));
	if (code != RPC_DRIVER_ERROR)
		return j;
	data = json_object();
	json_set_str(data, "kind", err_kind_name(error->code));
	json_set(data, "retryable", json_bool(error->retryable));
	json_set(data, "retryAfterMs", json_int(error->retry_after_ms));
	json_set(data, "mayExist", json_bool(error->may_exist));
	json_set(j, "data", data);
	return j;
}

int rpc_error_from_json(const struct json *j, struct err *ret)
{
	const struct json *data = json_get(j, "data");
	int64_t code = json_int_or(json_get(j, "code"), RPC_DRIVER_ERROR);
	int64_t after = json_int_or(json_get(data, "retryAfterMs"), 0);
	const char *message = json_str(json_get(j, "message"), "");

	err_set(ret, err_kind_parse(json_str(json_get(data, "kind"), NULL)), "%s",
		*message ? message : "an error without a message");
	ret->retryable = json_bool_or(json_get(data, "retryable"), false);
	ret->may_exist = json_bool_or(json_get(data, "mayExist"), false);
	ret->retry_after_ms = (uint32_t)MIN(MAX(after, (int64_t)0), (int64_t)RETRY_AFTER_MAX_MS);
	return code < INT32_MIN || code > INT32_MAX ? RPC_DRIVER_ERROR : (int)code;
}
