/*
 * Commands over libssh2: one channel each on the one connection. Input is fed and both output
 * streams are drained in the same loop, so that neither side can block the other.
 */
#include "ssh_native.h"

#include "mem.h"

#include <stdlib.h>
#include <string.h>

#define READ_SIZE 32768u
#define WRITE_SIZE 30000u /* one packet */
#define OPEN_RETRIES 5u
#define OPEN_PAUSE_MS 20u

struct pump {
	struct native *n;
	LIBSSH2_CHANNEL *ch;
	const char *input;
	size_t left;
	bool input_done;
	struct ssh_sink sinks[2]; /* standard output, standard error */
	char *scratch;
};

/* NULL with *ret_rc 0: the wait failed and err is set. */
static LIBSSH2_CHANNEL *try_channel(struct co *co, struct native *n, int *ret_rc, struct err *err)
{
	LIBSSH2_CHANNEL *ch;

	while (!(ch = libssh2_channel_open_session(n->session))) {
		*ret_rc = libssh2_session_last_errno(n->session);
		if (*ret_rc != LIBSSH2_ERROR_EAGAIN)
			return NULL;
		int wait_rc = native_await(co, n);
		if (wait_rc < 0) {
			*ret_rc = 0;
			native_wait_err(n, wait_rc, err);
			return NULL;
		}
	}
	return ch;
}

/* A server that allows one session at a time (MaxSessions 1) may still be busy with the end of the
 * one before. */
LIBSSH2_CHANNEL *native_open_channel(struct co *co, struct native *n, struct err *err)
{
	LIBSSH2_CHANNEL *ch;
	int rc;

	for (unsigned tries = 0; !(ch = try_channel(co, n, &rc, err)); tries++) {
		if (rc == 0)
			return NULL;
		if (rc != LIBSSH2_ERROR_CHANNEL_FAILURE || tries == OPEN_RETRIES) {
			native_err(n, rc, "open a channel", err);
			return NULL;
		}
		int wait_rc = co_sleep(co, OPEN_PAUSE_MS);
		if (wait_rc < 0) {
			native_wait_err(n, wait_rc, err);
			return NULL;
		}
	}
	return ch;
}

int native_start(
	struct co *co, struct native *n, LIBSSH2_CHANNEL *ch, const char *command, struct err *err)
{
	const char *type = command ? "exec" : "shell";
	unsigned len = command ? (unsigned)strlen(command) : 0;
	int wait_rc;
	int rc = native_do(co, n, &wait_rc,
		libssh2_channel_process_startup(ch, type, (unsigned)strlen(type), command, len));

	if (wait_rc < 0)
		return native_wait_err(n, wait_rc, err);
	return rc < 0 ? native_err(n, rc, "run a command", err) : 0;
}

static int take_signal(struct native *n, LIBSSH2_CHANNEL *ch, char **ret)
{
	char *name = NULL;
	size_t len = 0;

	if (libssh2_channel_get_exit_signal(ch, &name, &len, NULL, NULL, NULL, NULL) < 0 || !name)
		return 0;
	*ret = xstrndup(name, len);
	libssh2_free(n->session, name);
	return 1;
}

int native_finish_channel(struct co *co, struct native *n, LIBSSH2_CHANNEL *ch, int *ret_status,
	char **ret_signal, struct err *err)
{
	int wait_rc;
	int rc = native_do(co, n, &wait_rc, libssh2_channel_wait_closed(ch));

	if (wait_rc < 0)
		return native_wait_err(n, wait_rc, err);
	if (rc < 0)
		return native_err(n, rc, "wait for the command", err);
	int status = libssh2_channel_get_exit_status(ch);
	char *signal = NULL;
	if (take_signal(n, ch, &signal))
		status = -1;
	rc = native_do(co, n, &wait_rc, libssh2_channel_free(ch));
	if (wait_rc < 0 || rc < 0) {
		free(signal);
		return wait_rc < 0 ? native_wait_err(n, wait_rc, err)
				   : native_err(n, rc, "close a channel", err);
	}
	*ret_status = status;
	*ret_signal = signal;
	return 0;
}

/* Each step: 1 something moved, 0 nothing to do now, -1 error. */
static int feed(struct co *co, struct pump *p, struct err *err)
{
	int wait_rc;
	ssize_t rc;

	if (p->input_done)
		return 0;
	if (p->left > 0)
		rc = native_try(co, p->n, &wait_rc,
			libssh2_channel_write(p->ch, p->input, MIN(p->left, (size_t)WRITE_SIZE)));
	else
		rc = native_try(co, p->n, &wait_rc, libssh2_channel_send_eof(p->ch));
	if (wait_rc < 0)
		return native_wait_err(p->n, wait_rc, err);
	if (rc == LIBSSH2_ERROR_EAGAIN)
		return 0;
	if (rc == LIBSSH2_ERROR_CHANNEL_CLOSED || rc == LIBSSH2_ERROR_CHANNEL_EOF_SENT) {
		p->input_done = true; /* the command did not want it all */
		return 1;
	}
	if (rc < 0)
		return native_err(p->n, (int)rc, "send", err);
	p->input_done = p->left == 0;
	p->input += rc;
	p->left -= (size_t)rc;
	return p->input_done || rc > 0;
}

static int drain(struct co *co, struct pump *p, int stream, struct err *err)
{
	int wait_rc;
	ssize_t rc = native_try(
		co, p->n, &wait_rc, libssh2_channel_read_ex(p->ch, stream, p->scratch, READ_SIZE));

	if (wait_rc < 0)
		return native_wait_err(p->n, wait_rc, err);
	if (rc == LIBSSH2_ERROR_EAGAIN || rc == 0)
		return 0;
	if (rc < 0)
		return native_err(p->n, (int)rc, "receive", err);
	ssh_sink_add(&p->sinks[stream], p->scratch, (size_t)rc);
	return 1;
}

/* At the end of output. A command may have closed it and still want its input; one that has ended
 * does not. 1: finished. */
static int finished(struct co *co, struct pump *p, struct err *err)
{
	int wait_rc;

	if (p->input_done)
		return 1;
	int rc = native_try(co, p->n, &wait_rc, libssh2_channel_wait_closed(p->ch));
	if (wait_rc < 0)
		return native_wait_err(p->n, wait_rc, err);
	if (rc == LIBSSH2_ERROR_EAGAIN)
		return 0;
	return rc < 0 ? native_err(p->n, rc, "send", err) : 1;
}

static int pump(struct co *co, struct pump *p, struct err *err)
{
	for (;;) {
		int fed = feed(co, p, err), out = 0, errout = 0;

		if (fed < 0 || (out = drain(co, p, 0, err)) < 0 ||
			(errout = drain(co, p, SSH_EXTENDED_DATA_STDERR, err)) < 0)
			return -1;
		if (fed || out || errout) {
			/* A stream without end must not keep others from their turn. */
			int rc = co_yield (co);
			if (rc < 0)
				return native_wait_err(p->n, rc, err);
			continue;
		}
		int rc = libssh2_channel_eof(p->ch) ? finished(co, p, err) : 0;
		if (rc != 0)
			return rc < 0 ? -1 : 0;
		rc = native_await(co, p->n);
		if (rc < 0)
			return native_wait_err(p->n, rc, err);
	}
}

static int run(
	struct co *co, struct pump *p, const char *command, struct ssh_result *ret, struct err *err)
{
	p->ch = native_open_channel(co, p->n, err);
	if (!p->ch || native_start(co, p->n, p->ch, command, err) < 0 || pump(co, p, err) < 0)
		return -1;
	return native_finish_channel(co, p->n, p->ch, &ret->exit_status, &ret->signal, err);
}

/* After an error the channel stays as it is; the connection's end takes it along. */
static int native_exec(struct co *co, struct ssh *s, const char *command, const void *input,
	size_t n_input, struct ssh_result *ret, struct err *err)
{
	struct pump p = {
		.n = (struct native *)s,
		.input = input,
		.left = n_input,
		.sinks = {{.s = s, .out = &ret->out}, {.s = s, .out = &ret->errout}},
		.scratch = xmalloc(READ_SIZE),
	};
	p.n->heard_ms = p.n->asked_ms = loop_now(co_loop(co)); /* idle time is no silence */
	int rc = run(co, &p, command, ret, err);

	for (size_t i = 0; i < ARRAY_SIZE(p.sinks); i++) {
		ret->truncated |= p.sinks[i].cut;
		ssh_sink_end(&p.sinks[i]);
	}
	free(p.scratch);
	return rc;
}

static void native_close(struct co *co, struct ssh *s)
{
	native_disconnect(co, (struct native *)s);
}

static const struct ssh_ops native_ops = {"libssh2", native_exec, native_close};

int ssh_native_open(struct co *co, struct ssh_place_info *p, struct ssh **ret, struct err *err)
{
	struct native *n;

	if (native_connect(co, p, &n, err) < 0)
		return -1;
	n->base.ops = &native_ops;
	*ret = &n->base;
	return 0;
}
