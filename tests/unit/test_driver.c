#include "driver.h"

#include "driver_internal.h"
#include "host_fixture.h"
#include "throttle.h"

#include <netinet/in.h>
#include <sys/socket.h>

struct run {
	const char *config;
	const char *script; /* instead of the fake */
	const char *state;  /* of the machines */
	void (*body)(struct co *co, struct run *r);
	struct driver_options opt;
	struct driver *d;
	struct co *co;
	int result;
	struct err err;
	size_t n;
	struct machine_ref *refs;
	struct machine_report *reports;
	size_t n_settled;
	struct json *out;
	struct driver_outcome outcome;
	unsigned calls, failures;
	uint64_t took;
	bool opened;
};

static void flow(struct co *co, void *arg)
{
	struct run *r = arg;
	_cleanup_free_ char *file = r->script ? write_file("machine-driver-fake", r->script, 0755)
					      : fake_driver("machine-driver-fake", r->config);
	uint64_t begin = loop_now(loop);

	r->co = co;
	r->opt.file = file;
	r->result = driver_open(co, "fake", &r->opt, &r->d, &r->err);
	r->opened = r->result == 0;
	if (r->opened && r->body)
		r->body(co, r);
	r->took = loop_now(loop) - begin;
	if (r->opened)
		driver_close(co, r->d);
	r->opt.file = NULL;
}

static void run(struct run *r)
{
	co_spawn(loop, "flow", flow, r);
	loop_run(loop);
	assert_no_child();
}

static void finish(struct run *r)
{
	for (size_t i = 0; r->reports && i < r->n; i++)
		machine_report_finish(&r->reports[i]);
	for (size_t i = 0; r->refs && i < r->n; i++) {
		free((char *)(uintptr_t)r->refs[i].name);
		json_free((struct json *)(uintptr_t)r->refs[i].state);
	}
	free(r->reports);
	free(r->refs);
	json_free(r->out);
	driver_outcome_finish(&r->outcome);
	err_finish(&r->err);
}

static void make_machines(struct run *r, size_t n)
{
	r->n = n;
	r->refs = xcalloc(n, sizeof(*r->refs));
	r->reports = xcalloc(n, sizeof(*r->reports));
	for (size_t i = 0; i < n; i++)
		r->refs[i] = (struct machine_ref){xasprintf("m%zu", i), "", "/nowhere/m",
			"/nowhere", r->state ? parse(r->state) : json_object()};
}

static void on_report(void *ud, size_t i)
{
	((struct run *)ud)->n_settled++;
}

static void ask_states(struct co *co, struct run *r)
{
	r->result = driver_states(co, r->d, r->refs, r->n, r->reports, on_report, r, &r->err);
}

/* Different processes that answered, by the messages that the fake gives. */
static size_t n_processes(const struct run *r)
{
	size_t n = 0;
	long seen[64];

	for (size_t i = 0; i < r->n && n < 64; i++) {
		long pid = strtol(r->reports[i].message, NULL, 10);
		size_t k = 0;

		while (k < n && seen[k] != pid)
			k++;
		if (k == n)
			seen[n++] = pid;
	}
	return n;
}

static int run_op(
	struct co *co, struct run *r, enum driver_op op, const struct driver_observer *obs)
{
	return driver_run(co, r->d, op, &r->refs[0], obs, &r->outcome, &r->err);
}

/* --- opening --- */

static void look(struct co *co, struct run *r)
{
	const struct driver_info *info = driver_info(r->d);

	r->calls = info->max_workers * 10000 + info->states_batch;
	r->n_settled = info->machines_at_once;
	r->failures = (unsigned)info->flags.n;
}

static void test_open(void **state)
{
	struct run r = {.body = look,
		.config = "{\"initialize\": {\"capabilities\": "
			  "{\"maxWorkers\": 3, \"statesBatch\": 70, \"machinesAtOnce\": 5000}, "
			  "\"flags\": "
			  "[{\"name\": \"fake-key\", \"type\": \"string\", "
			  "\"usage\": \"x\", \"secret\": true}]}}"};

	run(&r);
	assert_int_equal(r.result, 0);
	assert_int_equal(r.calls, 30070);
	assert_int_equal(r.n_settled, 1000); /* the protocol's limit */
	assert_int_equal(r.failures, 1);
	finish(&r);
}

static void open_unknown(struct co *co, void *arg)
{
	struct run *r = arg;

	r->result = driver_open(co, "nonesuch", NULL, &r->d, &r->err);
}

static void test_open_unknown(void **state)
{
	struct run r = {0};

	co_spawn(loop, "flow", open_unknown, &r);
	loop_run(loop);
	assert_int_equal(r.result, -1);
	assert_int_equal(r.err.code, ERR_NOT_FOUND);
	finish(&r);
}

static const struct {
	const char *config;
	const char *message;
} bad_starts[] = {
	{"{\"initialize\": {\"protocolVersion\": 2}}", "protocolVersion is 2"},
	{"{\"initialize\": {\"driver\": {}}}", "(I2)"},
	{"{\"initialize\": {\"environment\": [\"LD_PRELOAD\"]}}", "(I4)"},
	{"{\"initialize\": {\"flags\": [{\"name\": \"--x\"}]}}", "answer to initialize"},
	{"{\"do\": {\"initialize\": [[\"exit\", 2]]}}", "exited with status 2 during initialize"},
	{"{\"do\": {\"initialize\": [[\"stderr\", \"Usage: x\"], [\"exit\", 2]]}}", "Usage: x"},
};

static void test_bad_starts(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(bad_starts); i++) {
		struct run r = {.config = bad_starts[i].config};

		run(&r);
		assert_int_equal(r.result, -1);
		if (!strstr(err_msg(&r.err), bad_starts[i].message) ||
			!strstr(err_msg(&r.err), "driver \"fake\""))
			fail_msg("%zu: %s", i, err_msg(&r.err));
		finish(&r);
		remove_dir();
		mkdir(dir, 0700);
	}
}

static void open_with_deadline(struct co *co, void *arg)
{
	uint64_t begin = loop_now(loop);
	struct run *r = arg;
	struct co_deadline d;

	co_deadline_begin(co, &d, 200);
	flow(co, r);
	co_deadline_end(co, &d);
	r->took = loop_now(loop) - begin;
}

static void test_silent_start(void **state)
{
	struct run r = {.script = "#!/bin/sh\nexec sleep 20\n"};

	co_spawn(loop, "flow", open_with_deadline, &r);
	loop_run(loop);
	assert_no_child();
	assert_int_equal(r.err.code, ERR_TIMEOUT);
	assert_non_null(strstr(err_msg(&r.err), "did not answer initialize in time"));
	assert_in_range(r.took, 200, 10000);
	finish(&r);
}

static void test_text_instead_of_a_driver(void **state)
{
	struct run r = {.script = "#!/bin/sh\necho Usage\nexec sleep 20\n"};

	run(&r);
	assert_int_equal(r.result, -1);
	assert_int_equal(r.err.code, ERR_PROTOCOL);
	assert_in_range(r.took, 0, 3000);
	finish(&r);
}

static void echo_env(struct co *co, struct run *r)
{
	_cleanup_json_ struct json *flags = json_object();
	struct machine_ref m = {"m", "", "", "", NULL};

	r->result = driver_configure(co, r->d, &m, flags, &r->out, &r->err);
}

static void test_environment(void **state)
{
	static const char config[] =
		"{\"initialize\": {\"environment\": [\"FAKE_EXTRA\", \"FAKE_UNSET\"], \"flags\": "
		"[{\"name\": \"fake-key\", \"type\": \"string\", \"env\": \"FAKE_KEY\", \"usage\": "
		"\"x\"}]}, \"do\": {\"configure\": [[\"send\", {\"method\": \"x\"}], "
		"[\"reveal\"]]}}";
	struct run r = {.config = config, .body = echo_env};

	setenv("FAKE_KEY", "k1", 1);
	setenv("FAKE_EXTRA", "x1", 1);
	setenv("FAKE_OTHER", "secret", 1);
	setenv("HTTPS_PROXY", "http://proxy.example:1", 1);
	run(&r);
	unsetenv("FAKE_KEY");
	unsetenv("FAKE_EXTRA");
	unsetenv("HTTPS_PROXY");
	assert_int_equal(r.result, 0);
	assert_string_equal(json_str(json_get(r.out, "FAKE_KEY"), ""), "k1");
	assert_string_equal(json_str(json_get(r.out, "FAKE_EXTRA"), ""), "x1");
	assert_string_equal(json_str(json_get(r.out, "HTTPS_PROXY"), ""), "http://proxy.example:1");
	assert_non_null(json_get(r.out, "PATH"));
	assert_null(json_get(r.out, "FAKE_OTHER"));
	assert_null(json_get(r.out, "MACHINE_TEST_GRACE_MS"));
	finish(&r);
}

static void test_descriptors(void **state)
{
	struct run r = {
		.config = "{\"do\": {\"configure\": [[\"descriptors\"]]}}", .body = echo_env};
	int inherited = dup2(STDOUT_FILENO, 100);

	assert_int_equal(inherited, 100);
	run(&r);
	close(inherited);
	assert_int_equal(r.result, 0);
	assert_non_null(json_get(r.out, "0"));
	assert_non_null(json_get(r.out, "2"));
	assert_null(json_get(r.out, "100"));
	finish(&r);
}

/* --- calls --- */

static int save(struct co *co, void *ud, const struct json *state, struct err *err)
{
	struct run *r = ud;

	json_free(r->out);
	r->out = json_copy(state);
	return 0;
}

static void create(struct co *co, struct run *r)
{
	const struct driver_observer obs = {.userdata = r, .checkpoint = save};

	r->result = run_op(co, r, DRIVER_CREATE, &obs);
}

static void test_create(void **state)
{
	struct run r = {.body = create,
		.state =
			"{\"do\": {\"create\": [[\"checkpoint\", {\"Id\": 1}], [\"answer\", "
			"{\"status\": \"wait\", \"waitFor\": \"Running\", \"retryAfterMs\": 1, "
			"\"message\": \"booting\", \"state\": {\"Id\": 12345678901234567890}}]]}}"};
	_cleanup_free_ char *text = NULL;

	make_machines(&r, 1);
	run(&r);
	assert_int_equal(r.result, 0);
	assert_int_equal(r.outcome.status, OUTCOME_WAIT);
	assert_int_equal(r.outcome.wait_for, STATE_RUNNING);
	assert_int_equal(r.outcome.retry_after_ms, 100);
	assert_string_equal(r.outcome.message, "booting");
	text = json_to_string(r.outcome.state, JSON_COMPACT);
	assert_string_equal(text, "{\"Id\":12345678901234567890}");
	assert_int_equal(json_int_or(json_get(r.out, "Id"), 0), 1);
	finish(&r);
}

static void test_create_is_not_repeated(void **state)
{
	_cleanup_free_ char *log = in_dir("log");
	_cleanup_free_ char *machine = xasprintf(
		"{\"do\": {\"create\": [[\"line\", \"%s\", \"x\"], [\"exit\", 1]]}}", log);
	_cleanup_free_ char *text = NULL;
	struct run r = {.body = create, .state = machine};

	make_machines(&r, 1);
	run(&r);
	text = read_text(log);
	assert_string_equal(text, "x\n");
	assert_int_equal(r.err.code, ERR_CRASHED);
	assert_true(r.err.may_exist);
	assert_string_equal(err_msg(&r.err), "driver \"fake\" exited with status 1 during create");
	finish(&r);
}

#define THROTTLED                                                                             \
	"[\"line\", \"%s\", \"x\"], [\"error\", {\"code\": -32000, \"message\": \"slower\", " \
	"\"data\": {\"kind\": \"throttled\", \"retryAfterMs\": 1}}]"

/* What is under way is the caller's to repeat: only it has the latest checkpoint. */
static void create_throttled(struct co *co, struct run *r)
{
	create(co, r);
	r->calls = pool_limit(r->d->pool);
}

static void test_throttled_create(void **state)
{
	_cleanup_free_ char *log = in_dir("log"), *text = NULL;
	_cleanup_free_ char *machine = xasprintf("{\"do\": {\"create\": [" THROTTLED "]}}", log);
	struct run r = {.body = create_throttled, .state = machine};

	make_machines(&r, 1);
	run(&r);
	text = read_text(log);
	assert_string_equal(text, "x\n");
	assert_int_equal(r.err.code, ERR_THROTTLED);
	assert_int_equal(r.err.retry_after_ms, 1);
	assert_int_equal(r.calls, DRIVER_WORKERS_DEFAULT / 2);
	finish(&r);
}

static void test_throttled_questions(void **state)
{
	_cleanup_free_ char *log = in_dir("log"), *text = NULL;
	_cleanup_free_ char *machine = xasprintf("{\"do\": {\"states\": [" THROTTLED "]}}", log);
	struct run r = {.body = ask_states, .state = machine};

	make_machines(&r, 1);
	run(&r);
	text = read_text(log);
	assert_int_equal(strlen(text) / 2, 1 + THROTTLE_REPEATS_MAX);
	assert_int_equal(r.result, 0);
	assert_int_equal(r.reports[0].error.code, ERR_THROTTLED);
	finish(&r);
}

static void test_configure_is_repeated_once(void **state)
{
	_cleanup_free_ char *mark = in_dir("mark");
	_cleanup_free_ char *config =
		xasprintf("{\"do\": {\"configure\": [[\"once\", \"%s\", [\"kill\", 9]], "
			  "[\"answer\", {\"state\": {\"x\": 1}}]]}}",
			mark);
	struct run r = {.body = echo_env, .config = config};

	run(&r);
	assert_int_equal(r.result, 0);
	assert_int_equal(json_int_or(json_get(r.out, "x"), 0), 1);
	finish(&r);
}

static void test_nonsense_answers(void **state)
{
	struct run r = {.body = echo_env}, c = {.body = create,
						   .state = "{\"do\": {\"create\": [[\"answer\", "
							    "{\"status\": \"perhaps\"}]]}}"};

	run(&r);
	assert_int_equal(r.err.code, ERR_PROTOCOL);
	assert_string_equal(err_msg(&r.err),
		"driver \"fake\" broke the protocol in its answer to configure: state is missing "
		"(D1)");
	finish(&r);
	remove_dir();
	mkdir(dir, 0700);
	make_machines(&c, 1);
	run(&c);
	assert_non_null(strstr(err_msg(&c.err), "answer to create: status is \"perhaps\" (O1)"));
	finish(&c);
}

static void upgrade_info(struct co *co, struct run *r)
{
	enum upgrade_kind kind = UPGRADE_ENGINE;

	r->result = driver_upgrade_info(co, r->d, &r->refs[0], &kind, &r->err);
	r->calls = kind;
}

static void test_upgrade_info(void **state)
{
	static const struct {
		const char *state;
		int result;
		enum upgrade_kind kind;
	} cases[] = {
		{"{\"do\": {\"upgradeInfo\": [[\"answer\", {\"kind\": \"image\"}]]}}", 0,
			UPGRADE_IMAGE},
		{"{\"do\": {\"upgradeInfo\": [[\"error\", {\"code\": -32601, \"message\": "
		 "\"no\"}]]}}",
			0, UPGRADE_ENGINE},
		{"{}", -1, UPGRADE_ENGINE},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct run r = {.body = upgrade_info, .state = cases[i].state};

		make_machines(&r, 1);
		run(&r);
		assert_int_equal(r.result, cases[i].result);
		assert_int_equal(r.calls, cases[i].kind);
		finish(&r);
		remove_dir();
		mkdir(dir, 0700);
	}
}

/* --- many flows, few workers --- */

static void one_flow(struct co *co, size_t i, void *arg)
{
	struct run *r = arg;
	struct err err = ERR_INIT;
	struct driver_outcome o = {0};

	if (driver_run(co, r->d, i % 2 ? DRIVER_START : DRIVER_STOP, &r->refs[i], NULL, &o, &err) <
		0)
		r->failures++;
	r->calls++;
	driver_outcome_finish(&o);
	err_finish(&err);
}

static void many_flows(struct co *co, struct run *r)
{
	r->result = co_each(co, r->n, 0, one_flow, r);
}

static void test_many_flows(void **state)
{
	struct run r = {.body = many_flows,
		.opt = {.max_workers = 4},
		.state = "{\"do\": {\"start\": [[\"answer\", {\"status\": \"done\"}]], \"stop\": "
			 "[[\"answer\", {\"status\": \"done\"}]]}}"};

	make_machines(&r, 500);
	run(&r);
	assert_int_equal(r.calls, 500);
	assert_int_equal(r.failures, 0);
	finish(&r);
}

static void test_every_second_crashes(void **state)
{
	struct run r = {.body = many_flows,
		.opt = {.max_workers = 4},
		.state = "{\"do\": {\"start\": [[\"answer\", {\"status\": \"done\"}]], \"stop\": "
			 "[[\"kill\", 9]]}}"};

	make_machines(&r, 40);
	run(&r);
	assert_int_equal(r.calls, 40);
	assert_int_equal(r.failures, 20); /* and only those that crashed */
	finish(&r);
}

static void canceller(struct co *co, void *arg)
{
	struct run *r = arg;

	co_sleep(co, 300);
	co_cancel(r->co);
}

static void many_flows_cancelled(struct co *co, struct run *r)
{
	co_spawn(loop, "canceller", canceller, r);
	many_flows(co, r);
}

static void test_many_flows_cancelled(void **state)
{
	struct run r = {.body = many_flows_cancelled,
		.opt = {.max_workers = 2},
		.state =
			"{\"do\": {\"start\": [[\"sleep\", 20]], \"stop\": [[\"wait_cancel\"], "
			"[\"error\", {\"message\": \"x\", \"data\": {\"kind\": \"canceled\"}}]]}}"};

	make_machines(&r, 50);
	run(&r);
	assert_int_equal(r.calls, 50);
	assert_int_equal(r.failures, 50);
	assert_in_range(r.took, 300, 15000);
	finish(&r);
}

/* --- states --- */

static const char batches[] =
	"{\"initialize\": {\"capabilities\": {\"statesBatch\": 10, \"maxWorkers\": 3, \"groupBy\": "
	"[\"Zone\"]}}, \"do\": {\"states\": [[\"states\", {\"state\": \"Running\", \"url\": \"u\", "
	"\"ssh\": {\"host\": \"h\", \"port\": 22, \"user\": \"root\"}}]]}}";

static void assert_in_order(const struct run *r)
{
	assert_int_equal(r->result, 0);
	assert_int_equal(r->n_settled, r->n);
	for (size_t i = 0; i < r->n; i++) {
		assert_false(r->reports[i].failed);
		assert_string_equal(r->reports[i].ip, r->refs[i].name);
		assert_int_equal(r->reports[i].state, STATE_RUNNING);
		assert_int_equal(r->reports[i].ssh.port, 22);
		assert_string_equal(r->reports[i].ssh.key_path, "");
	}
}

static void test_states_one_batch(void **state)
{
	struct run r = {.body = ask_states, .config = batches};

	make_machines(&r, 10);
	run(&r);
	assert_in_order(&r);
	assert_int_equal(n_processes(&r), 1);
	finish(&r);
}

static void test_states_batches(void **state)
{
	struct run r = {.body = ask_states, .config = batches};

	make_machines(&r, 95);
	run(&r);
	assert_in_order(&r);
	assert_in_range(n_processes(&r), 1, 3);
	assert_string_equal(strchr(r.reports[0].message, ' '), " 10");
	assert_string_equal(strchr(r.reports[94].message, ' '), " 5");
	finish(&r);
}

static void test_states_groups(void **state)
{
	struct run r = {.body = ask_states, .config = batches};

	make_machines(&r, 15);
	for (size_t i = 0; i < r.n; i++) {
		struct json *machine = (struct json *)(uintptr_t)r.refs[i].state;

		json_set_str(machine, "Zone", i % 3 == 0 ? "a" : i % 3 == 1 ? "b" : "c");
	}
	run(&r);
	assert_in_order(&r);
	for (size_t i = 0; i < r.n; i++)
		assert_string_equal(strchr(r.reports[i].message, ' '), " 5");
	finish(&r);
}

static void test_states_crash(void **state)
{
	/* whatever batch begins with machine 10 has its process die; the others are asked without
	 */
	struct run r = {.body = ask_states,
		.config = "{\"initialize\": {\"capabilities\": {\"statesBatch\": 10}}, \"do\": "
			  "{\"states\": [[\"states\", {\"state\": \"Running\", \"ssh\": {\"port\": "
			  "22}}]]}}"};

	make_machines(&r, 30);
	json_set((struct json *)(uintptr_t)r.refs[10].state, "do",
		parse("{\"states\": [[\"stderr\", \"oh no\"], [\"exit\", 7]]}"));
	run(&r);
	assert_int_equal(r.result, 0);
	assert_int_equal(r.n_settled, 30);
	for (size_t i = 0; i < r.n; i++) {
		assert_int_equal(r.reports[i].failed, i == 10);
		if (r.reports[i].failed)
			assert_string_equal(err_msg(&r.reports[i].error),
				"driver \"fake\" exited with status 7 during states; its last "
				"words: oh no");
	}
	finish(&r);
}

static void test_states_all_crash(void **state)
{
	/* a driver that is broken altogether is not started for every machine */
	struct run r = {.body = ask_states, .config = "{\"do\": {\"states\": [[\"exit\", 7]]}}"};

	make_machines(&r, 190);
	run(&r);
	assert_int_equal(r.result, 0);
	assert_int_equal(r.n_settled, 190);
	for (size_t i = 0; i < r.n; i++)
		assert_int_equal(r.reports[i].error.code, ERR_CRASHED);
	finish(&r);
}

static void test_states_one_failed(void **state)
{
	struct run r = {.body = ask_states,
		.config =
			"{\"do\": {\"states\": [[\"states\", {\"state\": \"Stopped\"}, "
			"{\"error\": {\"code\": -32000, \"message\": \"403 Forbidden\", \"data\": "
			"{\"kind\": \"auth\"}}}, {\"state\": \"Confused\"}]]}}"};

	make_machines(&r, 3);
	run(&r);
	assert_int_equal(r.result, 0);
	assert_int_equal(r.reports[0].state, STATE_STOPPED);
	assert_true(r.reports[1].failed);
	assert_int_equal(r.reports[1].error.code, ERR_AUTH);
	assert_string_equal(err_msg(&r.reports[1].error), "403 Forbidden");
	assert_true(r.reports[2].failed);
	assert_non_null(strstr(err_msg(&r.reports[2].error), "\"Confused\" is no state"));
	finish(&r);
}

static void test_states_wrong_number(void **state)
{
	struct run r = {.body = ask_states,
		.config = "{\"do\": {\"states\": [[\"answer\", {\"machines\": [{}, {}, {}]}]]}}"};

	make_machines(&r, 2);
	run(&r);
	assert_true(r.reports[0].failed);
	assert_non_null(strstr(err_msg(&r.reports[1].error), "3 reports for 1 machines (S1)"));
	finish(&r);
}

static void ask_with_deadline(struct co *co, struct run *r)
{
	struct co_deadline d;

	co_deadline_begin(co, &d, 200);
	ask_states(co, r);
	co_deadline_end(co, &d);
}

static void check_deadline(const char *config)
{
	struct run r = {.body = ask_with_deadline, .config = config};

	make_machines(&r, 5);
	run(&r);
	assert_int_equal(r.result, -1);
	assert_int_equal(r.err.code, ERR_TIMEOUT);
	assert_int_equal(r.n_settled, 5);
	for (size_t i = 0; i < r.n; i++) {
		assert_true(r.reports[i].failed);
		assert_int_equal(r.reports[i].error.code, ERR_TIMEOUT);
	}
	assert_in_range(r.took, 200, 3000);
	finish(&r);
}

static void test_states_deadline(void **state)
{
	check_deadline("{\"do\": {\"states\": [[\"sleep\", 20]]}}");
}

/* What a driver says that was told to stop is no report. */
static void test_states_stopped_by_deadline(void **state)
{
	check_deadline("{\"do\": {\"states\": [[\"wait_cancel\"], [\"states\", {\"error\": "
		       "{\"code\": -32000, \"message\": \"states: cancelled\", \"data\": "
		       "{\"kind\": \"canceled\"}}}]]}}");
}

static int listen_somewhere(int *ret_port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 1024), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	*ret_port = ntohs(a.sin_port);
	return fd;
}

static void test_states_probes(void **state)
{
	int open_port, closed_port, fd = listen_somewhere(&open_port);
	int other = listen_somewhere(&closed_port);
	_cleanup_free_ char *config = xasprintf(
		"{\"initialize\": {\"capabilities\": {\"statesBatch\": 300}}, \"do\": {\"states\": "
		"[[\"states\", {\"probe\": {\"tcp\": \"127.0.0.1:%d\", "
		"\"open\": "
		"\"Running\", \"closed\": \"Stopped\"}}, {\"probe\": {\"tcp\": \"127.0.0.1:%d\", "
		"\"open\": \"Running\", \"closed\": \"Timeout\"}}, {\"probe\": {\"tcp\": "
		"\"rubbish\"}}]]}}",
		open_port, closed_port);
	struct run r = {.body = ask_states, .config = config};

	close(other);
	make_machines(&r, 600);
	run(&r);
	close(fd);
	assert_int_equal(r.result, 0);
	assert_int_equal(r.n_settled, 600);
	for (size_t i = 0; i < r.n; i += 3) {
		assert_int_equal(r.reports[i].state, STATE_RUNNING);
		assert_string_equal(r.reports[i].message, ""); /* it is about a closed one */
		assert_int_equal(r.reports[i + 1].state, STATE_TIMEOUT);
		assert_string_not_equal(r.reports[i + 1].message, "");
		assert_true(r.reports[i + 2].failed);
	}
	finish(&r);
}

static void test_probe_past_deadline(void **state)
{
	/* 192.0.2.1 never answers; without any route it fails at once, which is fine, too */
	struct run r = {.body = ask_with_deadline,
		.config = "{\"do\": {\"states\": [[\"states\", {\"probe\": {\"tcp\": "
			  "\"192.0.2.1:22\"}}]]}}"};

	make_machines(&r, 3);
	run(&r);
	assert_int_equal(r.n_settled, 3);
	assert_in_range(r.took, 0, 3000);
	if (r.result < 0)
		assert_int_equal(r.reports[0].error.code, ERR_TIMEOUT);
	finish(&r);
}

static void test_trace(void **state)
{
	_cleanup_free_ char *file = in_dir("trace");
	_cleanup_free_ char *text = NULL;
	struct run r = {.body = echo_env,
		.opt = {.trace_file = file},
		.config = "{\"do\": {\"configure\": [[\"answer\", {\"state\": {}}]]}}"};
	struct stat st;

	run(&r);
	assert_int_equal(r.result, 0);
	text = read_text(file);
	assert_non_null(strstr(text, " > {\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\""));
	assert_non_null(strstr(text, " < {\"jsonrpc\":\"2.0\",\"id\":2,\"result\""));
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	finish(&r);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(test_##name, fixture_setup, fixture_teardown)
	static const struct CMUnitTest tests[] = {T(open), T(open_unknown), T(bad_starts),
		T(silent_start), T(text_instead_of_a_driver), T(environment), T(descriptors),
		T(create), T(create_is_not_repeated), T(throttled_create), T(throttled_questions),
		T(configure_is_repeated_once), T(nonsense_answers), T(upgrade_info), T(many_flows),
		T(every_second_crashes), T(many_flows_cancelled), T(states_one_batch),
		T(states_batches), T(states_groups), T(states_crash), T(states_all_crash),
		T(states_one_failed), T(states_wrong_number), T(states_deadline),
		T(states_stopped_by_deadline), T(states_probes), T(probe_past_deadline), T(trace)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
