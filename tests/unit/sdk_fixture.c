#include "sdk_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define HUGE_LENGTH (9u << 20)

/* The driver. */

static int configure(
	struct md_request *rq, struct md_machine *m, const struct json *flags, struct err *err)
{
	printf("noise on standard output\n");
	fflush(stdout);
	json_set_str(m->state, "Text", md_flag_str(flags, "text"));
	json_set(m->state, "Number", json_int(md_flag_int(flags, "number")));
	json_set(m->state, "Bool", json_bool(md_flag_bool(flags, "bool")));
	json_set(m->state, "List", json_copy(md_flag_list(flags, "list")));
	return md_flag_bool(flags, "bool") ? md_checkpoint(rq, m->state, err) : 0;
}

static int two_checkpoints(struct md_request *rq, struct md_machine *m, struct err *err)
{
	_cleanup_err_ struct err ignored = ERR_INIT;

	json_set(m->state, "Step", json_int(1));
	if (md_checkpoint(rq, m->state, &ignored) < 0) {
		if (streq(m->name, "stubborn"))
			return md_checkpoint(rq, m->state, &ignored) < 0 ? 0 : 1;
		return err_move(err, &ignored);
	}
	json_set(m->state, "Step", json_int(2));
	return md_checkpoint(rq, m->state, err);
}

static int create(
	struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err)
{
	if (streq(m->name, "sleep"))
		return md_sleep(rq, PATIENCE_MS, err);
	if (streq(m->name, "block"))
		for (;;)
			pause();
	if (streq(m->name, "checkpoint") || streq(m->name, "stubborn"))
		return two_checkpoints(rq, m, err);
	if (streq(m->name, "wait")) {
		*out = (struct md_outcome){.status = MD_WAIT, .wait_for = STATE_RUNNING};
		out->retry_after_ms = 1;
		out->message = xstrdup("it boots");
	}
	if (streq(m->name, "run")) {
		*out = (struct md_outcome){.status = MD_RUN, .disconnects = true};
		out->command = xstrdup("reboot");
	}
	if (streq(m->name, "again")) {
		*out = (struct md_outcome){.status = MD_RUN, .again = true};
		out->command = xstrdup("true");
	}
	if (streq(m->name, "defect") || streq(m->name, "nothing"))
		out->status = MD_RUN;
	if (streq(m->name, "nothing"))
		out->command = xstrdup("");
	if (streq(m->name, "silent"))
		return -1;
	if (streq(m->name, "latin1"))
		return err_set(err, ERR_QUOTA, "caf\xe9 \xe2\x82\xac");
	if (streq(m->name, "huge")) {
		_cleanup_free_ char *text = xmalloc(HUGE_LENGTH + 1);
		memset(text, 'x', HUGE_LENGTH);
		text[HUGE_LENGTH] = '\0';
		json_set_str(m->state, "Text", text);
	}
	if (streq(m->name, "talk")) {
		md_progress(rq, "one %d", 1);
		md_progress_of(rq, 2, 3, "two");
		md_log(rq, LOG_LEVEL_WARN, "three");
		md_log(rq, LOG_LEVEL_DEBUG, "not asked for");
	}
	return 0;
}

static int ask_state(
	struct md_request *rq, struct md_machine *m, struct md_report *out, struct err *err)
{
	if (streq(m->name, "bad")) {
		err_set(err, ERR_AUTH, "no");
		err->retryable = true;
		return -1;
	}
	if (streq(m->name, "slow"))
		return md_sleep(rq, 20000, err);
	out->state = STATE_PAUSED;
	out->probe_tcp = xstrdup("[::1]:22");
	out->probe_open = STATE_RUNNING;
	out->ssh_host = xstrdup("::1");
	return 0;
}

static const char *const list_default[] = {"a", "b", NULL};
static const char *const environment[] = {"FOO", NULL};
static const struct flagspec flags[] = {
	{.name = "text", .type = FLAG_STRING, .def_str = "t", .required = true},
	{.name = "number", .type = FLAG_INT, .def_int = 7},
	{.name = "bool", .type = FLAG_BOOL},
	{.name = "list", .type = FLAG_LIST, .def_list = list_default},
};
static const struct md_driver driver = {
	.name = "unit",
	.flags = flags,
	.n_flags = ARRAY_SIZE(flags),
	.environment = environment,
	.configure = configure,
	.create = create,
	.state = ask_state,
};

/* The host. */

static void start_driver(struct host *h, bool sockets, bool hello);

int start_pipe(void **state)
{
	struct host *h = xcalloc(1, sizeof(*h));

	start_driver(h, false, true);
	*state = h;
	return 0;
}

int start_sockets(void **state)
{
	struct host *h = xcalloc(1, sizeof(*h));

	start_driver(h, true, true);
	*state = h;
	return 0;
}

int start_silent(void **state)
{
	struct host *h = xcalloc(1, sizeof(*h));

	start_driver(h, false, false);
	*state = h;
	return 0;
}

/* Closes the input and returns the exit status; -1 when it does not end in 2 s. */
int end_driver(struct host *h)
{
	int64_t end = sdk_now_ms() + 2000;
	int status;

	if (h->to >= 0)
		close(h->to);
	h->to = -1;
	while (waitpid(h->pid, &status, WNOHANG) == 0) {
		if (sdk_now_ms() > end)
			return -1;
		poll(NULL, 0, 5);
	}
	h->pid = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

int stop_driver(void **state)
{
	struct host *h = *state;

	if (h->pid) {
		kill(h->pid, SIGKILL);
		waitpid(h->pid, NULL, 0);
	}
	if (h->to >= 0)
		close(h->to);
	close(h->from);
	frame_decoder_finish(&h->in);
	free(h);
	return 0;
}

void send_text(struct host *h, const char *body)
{
	_cleanup_buf_ struct buf out = BUF_INIT;
	_cleanup_err_ struct err err = ERR_INIT;

	assert_int_equal(frame_encode(&out, body, strlen(body), &err), 0);
	assert_int_equal(write(h->to, out.data, out.len), out.len);
}

void send_request(struct host *h, int id, const char *method, const char *params)
{
	_cleanup_free_ char *body =
		xasprintf("{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"%s\",\"params\":%s}", id,
			method, params);

	send_text(h, body);
}

void send_machine(struct host *h, int id, const char *method, const char *name)
{
	_cleanup_free_ char *params =
		xasprintf("{\"flags\":{},\"machine\":{\"name\":\"%s\",\"id\":\"\",\"dir\":\"/d\","
			  "\"storePath\":\"/s\",\"state\":{\"Kept\":1.50}}}",
			name);

	send_request(h, id, method, params);
}

void send_cancel(struct host *h, int id)
{
	_cleanup_free_ char *body = xasprintf(
		"{\"jsonrpc\":\"2.0\",\"method\":\"$/cancelRequest\",\"params\":{\"id\":%d}}", id);

	send_text(h, body);
}

struct json *receive(struct host *h)
{
	_cleanup_err_ struct err err = ERR_INIT;
	struct json *message = NULL;
	char chunk[2048];
	const char *body;
	size_t len;
	int r;

	while ((r = frame_decoder_next(&h->in, &body, &len, &err)) == 0) {
		struct pollfd p = {.fd = h->from, .events = POLLIN};
		assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
		ssize_t n = read(h->from, chunk, sizeof(chunk));
		assert_true(n > 0);
		frame_decoder_feed(&h->in, chunk, (size_t)n);
	}
	assert_int_equal(r, 1);
	assert_int_equal(json_parse(body, len, &message, &err), 0);
	return message;
}

void expect(struct host *h, const char *text)
{
	_cleanup_json_ struct json *message = receive(h);
	_cleanup_free_ char *got = json_to_string(message, JSON_COMPACT);

	assert_string_equal(got, text);
}

void expect_error(struct host *h, int id, int code, const char *kind)
{
	_cleanup_json_ struct json *message = receive(h);

	assert_int_equal(json_int_or(json_get(message, "id"), 0), id);
	assert_int_equal(json_int_or(json_path(message, "error", "code", NULL), 0), code);
	if (kind)
		assert_string_equal(
			json_str(json_path(message, "error", "data", "kind", NULL), ""), kind);
}

void expect_step(struct host *h, int step)
{
	_cleanup_json_ struct json *message = receive(h);

	assert_string_equal(json_str(json_get(message, "method"), ""), "checkpoint");
	assert_int_equal(json_int_or(json_path(message, "params", "state", "Step", NULL), 0), step);
	assert_int_equal(json_int_or(json_get(message, "id"), 0), step);
}

static void start_driver(struct host *h, bool sockets, bool hello)
{
	int in[2], out[2];

	if (sockets) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, in), 0);
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, out), 0);
	} else {
		assert_int_equal(pipe2(in, O_CLOEXEC), 0);
		assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	}
	fflush(NULL);
	h->pid = fork();
	assert_true(h->pid >= 0);
	if (h->pid == 0) {
		char name[] = "driver", *argv[] = {name, NULL};
		dup2(in[0], STDIN_FILENO);
		dup2(out[1], STDOUT_FILENO);
		for (int i = 0; i < 2; i++) {
			close(in[i]);
			close(out[i]);
		}
		_exit(md_main(&driver, 1, argv));
	}
	close(in[0]);
	close(out[1]);
	h->to = in[1];
	h->from = out[0];
	if (!hello)
		return;
	send_request(h, 1000, "initialize", "{\"protocolVersions\":[1]}");
	json_free(receive(h));
}
