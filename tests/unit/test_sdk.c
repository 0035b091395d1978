/* What the SDK answers: initialize, wrong messages and params, results. */
#include "sdk_fixture.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static void test_initialize(void **state)
{
	struct host *h = *state;
	_cleanup_json_ struct json *first = NULL, *again = NULL;

	send_machine(h, 1, "create", "x");
	expect_error(h, 1, RPC_NOT_INITIALIZED, NULL);
	send_request(h, 2, "nonsense", "{}");
	expect_error(h, 2, RPC_NOT_INITIALIZED, NULL);
	send_text(h, "{\"jsonrpc\":\"2.0\",\"method\":\"nonsense\"}");
	send_request(h, 3, "initialize", "{}");
	expect_error(h, 3, RPC_INVALID_PARAMS, NULL);
	send_request(h, 4, "initialize", "{\"protocolVersions\":[2,3]}");
	expect_error(h, 4, RPC_DRIVER_ERROR, "notSupported");
	send_machine(h, 5, "create", "x");
	expect_error(h, 5, RPC_NOT_INITIALIZED, NULL);
	for (int i = 0; i < 2; i++) {
		send_request(h, 6, "initialize", "{\"protocolVersions\":[2,1]}");
		*(i ? &again : &first) = receive(h);
	}
	assert_true(json_equal(first, again));
	assert_int_equal(end_driver(h), 0);
}

static void test_description(void **state)
{
	struct host *h = *state;
	_cleanup_json_ struct json *m = NULL;

	send_request(h, 1, "initialize", "{\"protocolVersions\":[1]}");
	m = receive(h);
	const struct json *can = json_path(m, "result", "capabilities", NULL);
	const struct json *wanted = json_path(m, "result", "environment", NULL);
	assert_true(json_bool_or(json_get(can, "provision"), false));
	assert_int_equal(json_int_or(json_get(can, "maxWorkers"), 0), 8);
	assert_int_equal(json_int_or(json_get(can, "statesBatch"), 0), 200);
	assert_null(json_get(can, "machinesAtOnce"));
	assert_string_equal(json_str(json_at(wanted, 0), ""), "FOO");
	assert_int_equal(json_path(m, "result", "flags", NULL)->n, TEST_DRIVER_FLAGS);
}

static void test_bad_messages(void **state)
{
	struct host *h = *state;
	char deep[2 * 70 + 1];

	memset(deep, '[', 70);
	memset(deep + 70, ']', 70);
	deep[140] = '\0';
	send_text(h, "{");
	expect_error(h, 0, RPC_PARSE_ERROR, NULL);
	send_text(h, "\"\xff\"");
	expect_error(h, 0, RPC_PARSE_ERROR, NULL);
	send_text(h, deep);
	expect_error(h, 0, RPC_PARSE_ERROR, NULL);
	send_text(h, "[]");
	expect_error(h, 0, RPC_INVALID_REQUEST, NULL);
	send_text(h, "{\"jsonrpc\":\"1.0\",\"id\":7,\"method\":\"states\"}");
	expect_error(h, 7, RPC_INVALID_REQUEST, NULL);
	send_text(h, "{\"jsonrpc\":\"2.0\",\"id\":8,\"result\":{}}"); /* R7 */
	send_request(h, 9, "nonsense", "{}");
	expect_error(h, 9, RPC_METHOD_NOT_FOUND, NULL);
	assert_int_equal(end_driver(h), 0);
}

static void test_bad_params(void **state)
{
	static const char *const params[] = {"{}", "{\"machine\":1}",
		"{\"machine\":{\"name\":\"x\",\"id\":\"\",\"dir\":\"\",\"storePath\":\"\"}}",
		"{\"machine\":{\"name\":\"\",\"id\":\"\",\"dir\":\"\",\"storePath\":\"\",\"state\":"
		"{}}}",
		"{\"machine\":{\"name\":\"x\",\"id\":3,\"dir\":\"\",\"storePath\":\"\",\"state\":{}"
		"}}"};
	static const char machine[] = "{\"machine\":{\"name\":\"x\",\"id\":\"\",\"dir\":\"\","
				      "\"storePath\":\"\",\"state\":{}}%s}";
	static const char *const flag_values[] = {"", ",\"flags\":[]", ",\"flags\":{\"text\":1}",
		",\"flags\":{\"number\":\"1\"}", ",\"flags\":{\"bool\":0}",
		",\"flags\":{\"list\":[1]}"};
	static const char *const methods[] = {
		"configure", "preCreateCheck", "create", "stop", "states", "upgradeInfo"};
	struct host *h = *state;

	for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
		for (size_t j = 0; j < ARRAY_SIZE(params); j++) {
			send_request(h, 1, methods[i], params[j]);
			expect_error(h, 1, RPC_INVALID_PARAMS, NULL);
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(flag_values); i++) {
		_cleanup_buf_ struct buf text = BUF_INIT;
		buf_add(&text, machine, strlen(machine) - 3);
		buf_addf(&text, "%s}", flag_values[i]);
		send_request(h, 1, "configure", buf_str(&text));
		expect_error(h, 1, RPC_INVALID_PARAMS, NULL);
	}
	send_request(h, 1, "states", "{\"machines\":[1]}");
	expect_error(h, 1, RPC_INVALID_PARAMS, NULL);
	send_request(h, 2, "states", "{\"machines\":[]}");
	expect(h, "{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{\"machines\":[]}}");
}

static void test_broken_frame(void **state)
{
	struct host *h = *state;

	assert_int_equal(write(h->to, "Content-Length: x\r\n\r\n", 21), 21);
	poll(&(struct pollfd){.fd = h->from, .events = POLLIN}, 1, PATIENCE_MS);
	assert_int_equal(end_driver(h), 1);
}

static void test_configure(void **state)
{
	static const char base[] =
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"state\":{\"Kept\":1.50,"
		"\"IPAddress\":\"\",\"MachineName\":\"x\",\"SSHUser\":\"\",\"SSHPort\":0,"
		"\"SSHKeyPath\":\"\",\"StorePath\":\"/s\",\"SwarmMaster\":false,"
		"\"SwarmHost\":\"\",\"SwarmDiscovery\":\"\",\"Text\":\"t\",\"Number\":7,"
		"\"Bool\":false,\"List\":[\"a\",\"b\"]}}}";
	static const char machine[] = "\"machine\":{\"name\":\"x\",\"id\":\"\",\"dir\":\"/d\","
				      "\"storePath\":\"/s\",\"state\":{}}";
	struct host *h = *state;
	_cleanup_free_ char *empty = xasprintf("{%s,\"flags\":{\"text\":\"\"}}", machine);
	_cleanup_free_ char *checkpoint = xasprintf("{%s,\"flags\":{\"bool\":true}}", machine);

	send_machine(h, 1, "configure", "x");
	expect(h, base);
	send_request(h, 2, "configure", empty);
	expect_error(h, 2, RPC_DRIVER_ERROR, "user");
	send_request(h, 3, "configure", checkpoint); /* C1 */
	expect_error(h, 3, RPC_DRIVER_ERROR, "internal");
}

static void test_outcomes(void **state)
{
	struct host *h = *state;

	send_machine(h, 1, "create", "x");
	expect(h, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"status\":\"done\",\"state\":{"
		  "\"Kept\":1.50}}}");
	send_machine(h, 2, "create", "wait");
	expect(h, "{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{\"status\":\"wait\",\"state\":{"
		  "\"Kept\":1.50},\"retryAfterMs\":100,\"waitFor\":\"Running\",\"message\":"
		  "\"it boots\"}}");
	send_machine(h, 3, "create", "run");
	expect(h, "{\"jsonrpc\":\"2.0\",\"id\":3,\"result\":{\"status\":\"run\",\"state\":{"
		  "\"Kept\":1.50},\"command\":\"reboot\",\"disconnects\":true}}");
	send_machine(h, 33, "create", "again");
	expect(h, "{\"jsonrpc\":\"2.0\",\"id\":33,\"result\":{\"status\":\"run\",\"state\":{"
		  "\"Kept\":1.50},\"command\":\"true\",\"disconnects\":false,\"again\":true}}");
	send_machine(h, 4, "create", "defect");
	expect_error(h, 4, RPC_DRIVER_ERROR, "internal");
	send_machine(h, 44, "create", "nothing");
	expect_error(h, 44, RPC_DRIVER_ERROR, "internal");
	send_machine(h, 5, "create", "silent");
	expect_error(h, 5, RPC_DRIVER_ERROR, "internal");
	send_machine(h, 6, "create", "huge");
	expect_error(h, 6, RPC_DRIVER_ERROR, "internal");
	send_machine(h, 7, "create", "latin1");
	expect(h,
		"{\"jsonrpc\":\"2.0\",\"id\":7,\"error\":{\"code\":-32000,\"message\":"
		"\"caf\xef\xbf\xbd \xe2\x82\xac\",\"data\":{\"kind\":\"quota\",\"retryable\":false,"
		"\"retryAfterMs\":0,\"mayExist\":false}}}");
	send_machine(h, 8, "stop", "x");
	expect(h, "{\"jsonrpc\":\"2.0\",\"id\":8,\"error\":{\"code\":-32000,\"message\":"
		  "\"the unit driver does not support stop\",\"data\":{\"kind\":\"notSupported\","
		  "\"retryable\":false,\"retryAfterMs\":0,\"mayExist\":false}}}");
	send_machine(h, 9, "remove", "x");
	json_free(receive(h));
	send_machine(h, 10, "upgradeInfo", "x");
	expect(h, "{\"jsonrpc\":\"2.0\",\"id\":10,\"result\":{\"kind\":\"engine\"}}");
	send_machine(h, 11, "upgradeImage", "x");
	expect_error(h, 11, RPC_DRIVER_ERROR, "notSupported");
	send_machine(h, 12, "preCreateCheck", "x");
	expect(h, "{\"jsonrpc\":\"2.0\",\"id\":12,\"result\":{}}");
}

static void test_notifications(void **state)
{
	struct host *h = *state;

	send_machine(h, 1, "create", "talk");
	expect(h, "{\"jsonrpc\":\"2.0\",\"method\":\"progress\",\"params\":{\"request\":1,"
		  "\"message\":\"one 1\"}}");
	expect(h, "{\"jsonrpc\":\"2.0\",\"method\":\"progress\",\"params\":{\"request\":1,"
		  "\"message\":\"two\",\"current\":2,\"total\":3}}");
	expect(h, "{\"jsonrpc\":\"2.0\",\"method\":\"log\",\"params\":{\"level\":\"warn\","
		  "\"message\":\"three\"}}");
	json_free(receive(h));
}

static void test_states(void **state)
{
	struct host *h = *state;

	send_request(h, 1, "states",
		"{\"machines\":[{\"name\":\"bad\",\"id\":\"\",\"dir\":\"\",\"storePath\":\"\","
		"\"state\":{}},{\"name\":\"x\",\"id\":\"\",\"dir\":\"\",\"storePath\":\"\","
		"\"state\":{}}]}");
	expect(h, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"machines\":[{\"error\":{\"code\":"
		  "-32000,\"message\":\"no\",\"data\":{\"kind\":\"auth\",\"retryable\":true,"
		  "\"retryAfterMs\":0,\"mayExist\":false}}},{\"state\":\"Paused\",\"ssh\":{"
		  "\"host\":\"::1\"},\"probe\":{\"tcp\":\"[::1]:22\",\"open\":\"Running\"}}]"
		  "}}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITHOUT_HELLO(test_initialize),
		WITHOUT_HELLO(test_description),
		WITHOUT_HELLO(test_broken_frame),
		WITH_PIPE(test_bad_messages),
		WITH_PIPE(test_bad_params),
		WITH_PIPE(test_configure),
		WITH_PIPE(test_outcomes),
		WITH_PIPE(test_notifications),
		WITH_PIPE(test_states),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
