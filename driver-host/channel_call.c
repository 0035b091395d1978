#include "channel_internal.h"

#include "log.h"
#include "mem.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Carries out what has arrived meanwhile, on the caller's coroutine. The observer's checkpoint may
 * suspend; it is short and local, and a cancel shall not come between a resource and its record. */
static void serve_checkpoint(
	struct co *co, struct channel *ch, struct call *call, const struct driver_observer *obs)
{
	_cleanup_json_ struct json *state = take(call->checkpoint);
	_cleanup_err_ struct err err = ERR_INIT;
	int64_t id = call->checkpoint_id;
	int r;

	co_mask(co);
	if (obs && obs->checkpoint)
		r = obs->checkpoint(co, obs->userdata, state, &err);
	else
		r = err_set(&err, ERR_NOT_SUPPORTED, "no checkpoints during %s (C1)", call->method);
	co_unmask(co);
	call->checkpoint_id = 0;
	if (!ch->ended)
		channel_answer(ch, id, RPC_DRIVER_ERROR, r < 0 ? &err : NULL);
}

static void deliver(
	struct co *co, struct channel *ch, struct call *call, const struct driver_observer *obs)
{
	while (call->n_progress > 0 || call->checkpoint) {
		struct progress p = call->progress[call->first_progress];

		if (call->n_progress == 0) {
			serve_checkpoint(co, ch, call, obs);
			continue;
		}
		call->first_progress = (call->first_progress + 1) % CHANNEL_PROGRESS_MAX;
		call->n_progress--;
		if (obs && obs->progress)
			obs->progress(obs->userdata, p.message, p.current, p.total);
		free(p.message);
	}
}

static void send_request(struct channel *ch, const struct call *call, const struct buf *params)
{
	_cleanup_buf_ struct buf body = BUF_INIT;

	buf_addf(&body,
		"{\"jsonrpc\":\"2.0\",\"id\":%" PRId64 ",\"method\":\"%s\",\"params\":", call->id,
		call->method);
	buf_add(&body, params->data, params->len);
	buf_addc(&body, '}');
	channel_send(ch, &body);
}

/* X1. initialize knows no cancellation: a driver that is stuck there is ended at once. */
static uint64_t give_up(struct channel *ch, const struct call *call)
{
	_cleanup_json_ struct json *params = json_object();
	_cleanup_buf_ struct buf body = BUF_INIT;

	if (streq(call->method, "initialize"))
		return 0;
	json_set(params, "id", json_int(call->id));
	rpc_write_notification(&body, "$/cancelRequest", params);
	channel_send(ch, &body);
	return ch->graces.cancel_ms;
}

/* Until there is an answer or no process. 0, or why we did not want to wait any longer. */
static int serve(
	struct co *co, struct channel *ch, struct call *call, const struct driver_observer *obs)
{
	uint64_t until = UINT64_MAX;
	int gave_up = 0;

	for (;;) {
		uint64_t now = loop_now(ch->loop);

		deliver(co, ch, call, obs);
		if (call->answered || call->over)
			break;
		if (gave_up == 0) {
			gave_up = co_wait(co);
			if (gave_up == 0)
				continue;
			until = loop_now(ch->loop) + give_up(ch, call);
			co_mask(co);
		} else if (until == UINT64_MAX) {
			co_wait(co);
		} else if (co_wait_ms(co, until > now ? until - now : 0) == -ETIMEDOUT) {
			proc_terminate(ch->proc);
			until = UINT64_MAX;
		}
	}
	if (gave_up)
		co_unmask(co);
	return gave_up;
}

static int add_last_words(const struct channel *ch, struct err *err)
{
	const char *words = proc_last_words(ch->proc);
	_cleanup_free_ char *text = NULL;

	if (!*words)
		return -1;
	text = xstrdup(err_msg(err));
	return err_set(err, err->code, "%s; its last words: %s", text, words);
}

static int no_answer(const struct channel *ch, const struct call *call, struct err *err)
{
	_cleanup_buf_ struct buf what = BUF_INIT;

	if (ch->fault.code != ERR_NONE) {
		err_set(err, ERR_PROTOCOL, "driver \"%s\" broke the protocol during %s: %s",
			ch->name, call->method, err_msg(&ch->fault));
		return add_last_words(ch, err);
	}
	proc_describe_end(ch->proc, &what);
	err_set(err, ERR_CRASHED, "driver \"%s\" %s during %s%s", ch->name, buf_str(&what),
		call->method, frame_decoder_mid_frame(&ch->in) ? ", in the middle of a frame" : "");
	return add_last_words(ch, err);
}

static int gave_up_error(
	const struct channel *ch, const struct call *call, int reason, struct err *err)
{
	bool may_exist = call->error.may_exist;

	if (reason == -ECANCELED)
		err_set(err, ERR_CANCELED, "%s cancelled", call->method);
	else
		err_set(err, ERR_TIMEOUT, "driver \"%s\" did not answer %s in time%s", ch->name,
			call->method, call->answered ? "" : " and was ended");
	err->may_exist = may_exist;
	if (call->answered && call->error.code != ERR_CANCELED) {
		_cleanup_free_ char *text = xstrdup(err_msg(err));

		err_set(err, err->code, "%s: %s", text, err_msg(&call->error));
		err->may_exist = may_exist;
	}
	return call->answered ? -1 : add_last_words(ch, err);
}

static void call_finish(struct call *call)
{
	for (; call->n_progress > 0; call->n_progress--) {
		free(call->progress[call->first_progress].message);
		call->first_progress = (call->first_progress + 1) % CHANNEL_PROGRESS_MAX;
	}
	json_free(call->checkpoint);
	json_free(call->result);
	err_finish(&call->error);
}

int channel_call(struct co *co, struct channel *ch, const char *method, const struct buf *params,
	const struct driver_observer *obs, struct json **ret_result, struct err *err)
{
	struct call call = {.co = co, .method = method, .id = ch->next_id};
	int reason, r = 0;

	if (params->len > FRAME_MAX_BODY - FRAME_MAX_HEADER)
		return err_set(err, ERR_USER,
			"driver \"%s\": the request %s of %zu bytes is too large", ch->name, method,
			params->len);
	log_debug("driver \"%s\"[%d] is asked: %s", ch->name, proc_pid(ch->proc), method);
	ch->next_id++;
	ch->method = method;
	ch->call = &call;
	call.machine = obs ? obs->machine : NULL;
	proc_about(ch->proc, call.machine);
	call.over = ch->ended;
	send_request(ch, &call, params);
	reason = serve(co, ch, &call, obs);
	ch->call = NULL;
	if (call.result)
		*ret_result = take(call.result);
	else if (reason < 0)
		r = gave_up_error(ch, &call, reason, err);
	else if (call.answered)
		r = err_move(err, &call.error);
	else
		r = no_answer(ch, &call, err);
	/* Nobody knows how far it came. */
	if (r < 0 && !call.answered && streq(method, "create"))
		err->may_exist = true;
	call_finish(&call);
	return r;
}
