#include "proc.h"

#include "host_fixture.h"
#include "log.h"

#include <linux/close_range.h>

struct run {
	const char *script;
	int first; /* what the coroutine does: 0 nothing, 'e' end, 't' terminate */
	const char *input;
	struct proc *proc;
	struct co *co;
	struct buf out, end, words;
	const char *closed;
	bool over;
	int start;
	struct err err;
	uint64_t took;
};

static void on_output(void *ud, const char *data, size_t len)
{
	struct run *r = ud;

	buf_add(&r->out, data, len);
}

static void on_closed(void *ud, const char *which)
{
	struct run *r = ud;

	r->closed = which;
	proc_terminate(r->proc);
}

static void on_ended(void *ud)
{
	struct run *r = ud;

	r->over = true;
	co_wake(r->co);
}

static void run_proc(struct co *co, void *arg)
{
	static const struct proc_events events = {on_output, on_closed, on_ended};
	struct run *r = arg;
	_cleanup_free_ char *file = in_dir(r->script);
	char *env[] = {(char[]){"PATH=/usr/bin:/bin"}, NULL};
	struct proc_options opt = {"test", file, env, {200, 200}};
	uint64_t begin = loop_now(loop);

	r->co = co;
	r->start = proc_start(loop, &opt, &events, r, &r->proc, &r->err);
	if (r->start < 0)
		return;
	if (r->input) {
		struct buf data = BUF_INIT;

		buf_adds(&data, r->input);
		proc_write(r->proc, &data);
	}
	if (r->first) {
		while (!buf_str(&r->out)[0] && !r->over) /* it is set up */
			co_sleep(co, 5);
		if (r->first == 'e')
			proc_end(r->proc);
		else
			proc_terminate(r->proc);
	}
	while (!r->over)
		co_wait(co);
	r->took = loop_now(loop) - begin;
	proc_describe_end(r->proc, &r->end);
	buf_adds(&r->words, proc_last_words(r->proc));
	proc_free(r->proc);
}

static void run(struct run *r, const char *script)
{
	_cleanup_free_ char *text = xasprintf("#!/bin/sh\n%s\n", script);

	r->script = "script";
	free(write_file("script", text, 0755));
	co_spawn(loop, "proc", run_proc, r);
	loop_run(loop);
	assert_int_equal(r->start, 0);
	assert_no_child();
}

static void finish(struct run *r)
{
	buf_finish(&r->out);
	buf_finish(&r->end);
	buf_finish(&r->words);
	err_finish(&r->err);
}

static void test_echo(void **state)
{
	struct run r = {.input = "hello\n"};

	run(&r, "read x; echo \"got $x\"; echo warning >/dev/stderr; exit 3");
	assert_string_equal(buf_str(&r.out), "got hello\n");
	assert_string_equal(buf_str(&r.end), "exited with status 3");
	assert_string_equal(buf_str(&r.words), "warning");
	assert_null(r.closed);
	finish(&r);
}

static void test_own_session(void **state)
{
	struct run r = {0};
	long pid = 0, session = 0;

	run(&r, "cut -d' ' -f1,6 /proc/$$/stat"); /* pid and session */
	assert_int_equal(sscanf(buf_str(&r.out), "%ld %ld", &pid, &session), 2);
	assert_int_equal(pid, session);
	finish(&r);
}

static void test_signal(void **state)
{
	struct run r = {0};

	run(&r, "kill -SEGV $$; sleep 5");
	assert_non_null(strstr(buf_str(&r.end), "died by signal 11 (Segmentation fault)"));
	finish(&r);
}

static void test_sigpipe_is_default_in_children(void **state)
{
	struct run r = {0};

	run(&r, "grep SigIgn /proc/self/status");
	const char *ignored = strchr(buf_str(&r.out), '\t');
	assert_non_null(ignored);
	/* numbers 1 to 31; two of the C library's own are above, which it lets children ignore */
	assert_int_equal(strtoull(ignored, NULL, 16) & 0x7fffffffu, 0);
	finish(&r);
}

static void test_no_descriptors_leak(void **state)
{
	struct run r = {0};

	run(&r, "ls /proc/self/fd | tr '\\n' ' '");
	assert_string_equal(buf_str(&r.out), "0 1 2 3 "); /* 3: of ls */
	finish(&r);
}

static void test_cannot_start(void **state)
{
	struct run r = {.script = "nothing"};

	co_spawn(loop, "proc", run_proc, &r);
	loop_run(loop);
	assert_int_equal(r.start, -1);
	assert_int_equal(r.err.code, ERR_NOT_FOUND);
	assert_non_null(strstr(err_msg(&r.err), "/nothing: No such file"));
	assert_no_child();
	finish(&r);
}

static void test_end_of_input(void **state)
{
	struct run r = {.first = 'e'};

	run(&r, "echo ready; cat; exit 4");
	assert_string_equal(buf_str(&r.end), "exited with status 4");
	assert_in_range(r.took, 0, 190);
	finish(&r);
}

static void test_term_after_end(void **state)
{
	struct run r = {.first = 'e'};

	run(&r, "echo ready; exec sleep 20");
	assert_string_equal(buf_str(&r.end), "died by signal 15 (Terminated)");
	assert_in_range(r.took, 200, 2000);
	finish(&r);
}

static void test_kill_after_term(void **state)
{
	struct run r = {.first = 't'};

	run(&r, "trap '' TERM; echo ready; while :; do sleep 0.1; done");
	assert_string_equal(buf_str(&r.end), "died by signal 9 (Killed)");
	assert_in_range(r.took, 200, 2000);
	finish(&r);
}

static void test_stopped(void **state)
{
	struct run r = {.first = 't'};

	run(&r, "(until grep -q '^State:.T' /proc/$$/status; do :; done; echo ready) & "
		"kill -STOP $$");
	assert_string_equal(buf_str(&r.end), "died by signal 9 (Killed)");
	finish(&r);
}

static void test_child_keeps_pipes(void **state)
{
	_cleanup_free_ char *pid_file = in_dir("pid");
	_cleanup_free_ char *script =
		xasprintf("trap '' TERM; sleep 20 & echo $! >%s; exit 5", pid_file);
	struct run r = {0};

	run(&r, script);
	assert_string_equal(buf_str(&r.end), "exited with status 5");
	assert_in_range(r.took, 0, 2000);
	assert_int_equal(gone(pid_file), 0);
	finish(&r);
}

static void test_child_in_own_session_keeps_pipes(void **state)
{
	_cleanup_free_ char *pid_file = in_dir("pid");
	_cleanup_free_ char *script = xasprintf(
		"setsid sh -c 'echo $$ >%s; yes >&2' & while ! [ -s %s ]; do :; done; exit 5",
		pid_file, pid_file);
	_cleanup_free_ char *pid = NULL;
	struct run r = {0};

	run(&r, script);
	pid = read_text(pid_file);
	kill((pid_t)strtol(pid, NULL, 10), SIGKILL); /* yes dies of its closed pipe */
	assert_string_equal(buf_str(&r.end), "exited with status 5");
	assert_in_range(r.took, 0, 2000);
	finish(&r);
}

static void test_closes_stdout(void **state)
{
	struct run r = {0};

	run(&r, "exec >&-; exec sleep 20");
	assert_string_equal(r.closed, "standard output");
	assert_string_equal(buf_str(&r.end), "died by signal 15 (Terminated)");
	finish(&r);
}

static void test_closes_stdin(void **state)
{
	struct run r = {0};
	char *big = xmalloc(200001);

	memset(big, 'x', 200000);
	big[200000] = '\0';
	r.input = big;
	run(&r, "exec <&-; exec sleep 20");
	assert_string_equal(r.closed, "standard input");
	free(big);
	finish(&r);
}

static unsigned n_lines;
static size_t longest;

static void count_lines(void *ud, enum log_level level, const char *line)
{
	n_lines++;
	longest = MAX(longest, strlen(line));
}

static void test_stderr_flood(void **state)
{
	struct run r = {0};

	n_lines = 0;
	longest = 0;
	log_set_debug(true);
	log_set_sink(count_lines, NULL);
	run(&r, "head -c 20000000 /dev/zero | tr '\\0' 'z' >&2; echo >&2;"
		"i=0; while [ $i -lt 3000 ]; do echo flood $i >&2; i=$((i+1)); done;"
		"printf 'the\\033[1m end' >&2");
	log_set_sink(NULL, NULL);
	log_set_debug(false);
	assert_string_equal(buf_str(&r.words), "the?[1m end");
	assert_in_range(n_lines, 100, 2000);
	assert_in_range(longest, 4000, PROC_STDERR_LINE_MAX + 100);
	finish(&r);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(test_##name, fixture_setup, fixture_teardown)
	static const struct CMUnitTest tests[] = {T(echo), T(own_session), T(signal),
		T(sigpipe_is_default_in_children), T(no_descriptors_leak), T(cannot_start),
		T(end_of_input), T(term_after_end), T(kill_after_term), T(stopped),
		T(child_keeps_pipes), T(child_in_own_session_keeps_pipes), T(closes_stdout),
		T(closes_stdin), T(stderr_flood)};

	close_range(3, ~0U, CLOSE_RANGE_CLOEXEC); /* what the shell left open is not ours */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
