/*
 * Inside the SDK. conn.c moves messages, main.c answers initialize, serve.c the methods, request.c
 * is what a driver's functions may call while they serve, report.c writes results.
 */
#pragma once

#include "buf.h"
#include "frame.h"
#include "machine-driver.h"
#include "rpc.h"

#define SDK_PROTOCOL_VERSION 1
#define SDK_READ_SIZE 65536u
#define SDK_WAIT_FOREVER (-1)

#define SDK_MAX_WORKERS_DEFAULT 8u
#define SDK_STATES_BATCH_DEFAULT 200u
#define SDK_RETRY_AFTER_MIN_MS 100u
#define SDK_RETRY_AFTER_MAX_MS 60000u
#define SDK_MESSAGE_MAX 4096u /* bytes of a log or progress message */

struct sdk_conn {
	int in, out;
	struct frame_decoder decoder;
	bool gone;  /* nothing more will be read: end of input, or a broken frame */
	int status; /* the exit status then */
	bool initialized;
	int64_t last_id;       /* of our own requests */
	struct rpc_msg queued; /* a request that came too early; no method: none */
	char *chunk;           /* SDK_READ_SIZE bytes, most of which stay untouched */
};

struct md_request {
	struct sdk_conn *conn;
	const struct md_driver *driver;
	const char *method;
	int64_t id;
	bool checkpoints; /* C1: this method may send them */
	bool cancelled;
	int64_t awaited;    /* the id of a checkpoint without answer yet; 0: none */
	struct err refusal; /* the host's error answer to a checkpoint (C3) */
	int error_code;     /* on the wire, if the request fails */
};

/* Takes the protocol's descriptors away from stdin and stdout, and starts the watch for the end of
 * input. */
int sdk_conn_open(struct sdk_conn **ret, struct err *err);
void sdk_conn_free(struct sdk_conn *c);
/*
 * The next message. 1: *ret is set, the caller finishes it. 0: none came in time. -1: c->gone.
 * What is no message is answered here.
 */
int sdk_conn_receive(struct sdk_conn *c, int64_t timeout_ms, struct rpc_msg *ret);
/* Sends a body. -1 only when the body is too large. A host that is gone shows
 * at the next receive. */
int sdk_conn_send(struct sdk_conn *c, const struct buf *body, struct err *err);
void sdk_conn_send_error(struct sdk_conn *c, int64_t id, int code, const struct err *error);
/* Sends a result; if it is too large, an error instead. */
void sdk_conn_send_result(struct sdk_conn *c, int64_t id, const struct json *result);
int64_t sdk_now_ms(void);                           /* monotonic */
bool sdk_watch_cancelled(const struct md_watch *w); /* NULL: no */
/* Tells now and then how far long work is; what is over within a second is not told at all. */
struct sdk_meter {
	const struct md_watch *w;
	const char *message; /* borrowed */
	int64_t began, told; /* 0: not yet */
};
void sdk_meter_tell(struct sdk_meter *m, int64_t current, int64_t total);
void sdk_watch_tell(const struct md_watch *w, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Keeps a line of an answer's head, within the limits of md-http.h. */
void sdk_http_header(struct md_http_answer *a, const char *data, size_t len);

struct md_api;
struct md_api_call;
/* Shared answers, remember.c. True: *ret is one. */
bool sdk_remembers(const struct md_api *a, const struct md_api_call *c, struct md_http_answer *ret);
void sdk_remember(
	const struct md_api *a, const struct md_api_call *c, const struct md_http_answer *answer);

/* Answers one request after initialize. */
void sdk_serve(struct sdk_conn *c, const struct md_driver *driver, const struct rpc_msg *request);

/* Results. They take what is in *out and *report, and leave them zeroed. */
int sdk_outcome_to_json(
	struct md_outcome *out, const struct json *state, struct json **ret, struct err *err);
struct json *sdk_report_to_json(struct md_report *report);
void sdk_outcome_finish(struct md_outcome *out);
void sdk_report_finish(struct md_report *report);
