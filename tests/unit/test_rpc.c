#include "buf.h"
#include "mem.h"
#include "rpc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above it */
#include <cmocka.h>

#include <string.h>

static int parse(const char *text, struct rpc_msg *m, int *code, int64_t *id)
{
	_cleanup_err_ struct err err = ERR_INIT;
	int r = rpc_parse(text, strlen(text), m, code, id, &err);

	assert_int_equal(err.code, r < 0 ? ERR_PROTOCOL : ERR_NONE);
	return r;
}

static void check_refused(const char *text, int want_code, int64_t want_id)
{
	struct rpc_msg m;
	int64_t id;
	int code;

	if (parse(text, &m, &code, &id) == 0)
		fail_msg("accepted: %s", text);
	if (code != want_code || id != want_id)
		fail_msg("%s: code %d id %lld", text, code, (long long)id);
}

static struct rpc_msg accept(const char *text, enum rpc_kind kind)
{
	struct rpc_msg m = RPC_MSG_INIT;
	int64_t id;
	int code;

	if (parse(text, &m, &code, &id) < 0)
		fail_msg("refused: %s", text);
	assert_int_equal(m.kind, kind);
	assert_int_equal(m.id, id);
	return m;
}

#define V "\"jsonrpc\":\"2.0\""

static void test_calls(void **state)
{
	struct rpc_msg m =
		accept("{" V ",\"id\":7,\"method\":\"m\",\"params\":{\"a\":1}}", RPC_REQUEST);

	assert_int_equal(m.id, 7);
	assert_string_equal(m.method, "m");
	assert_int_equal(json_int_or(json_get(m.params, "a"), 0), 1);
	rpc_msg_finish(&m);
	m = accept("{" V ",\"method\":\"$/x\",\"more\":[]}", RPC_NOTIFICATION);
	assert_int_equal(m.id, 0);
	assert_true(json_is(m.params, JSON_OBJECT));
	rpc_msg_finish(&m);
	m = accept("{" V ",\"id\":9007199254740991,\"method\":\"m\"}", RPC_REQUEST);
	rpc_msg_finish(&m);
}

static void test_answers(void **state)
{
	struct rpc_msg m = accept("{" V ",\"id\":1,\"result\":{\"state\":{}}}", RPC_RESULT);

	assert_non_null(json_get(m.result, "state"));
	rpc_msg_finish(&m);
	m = accept("{" V ",\"id\":2,\"error\":{\"code\":-32000,\"message\":\"no\",\"data\":{"
		   "\"kind\":\"throttled\",\"retryable\":true,\"retryAfterMs\":999999999,"
		   "\"mayExist\":true}}}",
		RPC_ERROR);
	assert_int_equal(m.error_code, RPC_DRIVER_ERROR);
	assert_int_equal(m.error.code, ERR_THROTTLED);
	assert_int_equal(m.error.retry_after_ms, 600000);
	assert_true(m.error.retryable && m.error.may_exist);
	rpc_msg_finish(&m);
	m = accept("{" V ",\"id\":null,\"error\":{\"code\":-32700,\"message\":\"x\"}}", RPC_ERROR);
	assert_int_equal(m.id, 0);
	assert_int_equal(m.error_code, RPC_PARSE_ERROR);
	assert_int_equal(m.error.code, ERR_INTERNAL);
	rpc_msg_finish(&m);
	m = accept("{" V ",\"id\":3,\"error\":{\"code\":-32601}}", RPC_ERROR);
	assert_int_equal(m.error.code, ERR_NOT_SUPPORTED);
	assert_string_equal(err_msg(&m.error), "an error without a message");
	rpc_msg_finish(&m);
}

static void test_refused(void **state)
{
	check_refused("{", RPC_PARSE_ERROR, 0);
	check_refused("\xff", RPC_PARSE_ERROR, 0);
	check_refused("[]", RPC_INVALID_REQUEST, 0);
	check_refused("{}", RPC_INVALID_REQUEST, 0);
	check_refused("{\"id\":5,\"method\":\"m\"}", RPC_INVALID_REQUEST, 5);
	check_refused("{\"jsonrpc\":2.0,\"id\":5,\"method\":\"m\"}", RPC_INVALID_REQUEST, 5);
	check_refused("{" V ",\"id\":0,\"method\":\"m\"}", RPC_INVALID_REQUEST, 0);
	check_refused("{" V ",\"id\":-1,\"method\":\"m\"}", RPC_INVALID_REQUEST, 0);
	check_refused("{" V ",\"id\":1.5,\"method\":\"m\"}", RPC_INVALID_REQUEST, 0);
	check_refused("{" V ",\"id\":\"1\",\"method\":\"m\"}", RPC_INVALID_REQUEST, 0);
	check_refused("{" V ",\"id\":null,\"method\":\"m\"}", RPC_INVALID_REQUEST, 0);
	check_refused("{" V ",\"id\":9007199254740992,\"method\":\"m\"}", RPC_INVALID_REQUEST, 0);
	check_refused("{" V ",\"id\":4,\"method\":5}", RPC_INVALID_REQUEST, 4);
	check_refused("{" V ",\"id\":4,\"method\":\"m\",\"params\":[]}", RPC_INVALID_PARAMS, 4);
	check_refused("{" V ",\"id\":4,\"method\":\"m\",\"result\":{}}", RPC_INVALID_REQUEST, 4);
	check_refused("{" V ",\"id\":4}", RPC_INVALID_REQUEST, 4);
	check_refused("{" V ",\"id\":4,\"result\":[]}", RPC_INVALID_REQUEST, 4);
	check_refused("{" V ",\"id\":4,\"result\":{},\"error\":{}}", RPC_INVALID_REQUEST, 4);
	check_refused("{" V ",\"id\":4,\"error\":\"x\"}", RPC_INVALID_REQUEST, 4);
	check_refused("{" V ",\"result\":{}}", RPC_INVALID_REQUEST, 0);
	check_refused("{" V ",\"error\":{}}", RPC_INVALID_REQUEST, 0);
}

static void test_writers(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	_cleanup_err_ struct err err = ERR_INIT;
	_cleanup_json_ struct json *params = json_object();

	json_set(params, "a", json_int(1));
	rpc_write_request(&b, 3, "m\"", params);
	assert_string_equal(
		buf_str(&b), "{" V ",\"id\":3,\"method\":\"m\\\"\",\"params\":{\"a\":1}}");
	buf_clear(&b);
	rpc_write_notification(&b, "log", NULL);
	assert_string_equal(buf_str(&b), "{" V ",\"method\":\"log\"}");
	buf_clear(&b);
	rpc_write_result(&b, 3, NULL);
	assert_string_equal(buf_str(&b), "{" V ",\"id\":3,\"result\":{}}");
	buf_clear(&b);
	err_set(&err, ERR_PROTOCOL, "bad");
	rpc_write_error(&b, 0, RPC_PARSE_ERROR, &err);
	assert_string_equal(
		buf_str(&b), "{" V ",\"id\":null,\"error\":{\"code\":-32700,\"message\":\"bad\"}}");
	buf_clear(&b);
	err_set(&err, ERR_NOT_FOUND, "gone \xff");
	rpc_write_error(&b, 8, RPC_DRIVER_ERROR, &err);
	assert_string_equal(buf_str(&b),
		"{" V ",\"id\":8,\"error\":{\"code\":-32000,\"message\":\"gone \\ufffd\",\"data\":"
		"{\"kind\":\"notFound\",\"retryable\":false,\"retryAfterMs\":0,"
		"\"mayExist\":false}}}");
}

static void test_error_round_trip(void **state)
{
	_cleanup_err_ struct err a = ERR_INIT;
	_cleanup_err_ struct err b = ERR_INIT;
	_cleanup_json_ struct json *j = NULL;

	err_set(&a, ERR_QUOTA, "limit\nreached");
	a.retryable = true;
	a.retry_after_ms = 1500;
	j = rpc_error_to_json(RPC_DRIVER_ERROR, &a);
	assert_int_equal(rpc_error_from_json(j, &b), RPC_DRIVER_ERROR);
	assert_int_equal(b.code, ERR_QUOTA);
	assert_int_equal(b.retry_after_ms, 1500);
	assert_true(b.retryable);
	assert_string_equal(err_msg(&b), "limit\nreached");
	assert_int_equal(rpc_error_from_json(NULL, &b), RPC_DRIVER_ERROR);
	assert_int_equal(b.code, ERR_INTERNAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_calls),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_writers),
		cmocka_unit_test(test_error_round_trip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
