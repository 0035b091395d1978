#include "qmp.h"

#include "buf.h"
#include "mem.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define READ_SIZE 4096u

struct qmp {
	int fd;
	int64_t end_ms; /* monotonic */
	int64_t id;     /* of the last command */
	struct buf in;
	size_t searched; /* bytes of `in` that hold no end of line */
};

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int qmp_parse(const char *line, size_t len, struct qmp_message *ret, struct err *err)
{
	_cleanup_json_ struct json *j = NULL;
	const char *event, *desc;

	*ret = (struct qmp_message){0};
	if (json_parse(line, len, &j, err) < 0)
		return err_wrap(err, "QMP");
	ret->id = json_int_or(json_get(j, "id"), 0);
	event = json_str(json_get(j, "event"), NULL);
	desc = json_str(json_path(j, "error", "desc", NULL), NULL);
	if (json_is(json_get(j, "QMP"), JSON_OBJECT)) {
		ret->kind = QMP_GREETING;
	} else if (event) {
		ret->kind = QMP_EVENT;
		ret->text = xstrdup(event);
	} else if (json_get(j, "return")) {
		ret->kind = QMP_RETURN;
		ret->value = json_copy(json_get(j, "return"));
	} else if (json_get(j, "error")) {
		ret->kind = QMP_ERROR;
		ret->text = xstrdup(desc ? desc : "no reason given");
	} else {
		return err_set(err, ERR_PROTOCOL,
			"QMP: a message that is neither greeting, event nor answer");
	}
	return 0;
}

void qmp_message_finish(struct qmp_message *m)
{
	free(m->text);
	json_free(m->value);
	*m = (struct qmp_message){0};
}

/* 1: ready; 0: time is up */
static int await(struct qmp *q, short events, struct err *err)
{
	for (;;) {
		struct pollfd p = {.fd = q->fd, .events = events};
		int64_t left = q->end_ms - now_ms();
		int r = left > 0 ? poll(&p, 1, (int)left) : 0;

		if (r > 0)
			return 0;
		if (r == 0) {
			err_set(err, ERR_TIMEOUT, "QMP: QEMU does not answer");
			return -1;
		}
		if (errno != EINTR)
			return err_errno(err, errno, "QMP: poll");
	}
}

static int lost(struct err *err)
{
	return err_set(err, ERR_UNAVAILABLE, "QMP: QEMU closed the connection");
}

static int fill(struct qmp *q, struct err *err)
{
	for (;;) {
		ssize_t n = recv(q->fd, buf_reserve(&q->in, READ_SIZE), READ_SIZE, MSG_DONTWAIT);

		if (n > 0) {
			q->in.len += (size_t)n;
			q->in.data[q->in.len] = '\0';
			return 0;
		}
		if (n == 0 || errno == ECONNRESET)
			return lost(err);
		if (errno != EAGAIN && errno != EINTR)
			return err_errno(err, errno, "QMP: read");
		if (await(q, POLLIN, err) < 0)
			return -1;
	}
}

static int receive(struct qmp *q, struct qmp_message *ret, struct err *err)
{
	for (;;) {
		const char *from = buf_str(&q->in);
		const char *end = memchr(from + q->searched, '\n', q->in.len - q->searched);

		if (end) {
			size_t len = (size_t)(end - from);
			int r = qmp_parse(from, len, ret, err);

			buf_consume(&q->in, len + 1);
			q->searched = 0;
			return r;
		}
		q->searched = q->in.len;
		if (q->in.len > QMP_LINE_MAX)
			return err_set(err, ERR_PROTOCOL, "QMP: a line of more than %u bytes",
				QMP_LINE_MAX);
		if (fill(q, err) < 0)
			return -1;
	}
}

static int send_all(struct qmp *q, const char *text, size_t len, struct err *err)
{
	while (len) {
		ssize_t n = send(q->fd, text, len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n >= 0) {
			text += n;
			len -= (size_t)n;
		} else if (errno == EPIPE || errno == ECONNRESET) {
			return lost(err);
		} else if (errno != EAGAIN && errno != EINTR) {
			return err_errno(err, errno, "QMP: write");
		} else if (await(q, POLLOUT, err) < 0) {
			return -1;
		}
	}
	return 0;
}

/* The next message that is no event, and no answer to another command. */
static int receive_answer(struct qmp *q, struct qmp_message *ret, struct err *err)
{
	for (unsigned i = 0; i < QMP_LINES_MAX; i++) {
		if (receive(q, ret, err) < 0)
			return -1;
		if (ret->kind != QMP_EVENT && (!ret->id || ret->id == q->id))
			return 0;
		qmp_message_finish(ret);
	}
	return err_set(err, ERR_PROTOCOL, "QMP: %u messages, and no answer", QMP_LINES_MAX);
}

int qmp_command(struct qmp *q, const char *name, struct json *take_arguments, struct json **ret,
	struct err *err)
{
	_cleanup_json_ struct json *request = json_object();
	_cleanup_buf_ struct buf out = BUF_INIT;
	_cleanup_(qmp_message_finish) struct qmp_message m = {0};

	json_set_str(request, "execute", name);
	if (take_arguments)
		json_set(request, "arguments", take_arguments);
	json_set(request, "id", json_int(++q->id));
	json_write(request, JSON_COMPACT, &out);
	buf_addc(&out, '\n');
	if (send_all(q, out.data, out.len, err) < 0 || receive_answer(q, &m, err) < 0)
		return err_wrap(err, "%s", name);
	if (m.kind == QMP_ERROR)
		return err_set(err, ERR_INTERNAL, "QEMU refuses %s: %s", name, m.text);
	if (m.kind != QMP_RETURN)
		return err_set(err, ERR_PROTOCOL, "QMP: %s was answered by a greeting", name);
	if (ret)
		*ret = take(m.value);
	return 0;
}

int qmp_human(struct qmp *q, const char *line, char **ret, struct err *err)
{
	_cleanup_json_ struct json *value = NULL;
	struct json *arguments = json_object();

	json_set_str(arguments, "command-line", line);
	if (qmp_command(q, "human-monitor-command", arguments, &value, err) < 0)
		return -1;
	*ret = xstrdup(json_str(value, ""));
	return 0;
}

int qmp_quit(struct qmp *q, struct err *err)
{
	_cleanup_err_ struct err e = ERR_INIT;

	if (qmp_command(q, "quit", NULL, NULL, &e) == 0 || e.code == ERR_UNAVAILABLE)
		return 0;
	return err_move(err, &e);
}

static int dial(struct qmp *q, const char *path, struct err *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t len = strlen(path);

	if (len >= sizeof(address.sun_path))
		return err_set(err, ERR_USER, "the path of the socket %s is too long", path);
	memcpy(address.sun_path, path, len);
	q->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (q->fd < 0)
		return err_errno(err, errno, "QMP: socket");
	if (connect(q->fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return 0;
	if (errno == ENOENT || errno == ECONNREFUSED)
		return err_set(err, ERR_NOT_RUNNING, "QMP: nobody listens at %s", path);
	return err_errno(err, errno, "QMP: connect to %s", path);
}

static int greet(struct qmp *q, struct err *err)
{
	_cleanup_(qmp_message_finish) struct qmp_message m = {0};

	if (receive_answer(q, &m, err) < 0)
		return -1;
	if (m.kind != QMP_GREETING)
		return err_set(err, ERR_PROTOCOL, "QMP: the first message is no greeting");
	return qmp_command(q, "qmp_capabilities", NULL, NULL, err);
}

int qmp_open(const char *path, uint32_t timeout_ms, struct qmp **ret, struct err *err)
{
	struct qmp *q = xcalloc(1, sizeof(*q));

	q->fd = -1;
	q->end_ms = now_ms() + timeout_ms;
	if (dial(q, path, err) < 0 || greet(q, err) < 0) {
		qmp_close(q);
		return -1;
	}
	*ret = q;
	return 0;
}

void qmp_close(struct qmp *q)
{
	if (!q)
		return;
	if (q->fd >= 0)
		close(q->fd);
	buf_finish(&q->in);
	free(q);
}
