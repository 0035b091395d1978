/*
 * What a driver's function may do while it serves a request. Each of these looks at the input, too:
 * for a cancel, for the answer to a checkpoint, for the end.
 */
#include "sdk.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void take_cancel(struct md_request *rq, const struct rpc_msg *msg)
{
	if (streq(msg->method, "$/cancelRequest") &&
		json_int_or(json_get(msg->params, "id"), 0) == rq->id)
		rq->cancelled = true;
}

/* One request may wait: a host that sends the next one early. More is an error (P5). */
static void take_request(struct md_request *rq, struct rpc_msg *msg)
{
	_cleanup_err_ struct err err = ERR_INIT;

	if (!rq->conn->queued.method) {
		rq->conn->queued = *msg;
		*msg = RPC_MSG_INIT;
		return;
	}
	err_set(&err, ERR_PROTOCOL, "a driver serves one request at a time (P5)");
	sdk_conn_send_error(rq->conn, msg->id, RPC_INVALID_REQUEST, &err);
}

static void take_answer(struct md_request *rq, struct rpc_msg *msg)
{
	if (!rq->awaited || msg->id != rq->awaited) {
		fprintf(stderr, "ignored an answer to a request that was not made (R7)\n");
		return;
	}
	rq->awaited = 0;
	if (msg->kind == RPC_ERROR)
		err_move(&rq->refusal, &msg->error);
}

/* Takes one message. 1: there was one. 0: none in time. -1: the host is gone. */
static int pump(struct md_request *rq, int64_t timeout_ms)
{
	_cleanup_rpc_ struct rpc_msg msg = RPC_MSG_INIT;
	int r = sdk_conn_receive(rq->conn, timeout_ms, &msg);

	if (r < 0)
		rq->cancelled = true;
	if (r <= 0)
		return r;
	if (msg.kind == RPC_NOTIFICATION)
		take_cancel(rq, &msg);
	else if (msg.kind == RPC_REQUEST)
		take_request(rq, &msg);
	else
		take_answer(rq, &msg);
	return 1;
}

static int err_cancelled(const struct md_request *rq, struct err *err)
{
	return err_set(err, ERR_CANCELED, "%s: %s", rq->method,
		rq->conn->gone ? "the program that asked for it is gone" : "cancelled");
}

bool md_cancelled(struct md_request *rq)
{
	while (pump(rq, 0) > 0)
		;
	return rq->cancelled;
}

int md_sleep(struct md_request *rq, uint32_t ms, struct err *err)
{
	int64_t end = sdk_now_ms() + ms;

	while (!md_cancelled(rq)) {
		int64_t left = end - sdk_now_ms();

		if (left <= 0)
			return 0;
		pump(rq, left);
	}
	return err_cancelled(rq, err);
}

static int send_checkpoint(struct md_request *rq, const struct json *state, struct err *err)
{
	_cleanup_json_ struct json *params = json_object();
	_cleanup_buf_ struct buf body = BUF_INIT;

	json_set(params, "request", json_int(rq->id));
	json_set(params, "state", json_copy(state));
	rq->awaited = ++rq->conn->last_id;
	rpc_write_request(&body, rq->awaited, "checkpoint", params);
	return sdk_conn_send(rq->conn, &body, err);
}

static int copy_refusal(const struct md_request *rq, struct err *err)
{
	err_set(err, rq->refusal.code, "checkpoint: %s", err_msg(&rq->refusal));
	err->retryable = rq->refusal.retryable;
	return -1;
}

int md_checkpoint(struct md_request *rq, const struct json *state, struct err *err)
{
	if (!rq->checkpoints)
		return err_set(err, ERR_INTERNAL,
			"%s: a checkpoint is not allowed there (C1): a defect of the driver",
			rq->method);
	if (rq->refusal.code)
		return copy_refusal(rq, err);
	if (send_checkpoint(rq, state, err) < 0) {
		rq->awaited = 0;
		return -1;
	}
	while (rq->awaited && pump(rq, SDK_WAIT_FOREVER) >= 0)
		;
	if (rq->refusal.code)
		return copy_refusal(rq, err);
	return rq->cancelled ? err_cancelled(rq, err) : 0;
}

static void notify(struct md_request *rq, const char *method, struct json *params)
{
	_cleanup_buf_ struct buf body = BUF_INIT;
	_cleanup_err_ struct err err = ERR_INIT;

	rpc_write_notification(&body, method, params);
	if (sdk_conn_send(rq->conn, &body, &err) < 0)
		fprintf(stderr, "%s: %s\n", method, err_msg(&err));
}

static struct json *message(const char *fmt, va_list ap) __attribute__((format(printf, 1, 0)));
static struct json *message(const char *fmt, va_list ap)
{
	_cleanup_free_ char *text = xvasprintf(fmt, ap);

	return json_stringn(text, strnlen(text, SDK_MESSAGE_MAX));
}

static void progress(struct md_request *rq, int64_t current, int64_t total, struct json *text)
{
	_cleanup_json_ struct json *params = json_object();

	json_set(params, "request", json_int(rq->id));
	json_set(params, "message", text);
	if (total > 0) {
		json_set(params, "current", json_int(current));
		json_set(params, "total", json_int(total));
	}
	notify(rq, "progress", params);
}

void md_progress(struct md_request *rq, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	progress(rq, 0, 0, message(fmt, ap));
	va_end(ap);
}

void md_progress_of(struct md_request *rq, int64_t current, int64_t total, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	progress(rq, current, total, message(fmt, ap));
	va_end(ap);
}

void md_log(struct md_request *rq, enum log_level level, const char *fmt, ...)
{
	_cleanup_json_ struct json *params = json_object();
	va_list ap;

	if (level == LOG_LEVEL_DEBUG && !log_debug_enabled())
		return;
	json_set_str(params, "level", log_level_name(level));
	va_start(ap, fmt);
	json_set(params, "message", message(fmt, ap));
	va_end(ap);
	notify(rq, "log", params);
}
