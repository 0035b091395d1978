/*
 * What arrives from a driver. Everything here runs in callbacks of the loop and only takes notes:
 * answers, checkpoints and progress are handed to the coroutine that made the call.
 *
 * A driver that floods (notifications, requests of its own) costs a bounded share of the host:
 * beyond CHANNEL_NOTES_PER_SECOND what it says is dropped, and its pipe is read in short turns.
 */
#include "channel_internal.h"

#include "log.h"
#include "mem.h"
#include "trace.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define GRACE_MAX_MS 600000

struct graces graces_default(void)
{
	struct graces g = {CHANNEL_CANCEL_MS, {CHANNEL_EOF_MS, CHANNEL_TERM_MS}};
	const char *text = getenv("MACHINE_TEST_GRACE_MS");
	long ms = text ? strtol(text, NULL, 10) : 0;

	if (ms > 0 && ms <= GRACE_MAX_MS)
		g = (struct graces){(unsigned)ms, {(unsigned)ms, (unsigned)ms}};
	return g;
}

struct graces graces_hasty(void)
{
	return (struct graces){0, {CHANNEL_HASTY_EOF_MS, CHANNEL_HASTY_TERM_MS}};
}

void channel_fault(struct channel *ch, const char *fmt, ...)
{
	_cleanup_free_ char *what = NULL;
	va_list ap;

	if (ch->fault.code != ERR_NONE || ch->ended)
		return;
	va_start(ap, fmt);
	what = xvasprintf(fmt, ap);
	va_end(ap);
	err_set(&ch->fault, ERR_PROTOCOL, "%s", what);
	if (ch->trace)
		trace_note(ch->trace, proc_pid(ch->proc), what);
	if ((!ch->call || ch->call->answered) && !ch->ending)
		log_warn("driver \"%s\" broke the protocol after %s: %s", ch->name,
			ch->method ? ch->method : "its start", what);
	proc_ignore_output(ch->proc);
	proc_terminate(ch->proc);
}

void channel_send(struct channel *ch, const struct buf *body)
{
	_cleanup_err_ struct err err = ERR_INIT;
	_cleanup_buf_ struct buf frame = BUF_INIT;

	if (ch->trace)
		trace_frame(ch->trace, proc_pid(ch->proc), '>', body->data, body->len);
	if (frame_encode(&frame, buf_str(body), body->len, &err) < 0)
		channel_fault(ch, "%s", err_msg(&err));
	else if (proc_write(ch->proc, &frame) < 0)
		channel_fault(ch, "it does not read its standard input");
}

void channel_answer(struct channel *ch, int64_t id, int code, const struct err *error)
{
	_cleanup_buf_ struct buf body = BUF_INIT;

	if (error)
		rpc_write_error(&body, id, code, error);
	else
		rpc_write_result(&body, id, NULL);
	channel_send(ch, &body);
}

static void refuse(struct channel *ch, int64_t id, int code, const char *why)
{
	_cleanup_err_ struct err error = ERR_INIT;

	err_set(&error, ERR_INTERNAL, "%s", why);
	channel_answer(ch, id, code, &error);
}

/* Is there room for one more in this second? */
static bool within_rate(struct channel *ch)
{
	uint64_t second = uv_now(loop_uv(ch->loop)) / 1000;

	if (second != ch->window) {
		ch->window = second;
		ch->notes = 0;
	}
	if (++ch->notes <= CHANNEL_NOTES_PER_SECOND)
		return true;
	if (!ch->flooded)
		log_warn("driver \"%s\" sends too much during %s: some of its messages are dropped",
			ch->name, ch->method ? ch->method : "its start");
	ch->flooded = true;
	return false;
}

static bool is_for_call(const struct channel *ch, const struct json *params)
{
	return ch->call && json_int_or(json_get(params, "request"), 0) == ch->call->id;
}

static void on_checkpoint(struct channel *ch, struct rpc_msg *msg)
{
	const struct json *state = json_get(msg->params, "state");
	_cleanup_err_ struct err err = ERR_INIT;

	if (!is_for_call(ch, msg->params)) {
		refuse(ch, msg->id, RPC_INVALID_PARAMS,
			"checkpoint: not for the request being served (C1)");
	} else if (driver_state_check(state, &err) < 0) {
		refuse(ch, msg->id, RPC_INVALID_PARAMS, err_msg(&err));
	} else if (ch->call->checkpoint_id) {
		refuse(ch, msg->id, RPC_INVALID_REQUEST, "checkpoint: one at a time (C4)");
	} else if (++ch->call->checkpoints > CHANNEL_CHECKPOINTS_MAX) {
		channel_fault(ch, "more than %u checkpoints", CHANNEL_CHECKPOINTS_MAX);
	} else {
		ch->call->checkpoint_id = msg->id;
		ch->call->checkpoint = json_copy(state);
		co_wake(ch->call->co);
	}
}

static void on_request(struct channel *ch, struct rpc_msg *msg)
{
	/* Checkpoints are paced by their answers, and none may be lost. */
	if (streq(msg->method, "checkpoint"))
		on_checkpoint(ch, msg);
	else if (within_rate(ch))
		refuse(ch, msg->id, RPC_METHOD_NOT_FOUND, "the host has no such method");
}

static void on_progress(struct channel *ch, const struct json *params)
{
	const char *message = json_str(json_get(params, "message"), NULL);
	struct call *call = ch->call;
	struct progress *p;

	if (!message || !is_for_call(ch, params))
		return;
	if (call->n_progress == CHANNEL_PROGRESS_MAX) {
		free(call->progress[call->first_progress].message);
		call->first_progress = (call->first_progress + 1) % CHANNEL_PROGRESS_MAX;
		call->n_progress--;
	}
	p = &call->progress[(call->first_progress + call->n_progress++) % CHANNEL_PROGRESS_MAX];
	p->message = xstrndup(message, CHANNEL_MESSAGE_MAX);
	p->current = json_int_or(json_get(params, "current"), -1);
	p->total = json_int_or(json_get(params, "total"), -1);
	co_wake(call->co);
}

static void on_log(struct channel *ch, const struct json *params)
{
	enum log_level level = log_level_parse(json_str(json_get(params, "level"), "info"));
	const char *message = json_str(json_get(params, "message"), "");

	const char *machine = ch->call ? ch->call->machine : NULL;

	if (level == LOG_LEVEL_DEBUG && !log_debug_enabled())
		return;
	if (machine)
		log_line(level, "(%s) %s%.*s", machine, level == LOG_LEVEL_DEBUG ? "DBG | " : "",
			(int)CHANNEL_MESSAGE_MAX, message);
	else
		log_line(level, "driver \"%s\": %.*s", ch->name, (int)CHANNEL_MESSAGE_MAX, message);
}

static void on_notification(struct channel *ch, struct rpc_msg *msg)
{
	if (!within_rate(ch))
		return;
	if (streq(msg->method, "progress"))
		on_progress(ch, msg->params);
	else if (streq(msg->method, "log"))
		on_log(ch, msg->params);
}

static void on_answer(struct channel *ch, struct rpc_msg *msg)
{
	struct call *call = ch->call;

	if (msg->id == 0) {
		channel_fault(ch, "it did not understand the request: %s", err_msg(&msg->error));
	} else if (msg->id >= ch->next_id) {
		channel_fault(
			ch, "an answer to request %" PRId64 ", which was never sent (R7)", msg->id);
	} else if (!call || call->id != msg->id || call->answered) {
		channel_fault(ch, "a second answer to request %" PRId64 " (R7)", msg->id);
	} else {
		call->answered = true;
		if (msg->kind == RPC_RESULT)
			call->result = take(msg->result);
		else
			err_move(&call->error, &msg->error);
		co_wake(call->co);
	}
}

static void on_frame(struct channel *ch, const char *body, size_t len)
{
	_cleanup_err_ struct err err = ERR_INIT;
	_cleanup_rpc_ struct rpc_msg msg = RPC_MSG_INIT;
	int64_t id;
	int code;

	if (ch->trace)
		trace_frame(ch->trace, proc_pid(ch->proc), '<', body, len);
	if (rpc_parse(body, len, &msg, &code, &id, &err) < 0) {
		channel_fault(ch, "%s", err_msg(&err));
		return;
	}
	switch (msg.kind) {
	case RPC_REQUEST:
		on_request(ch, &msg);
		break;
	case RPC_NOTIFICATION:
		on_notification(ch, &msg);
		break;
	case RPC_RESULT:
	case RPC_ERROR:
		on_answer(ch, &msg);
		break;
	}
}

static void on_output(void *ud, const char *data, size_t len)
{
	_cleanup_err_ struct err err = ERR_INIT;
	struct channel *ch = ud;
	const char *body;
	size_t body_len;
	int r = 0;

	frame_decoder_feed(&ch->in, data, len);
	while (ch->fault.code == ERR_NONE &&
		(r = frame_decoder_next(&ch->in, &body, &body_len, &err)) > 0)
		on_frame(ch, body, body_len);
	if (r < 0)
		channel_fault(ch, "%s", err_msg(&err));
	if (ch->notes > CHANNEL_NOTES_PER_SECOND)
		proc_pause(ch->proc);
}

static void on_closed(void *ud, const char *which)
{
	channel_fault(ud, "it closed its %s and stayed alive", which);
}

static void on_ended(void *ud)
{
	struct channel *ch = ud;

	ch->ended = true;
	if (!ch->call && !ch->ending && ch->fault.code == ERR_NONE)
		log_debug("driver \"%s\"[%d] ended while idle", ch->name, proc_pid(ch->proc));
	if (ch->call) {
		ch->call->over = true;
		co_wake(ch->call->co);
	}
	ch->on_end(ch->ud);
}

int channel_start(
	struct loop *loop, const struct channel_options *opt, struct channel **ret, struct err *err)
{
	static const struct proc_events events = {on_output, on_closed, on_ended};
	struct proc_options po = {opt->name, opt->file, opt->env, opt->graces.proc};
	struct channel *ch = xcalloc(1, sizeof(*ch));

	ch->loop = loop;
	ch->name = xstrdup(opt->name);
	ch->trace = opt->trace;
	ch->graces = opt->graces;
	ch->on_end = opt->ended;
	ch->ud = opt->ud;
	ch->next_id = 1;
	if (proc_start(loop, &po, &events, ch, &ch->proc, err) < 0) {
		channel_free(ch);
		return err_wrap(err, "driver \"%s\"", opt->name);
	}
	log_debug("driver \"%s\"[%d] runs %s", ch->name, proc_pid(ch->proc), opt->file);
	*ret = ch;
	return 0;
}

bool channel_usable(const struct channel *ch)
{
	return !ch->ended && !ch->ending && !ch->call && ch->fault.code == ERR_NONE;
}

bool channel_ended(const struct channel *ch)
{
	return ch->ended;
}

void channel_end(struct channel *ch)
{
	ch->ending = true;
	if (!ch->ended)
		proc_end(ch->proc);
}

void channel_free(struct channel *ch)
{
	if (!ch)
		return;
	proc_free(ch->proc);
	frame_decoder_finish(&ch->in);
	err_finish(&ch->fault);
	free(ch->name);
	free(ch);
}
