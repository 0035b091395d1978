/* A message that is accepted is written again as one that means the same. */
#include "buf.h"
#include "mem.h"
#include "rpc.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_again(const struct rpc_msg *m, struct buf *out)
{
	switch (m->kind) {
	case RPC_REQUEST:
		rpc_write_request(out, m->id, m->method, m->params);
		break;
	case RPC_NOTIFICATION:
		rpc_write_notification(out, m->method, m->params);
		break;
	case RPC_RESULT:
		rpc_write_result(out, m->id, m->result);
		break;
	case RPC_ERROR:
		rpc_write_error(out, m->id, m->error_code, &m->error);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_rpc_ struct rpc_msg m = RPC_MSG_INIT, again = RPC_MSG_INIT;
	_cleanup_buf_ struct buf text = BUF_INIT;
	_cleanup_err_ struct err err = ERR_INIT;
	int64_t id = -1;
	int code = 0;

	if (rpc_parse((const char *)data, size, &m, &code, &id, &err) < 0) {
		if (err.code != ERR_PROTOCOL || id < 0 || id > RPC_MAX_ID ||
			(code != RPC_PARSE_ERROR && code != RPC_INVALID_REQUEST &&
				code != RPC_INVALID_PARAMS))
			abort();
		return 0;
	}
	if (id != m.id || (m.kind == RPC_REQUEST) != (m.method && id != 0))
		abort();
	write_again(&m, &text);
	if (rpc_parse(text.data, text.len, &again, &code, &id, &err) < 0)
		abort();
	if (again.kind != m.kind || again.id != m.id || !json_equal(again.params, m.params) ||
		!json_equal(again.result, m.result) || again.error_code != m.error_code ||
		(m.error_code == RPC_DRIVER_ERROR && again.error.code != m.error.code) ||
		strcmp(err_msg(&again.error), err_msg(&m.error)) != 0)
		abort();
	return 0;
}
