/* While a request is served: checkpoints, cancels, requests that come too early, the end. */
#include "sdk_fixture.h"

#include <signal.h>
#include <unistd.h>

static void test_checkpoint(void **state)
{
	struct host *h = *state;

	send_machine(h, 1, "create", "checkpoint");
	expect_step(h, 1);
	send_text(h, "{\"jsonrpc\":\"2.0\",\"id\":99,\"result\":{}}"); /* R7: ignored */
	send_text(h, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}");
	expect_step(h, 2);
	send_text(h, "{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{}}");
	expect(h, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"status\":\"done\",\"state\":{"
		  "\"Kept\":1.50,\"Step\":2}}}");
}

/* C3, even when the driver takes no notice. */
static void test_checkpoint_refused(void **state)
{
	static const char *const names[] = {"checkpoint", "stubborn"};
	struct host *h = *state;

	for (int i = 0; i < 2; i++) {
		_cleanup_json_ struct json *checkpoint = NULL;
		_cleanup_free_ char *refusal = NULL;

		send_machine(h, 10 + i, "create", names[i]);
		checkpoint = receive(h);
		refusal = xasprintf("{\"jsonrpc\":\"2.0\",\"id\":%lld,\"error\":{\"code\":-32000,"
				    "\"message\":\"disk full\"}}",
			(long long)json_int_or(json_get(checkpoint, "id"), 0));
		send_text(h, refusal);
		expect_error(h, 10 + i, RPC_DRIVER_ERROR, "internal");
	}
}

static void test_checkpoint_cancelled(void **state)
{
	struct host *h = *state;

	send_machine(h, 1, "create", "checkpoint");
	expect_step(h, 1);
	send_cancel(h, 5); /* X4 */
	send_cancel(h, 1);
	send_text(h, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}");
	expect_error(h, 1, RPC_DRIVER_ERROR, "canceled");
}

static void test_cancel(void **state)
{
	struct host *h = *state;

	send_cancel(h, 1);
	send_machine(h, 1, "create", "sleep");
	send_cancel(h, 2);
	send_cancel(h, 1);
	expect_error(h, 1, RPC_DRIVER_ERROR, "canceled");
	send_machine(h, 2, "create", "x");
	json_free(receive(h));
}

/* Not as a report of the one machine that was being asked about. */
static void test_cancel_states(void **state)
{
	struct host *h = *state;

	send_request(h, 1, "states",
		"{\"machines\":[{\"name\":\"slow\",\"id\":\"\",\"dir\":\"\",\"storePath\":\"\","
		"\"state\":{}}]}");
	send_cancel(h, 1);
	expect_error(h, 1, RPC_DRIVER_ERROR, "canceled");
}

/* One request that comes too early waits, the next is refused. */
static void test_early_request(void **state)
{
	struct host *h = *state;

	send_machine(h, 1, "create", "sleep");
	send_machine(h, 2, "upgradeInfo", "x");
	send_machine(h, 3, "upgradeInfo", "x");
	expect_error(h, 3, RPC_INVALID_REQUEST, NULL);
	send_cancel(h, 1);
	expect_error(h, 1, RPC_DRIVER_ERROR, "canceled");
	expect(h, "{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{\"kind\":\"engine\"}}");
}

static void test_end(void **state)
{
	assert_int_equal(end_driver(*state), 0);
}

static void test_end_asleep(void **state)
{
	send_machine(*state, 1, "create", "sleep");
	assert_int_equal(end_driver(*state), 0);
}

static void test_end_blocked(void **state)
{
	send_machine(*state, 1, "create", "block");
	assert_int_equal(end_driver(*state), 0);
}

static void test_end_in_checkpoint(void **state)
{
	struct host *h = *state;

	send_machine(h, 1, "create", "checkpoint");
	expect_step(h, 1);
	assert_int_equal(end_driver(h), 0);
}

static void test_output_closed(void **state)
{
	struct host *h = *state;

	close(h->from);
	h->from = -1;
	send_machine(h, 1, "create", "talk");
	assert_int_equal(end_driver(h), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_PIPE(test_checkpoint),
		WITH_SOCKETS(test_checkpoint),
		WITH_PIPE(test_checkpoint_refused),
		WITH_PIPE(test_checkpoint_cancelled),
		WITH_PIPE(test_cancel),
		WITH_PIPE(test_cancel_states),
		WITH_PIPE(test_early_request),
		WITH_PIPE(test_end),
		WITHOUT_HELLO(test_end),
		WITH_SOCKETS(test_end),
		WITH_PIPE(test_end_asleep),
		WITH_PIPE(test_end_blocked),
		WITH_SOCKETS(test_end_blocked),
		WITH_PIPE(test_end_in_checkpoint),
		WITH_PIPE(test_output_closed),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
