/* The states of many machines: batches, crashes, deadlines, probes. */
#include "driver_fixture.h"

#include <netinet/in.h>
#include <sys/socket.h>

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

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(test_##name, fixture_setup, fixture_teardown)
	static const struct CMUnitTest tests[] = {T(states_one_batch), T(states_batches),
		T(states_groups), T(states_crash), T(states_all_crash), T(states_one_failed),
		T(states_wrong_number), T(states_deadline), T(states_stopped_by_deadline),
		T(states_probes), T(probe_past_deadline)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
