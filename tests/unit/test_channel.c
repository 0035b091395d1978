#include "channel.h"

#include "host_fixture.h"
#include "log.h"

struct run {
	const char *deeds;  /* of the request "test" */
	unsigned deadline;  /* ms, 0: none */
	unsigned cancel_at; /* ms, 0: never */
	bool refuse;        /* checkpoints */
	bool no_observer;
	bool again; /* a second call, with the deeds [["echo"]] */
	struct co *co;
	int start, result, second;
	struct err err, second_err;
	struct json *answer, *echo;
	struct json *saved; /* the last checkpoint */
	unsigned checkpoints, n_progress;
	char *progress;
	bool ended, usable;
	uint64_t took;
	unsigned ticks;
};

static int on_checkpoint(struct co *co, void *ud, const struct json *state, struct err *err)
{
	struct run *r = ud;

	r->checkpoints++;
	json_free(r->saved);
	r->saved = json_copy(state);
	if (r->refuse)
		return err_set(err, ERR_IO, "disk full");
	if (co_sleep(co, 20) < 0)
		return err_set(err, ERR_INTERNAL, "the checkpoint was interrupted");
	return 0;
}

static void on_progress(void *ud, const char *message, int64_t current, int64_t total)
{
	struct run *r = ud;

	r->n_progress++;
	free(r->progress);
	r->progress = xasprintf("%s %d/%d", message, (int)current, (int)total);
}

static void on_ended(void *ud)
{
	struct run *r = ud;

	r->ended = true;
	co_wake(r->co);
}

static void write_deeds(struct buf *out, const char *deeds)
{
	buf_addf(out, "{\"do\":[%s]}", deeds);
	for (size_t i = 0; i < out->len; i++)
		if (out->data[i] == '\'')
			out->data[i] = '"';
}

static int call(struct co *co, struct run *r, struct channel *ch, const char *deeds,
	struct json **answer, struct err *err)
{
	const struct driver_observer obs = {
		.userdata = r, .checkpoint = on_checkpoint, .progress = on_progress};
	_cleanup_buf_ struct buf params = BUF_INIT;
	struct co_deadline d;
	int result;

	write_deeds(&params, deeds);
	co_deadline_begin(co, &d, r->deadline);
	result = channel_call(co, ch, "test", &params, r->no_observer ? NULL : &obs, answer, err);
	co_deadline_end(co, &d);
	return result;
}

static void canceller(struct co *co, void *arg)
{
	struct run *r = arg;

	co_sleep(co, r->cancel_at);
	co_cancel(r->co);
}

static void ticker(struct co *co, void *arg)
{
	struct run *r = arg;

	while (!r->ended && co_sleep(co, 10) == 0)
		r->ticks++;
}

static void flow(struct co *co, void *arg)
{
	struct run *r = arg;
	_cleanup_free_ char *file = in_dir("fake");
	_cleanup_free_ char *path = xasprintf("PATH=%s", getenv("PATH"));
	char *env[] = {path, NULL};
	struct channel_options opt = {.name = "fake",
		.file = file,
		.env = env,
		.graces = graces_default(),
		.ended = on_ended,
		.ud = r};
	struct channel *ch;
	uint64_t begin = loop_now(loop);

	r->co = co;
	r->start = channel_start(loop, &opt, &ch, &r->err);
	if (r->start < 0)
		return;
	r->result = call(co, r, ch, r->deeds, &r->answer, &r->err);
	r->took = loop_now(loop) - begin;
	r->usable = channel_usable(ch);
	co_mask(co);
	if (r->again)
		r->second = call(co, r, ch, "['echo']", &r->echo, &r->second_err);
	channel_end(ch);
	while (!r->ended)
		co_wait(co);
	co_unmask(co);
	channel_free(ch);
}

static void run(struct run *r, const char *deeds)
{
	free(fake_driver("fake", NULL));
	r->deeds = deeds;
	r->co = co_spawn(loop, "flow", flow, r);
	if (r->cancel_at)
		co_spawn(loop, "canceller", canceller, r);
	co_spawn(loop, "ticker", ticker, r);
	loop_run(loop);
	assert_int_equal(r->start, 0);
	assert_no_child();
}

static void finish(struct run *r)
{
	err_finish(&r->err);
	err_finish(&r->second_err);
	json_free(r->answer);
	json_free(r->echo);
	json_free(r->saved);
	free(r->progress);
}

static void assert_failed(struct run *r, enum err_code code, const char *message)
{
	assert_int_equal(r->result, -1);
	if (!strstr(err_msg(&r->err), message))
		fail_msg("\"%s\" lacks \"%s\"", err_msg(&r->err), message);
	assert_int_equal(r->err.code, code);
	finish(r);
}

static void test_answer(void **state)
{
	struct run r = {.again = true};

	run(&r, "['answer', {'x': [1, 2.50]}]");
	assert_int_equal(r.result, 0);
	assert_true(r.usable);
	assert_string_equal(json_at(json_get(r.answer, "x"), 1)->text, "2.5");
	assert_int_equal(r.second, 0);
	assert_int_equal(json_int_or(json_get(r.echo, "served"), 0), 2);
	finish(&r);
}

static void test_error(void **state)
{
	struct run r = {.again = true};

	run(&r, "['error', {'code': -32000, 'message': 'no more room\\nat all', 'data':"
		"{'kind': 'quota', 'retryable': true, 'retryAfterMs': 1500, 'mayExist': true}}]");
	assert_int_equal(r.result, -1);
	assert_string_equal(err_msg(&r.err), "no more room\nat all");
	assert_int_equal(r.err.code, ERR_QUOTA);
	assert_true(r.err.retryable);
	assert_true(r.err.may_exist);
	assert_int_equal(r.err.retry_after_ms, 1500);
	assert_int_equal(r.second, 0);
	finish(&r);
}

static void test_checkpoint(void **state)
{
	struct run r = {0};

	run(&r, "['checkpoint', {'id': 1}], ['checkpoint', {'id': 2}], ['echo']");
	assert_int_equal(r.result, 0);
	assert_int_equal(r.checkpoints, 2);
	assert_int_equal(json_int_or(json_get(r.saved, "id"), 0), 2);
	assert_non_null(json_path(r.answer, "got", "result", NULL));
	finish(&r);
}

static void test_checkpoint_refused(void **state)
{
	struct run r = {.refuse = true}, none = {.no_observer = true};

	run(&r, "['checkpoint', {'id': 1}], ['echo']");
	assert_string_equal(
		json_str(json_path(r.answer, "got", "error", "message", NULL), ""), "disk full");
	finish(&r);
	unlink("fake");
	remove_dir();
	mkdir(dir, 0700);
	run(&none, "['checkpoint', {'id': 1}], ['echo']");
	assert_non_null(strstr(
		json_str(json_path(none.answer, "got", "error", "message", NULL), ""), "(C1)"));
	finish(&none);
}

static void test_checkpoint_for_another_request(void **state)
{
	struct run r = {0};

	run(&r, "['checkpoint', {'id': 1}, 99], ['echo']");
	assert_int_equal(json_int_or(json_path(r.answer, "got", "error", "code", NULL), 0), -32602);
	assert_int_equal(r.checkpoints, 0);
	finish(&r);
}

static void test_checkpoint_then_death(void **state)
{
	struct run r = {0};

	run(&r, "['send', {'id': 5, 'method': 'checkpoint', 'params': {'request': '$ID', 'state': "
		"{'id': 9}}}], ['exit', 1]");
	assert_int_equal(json_int_or(json_get(r.saved, "id"), 0), 9);
	assert_failed(&r, ERR_CRASHED, "driver \"fake\" exited with status 1 during test");
}

static void test_unknown_method(void **state)
{
	struct run r = {0};

	run(&r, "['ask', 'shine', {}], ['echo']");
	assert_int_equal(json_int_or(json_path(r.answer, "got", "error", "code", NULL), 0), -32601);
	finish(&r);
}

static void test_progress(void **state)
{
	struct run r = {0};

	run(&r, "['progress', 'one', 'two', 'three'], ['send', {'method': 'unknown'}], "
		"['send', {'method': 'progress', 'params': {'request': 55, 'message': 'no'}}], "
		"['answer', {}]");
	assert_int_equal(r.result, 0);
	assert_int_equal(r.n_progress, 3);
	assert_string_equal(r.progress, "three 1/2");
	finish(&r);
}

static void test_exit(void **state)
{
	struct run r = {0};

	run(&r, "['stderr', 'about to go\\nout of memory\\n'], ['exit', 3]");
	assert_failed(&r, ERR_CRASHED,
		"driver \"fake\" exited with status 3 during test; its last words: out of memory");
}

static void test_signal(void **state)
{
	struct run r = {0};

	run(&r, "['kill', 11]");
	assert_failed(&r, ERR_CRASHED,
		"driver \"fake\" died by signal 11 (Segmentation fault) during test");
}

static void test_half_frame(void **state)
{
	struct run r = {0};

	run(&r, "['raw', 'Content-Length: 99\\r\\n\\r\\n{'], ['exit', 0]");
	assert_failed(
		&r, ERR_CRASHED, "exited with status 0 during test, in the middle of a frame");
}

static const struct {
	const char *deeds;
	const char *message;
} violations[] = {
	{"['raw', 'hello world\\n']", "frame: "},
	{"['raw', 'Content-Length: 1073741824\\r\\n\\r\\n']", "(F4)"},
	{"['raw', 'Content-Length: -1\\r\\n\\r\\n']", "(F2)"},
	{"['raw', 'Content-Type: x\\r\\n\\r\\n{}']", "(F2)"},
	{"['raw', 'x', 2000], ['sleep', 20]", "(F4)"},
	{"['frame', '{\\'jsonrpc\\': \\'2.0\\', \\'id\\': 1, \\'result\\': {\\'x\\': "
	 "\\'\\u00ff\\u00fe\\'}}']",
		"invalid UTF-8 (J2)"},
	{"['frame', '[', 1000000]", "(J2)"},
	{"['frame', '{}']", "message: "},
	{"['send', {'id': 99, 'result': {}}]",
		"an answer to request 99, which was never sent (R7)"},
	{"['send', {'id': null, 'error': {'code': -32700, 'message': 'cannot parse'}}]",
		"did not understand the request: cannot parse"},
	{"['close', 1], ['sleep', 20]", "it closed its standard output and stayed alive"},
};

static void test_violations(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(violations); i++) {
		_cleanup_free_ char *deeds = xasprintf("%s, ['sleep', 20]", violations[i].deeds);
		struct run r = {0};

		run(&r, deeds);
		assert_false(r.usable);
		if (!strstr(err_msg(&r.err), "driver \"fake\" broke the protocol during test: "))
			fail_msg("%zu: %s", i, err_msg(&r.err));
		assert_in_range(r.took, 0, 3000);
		assert_failed(&r, ERR_PROTOCOL, violations[i].message);
		remove_dir();
		mkdir(dir, 0700);
	}
}

static char last_line[512];
static unsigned n_warnings;

static void keep_line(void *ud, enum log_level level, const char *line)
{
	if (level >= LOG_LEVEL_WARN)
		n_warnings++;
	snprintf(last_line, sizeof(last_line), "%s", line);
}

static void test_answers_twice(void **state)
{
	struct run r = {0};

	n_warnings = 0;
	log_set_sink(keep_line, NULL);
	run(&r, "['twice', {'x': 1}], ['sleep', 20]");
	log_set_sink(NULL, NULL);
	assert_int_equal(r.result, 0); /* the first one counts */
	assert_false(r.usable);
	assert_int_equal(n_warnings, 1);
	assert_non_null(strstr(last_line, "a second answer to request 1 (R7)"));
	finish(&r);
}

static void test_talks_when_idle(void **state)
{
	struct run r = {.again = true};

	run(&r, "['answer', {}], ['send', {'id': '$ID', 'result': {}}], ['wait_eof']");
	assert_int_equal(r.result, 0);
	assert_int_equal(r.second, -1);
	assert_non_null(strstr(err_msg(&r.second_err), "a second answer to request 1 (R7)"));
	finish(&r);
}

/* For drivers that do as they are told, but need their time: the fixture's are for the others. */
static void run_patiently(struct run *r, const char *deeds)
{
	setenv("MACHINE_TEST_GRACE_MS", "20000", 1);
	run(r, deeds);
	setenv("MACHINE_TEST_GRACE_MS", "300", 1);
}

static void test_deadline(void **state)
{
	struct run r = {.deadline = 100, .again = false};

	run_patiently(&r, "['wait_cancel'], ['error', {'code': -32000, 'message': 'x', 'data': "
			  "{'kind': 'canceled', 'mayExist': true}}]");
	assert_true(r.usable);
	assert_true(r.err.may_exist);
	assert_in_range(r.took, 100, 19000); /* nothing had to be waited out */
	assert_failed(&r, ERR_TIMEOUT, "driver \"fake\" did not answer test in time");
}

static void test_cancel(void **state)
{
	struct run r = {.cancel_at = 100};

	run_patiently(&r,
		"['wait_cancel'], ['error', {'code': -32000, 'message': 'undo failed', 'data': "
		"{'kind': 'internal'}}]");
	assert_failed(&r, ERR_CANCELED, "test cancelled: undo failed");
}

static void test_cancel_but_finished(void **state)
{
	struct run r = {.cancel_at = 100};

	run_patiently(&r, "['wait_cancel'], ['checkpoint', {'id': 4}], ['answer', {'x': 1}]");
	assert_int_equal(r.result, 0);
	assert_int_equal(json_int_or(json_get(r.saved, "id"), 0), 4);
	assert_int_equal(json_int_or(json_get(r.answer, "x"), 0), 1);
	finish(&r);
}

static void test_cancel_ignored(void **state)
{
	struct run r = {.cancel_at = 50};

	run(&r, "['sleep', 30]");
	assert_in_range(r.took, 350, 1500); /* 300 ms of grace, then SIGTERM */
	assert_false(r.usable);
	assert_failed(&r, ERR_CANCELED, "test cancelled");
}

static void test_term_ignored(void **state)
{
	struct run r = {.deadline = 50};

	run(&r, "['ignore', 15], ['stderr', 'I stay'], ['sleep', 30]");
	assert_in_range(r.took, 650, 2500);
	assert_failed(&r, ERR_TIMEOUT,
		"driver \"fake\" did not answer test in time and was ended; its last words: I "
		"stay");
}

static void test_child_keeps_pipes(void **state)
{
	_cleanup_free_ char *pid_file = in_dir("pid");
	_cleanup_free_ char *deeds = xasprintf("['child', '%s'], ['exit', 5]", pid_file);
	struct run r = {0};

	run(&r, deeds);
	assert_in_range(r.took, 0, 2000);
	assert_int_equal(gone(pid_file), 0);
	assert_failed(&r, ERR_CRASHED, "exited with status 5");
}

static void test_notification_flood(void **state)
{
	struct run r = {0};

	n_warnings = 0;
	log_set_sink(keep_line, NULL);
	run(&r, "['notes', 50000], ['progress', 'last'], ['answer', {}]");
	log_set_sink(NULL, NULL);
	assert_int_equal(r.result, 0);
	assert_int_equal(n_warnings, 1);
	assert_non_null(strstr(last_line, "driver \"fake\" sends too much during test"));
	assert_in_range(r.n_progress, 1, 20000);
	assert_true(r.ticks >= 5); /* the others had their turns */
	finish(&r);
}

static void test_stderr_flood(void **state)
{
	struct run r = {0};

	run(&r, "['stderr', 'and so on and on\\n', 200000], ['answer', {}]");
	assert_int_equal(r.result, 0);
	assert_true(r.ticks >= 1);
	finish(&r);
}

static void test_reads_nothing(void **state)
{
	/* asks without end, and never reads an answer */
	struct run r = {.deadline = 500};

	run(&r, "['raw', 'Content-Length: 50\\r\\n\\r\\n{\\'jsonrpc\\':\\'2.0\\',\\'id\\':1,"
		"\\'method\\':\\'x\\',\\'a\\':1234}', 50000], ['sleep', 20]");
	assert_int_equal(r.result, -1);
	assert_in_range(r.took, 0, 3000);
	finish(&r);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(test_##name, fixture_setup, fixture_teardown)
	static const struct CMUnitTest tests[] = {T(answer), T(error), T(checkpoint),
		T(checkpoint_refused), T(checkpoint_for_another_request), T(checkpoint_then_death),
		T(unknown_method), T(progress), T(exit), T(signal), T(half_frame), T(violations),
		T(answers_twice), T(talks_when_idle), T(deadline), T(cancel),
		T(cancel_but_finished), T(cancel_ignored), T(term_ignored), T(child_keeps_pipes),
		T(notification_flood), T(stderr_flood), T(reads_nothing)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
