/* JSON-RPC messages: PROTOCOL.md sections 4 and 5. Bodies, without their frame. */
#pragma once

#include "err.h"
#include "json.h"

#include <stdbool.h>
#include <stdint.h>

#define RPC_PARSE_ERROR (-32700)
#define RPC_INVALID_REQUEST (-32600)
#define RPC_METHOD_NOT_FOUND (-32601)
#define RPC_INVALID_PARAMS (-32602)
#define RPC_NOT_INITIALIZED (-32002)
#define RPC_DRIVER_ERROR (-32000)

#define RPC_MAX_ID ((int64_t)9007199254740991)

enum rpc_kind { RPC_REQUEST, RPC_NOTIFICATION, RPC_RESULT, RPC_ERROR };

struct rpc_msg {
	enum rpc_kind kind;
	int64_t id;          /* 0: none or null */
	char *method;        /* REQUEST, NOTIFICATION */
	struct json *params; /* REQUEST, NOTIFICATION: an object, {} if it was left out */
	struct json *result; /* RESULT: an object */
	int error_code;      /* ERROR: the number on the wire */
	struct err error;    /* ERROR: message and data as an err */
};

#define RPC_MSG_INIT ((struct rpc_msg){0})

/*
 * Parses a body. On failure ret_code is what a receiver answers (RPC_PARSE_ERROR,
 * RPC_INVALID_REQUEST, or RPC_INVALID_PARAMS where params is no object) and ret_id the message's
 * id, 0 if it has none; err is ERR_PROTOCOL.
 */
int rpc_parse(const char *body, size_t len, struct rpc_msg *ret, int *ret_code, int64_t *ret_id,
	struct err *err);
void rpc_msg_finish(struct rpc_msg *m);
#define _cleanup_rpc_ __attribute__((cleanup(rpc_msg_finish)))

/* Writers add a whole body to out. params, result: borrowed; NULL leaves params out / writes {}. */
void rpc_write_request(struct buf *out, int64_t id, const char *method, const struct json *params);
void rpc_write_notification(struct buf *out, const char *method, const struct json *params);
void rpc_write_result(struct buf *out, int64_t id, const struct json *result);
void rpc_write_error(
	struct buf *out, int64_t id, int code, const struct err *error); /* id 0: null */

/* The error object {code, message, data} of section 5, for reports; and back. data is only in
 * errors of the driver's own. An unknown method without a kind reads as ERR_NOT_SUPPORTED. */
struct json *rpc_error_to_json(int code, const struct err *error);
int rpc_error_from_json(
	const struct json *j, struct err *ret); /* always sets ret; returns its wire code */
