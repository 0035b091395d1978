/* Start, initialize, and the loop that serves one request after the other. */
#include "sdk.h"

#include "config.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct json *names(const char *const *list)
{
	struct json *array = json_array();

	for (; list && *list; list++)
		json_add(array, json_string(*list));
	return array;
}

static const char *driver_version(const struct md_driver *d)
{
	return d->version ? d->version : MACHINE_VERSION;
}

static unsigned at_once(const struct md_driver *d)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);

	if (d->machines_at_once != MD_AS_PROCESSORS)
		return d->machines_at_once;
	return processors > 2 ? (unsigned)processors : 2;
}

static struct json *describe(const struct md_driver *d)
{
	unsigned workers = d->max_workers ? d->max_workers : SDK_MAX_WORKERS_DEFAULT;
	unsigned batch = d->states_batch ? d->states_batch : SDK_STATES_BATCH_DEFAULT;
	struct json *driver = json_object(), *can = json_object(), *result = json_object();

	json_set(result, "protocolVersion", json_int(SDK_PROTOCOL_VERSION));
	json_set_str(driver, "name", d->name);
	json_set_str(driver, "version", driver_version(d));
	json_set_str(driver, "description", d->description ? d->description : "");
	json_set(result, "driver", driver);
	json_set(can, "provision", json_bool(!d->no_provision));
	json_set(can, "maxWorkers", json_int(workers));
	json_set(can, "statesBatch", json_int(batch));
	json_set(can, "groupBy", names(d->group_by));
	if (d->machines_at_once)
		json_set(can, "machinesAtOnce", json_int(at_once(d)));
	json_set(result, "capabilities", can);
	json_set(result, "environment", names(d->environment));
	json_set(result, "flags", flagspec_to_json(d->flags, d->n_flags));
	return result;
}

/* 0, or the code of the error that err tells. */
static int negotiate(const struct json *params, struct err *err)
{
	const struct json *versions = json_get(params, "protocolVersions");
	int64_t version;

	if (!json_is(versions, JSON_ARRAY) || versions->n == 0) {
		err_set(err, ERR_USER, "initialize: protocolVersions is not a list of versions");
		return RPC_INVALID_PARAMS;
	}
	for (size_t i = 0; i < versions->n; i++)
		if (json_to_int(versions->items[i], &version) && version == SDK_PROTOCOL_VERSION)
			return 0;
	err_set(err, ERR_NOT_SUPPORTED,
		"this driver speaks version %d of the driver protocol, and the program that "
		"started it does not",
		SDK_PROTOCOL_VERSION);
	return RPC_DRIVER_ERROR;
}

static void initialize(struct sdk_conn *c, const struct md_driver *d, const struct rpc_msg *request)
{
	_cleanup_json_ struct json *result = NULL;
	_cleanup_err_ struct err err = ERR_INIT;
	int code = negotiate(request->params, &err);

	if (code) {
		sdk_conn_send_error(c, request->id, code, &err);
		return;
	}
	if (json_bool_or(json_get(request->params, "debug"), false))
		log_set_debug(true);
	result = describe(d);
	sdk_conn_send_result(c, request->id, result);
	c->initialized = true;
}

static void handle(struct sdk_conn *c, const struct md_driver *d, const struct rpc_msg *msg)
{
	_cleanup_err_ struct err err = ERR_INIT;

	if (msg->kind != RPC_REQUEST)
		return; /* late cancels (X4), unknown notifications (R5), answers to nothing */
	if (streq(msg->method, "initialize")) {
		initialize(c, d, msg);
	} else if (!c->initialized) {
		err_set(&err, ERR_USER, "%s before initialize", msg->method);
		sdk_conn_send_error(c, msg->id, RPC_NOT_INITIALIZED, &err); /* R9 */
	} else {
		sdk_serve(c, d, msg);
	}
}

static int loop(struct sdk_conn *c, const struct md_driver *d)
{
	for (;;) {
		_cleanup_rpc_ struct rpc_msg msg = RPC_MSG_INIT;

		if (c->queued.method) {
			msg = c->queued;
			c->queued = RPC_MSG_INIT;
		} else if (sdk_conn_receive(c, SDK_WAIT_FOREVER, &msg) < 0) {
			return c->status;
		}
		if (c->gone)
			return c->status;
		handle(c, d, &msg);
	}
}

static void explain(const struct md_driver *d, FILE *out)
{
	fprintf(out,
		"machine-driver-%s is a driver for machine (%s). machine starts it and talks to it "
		"over standard input and output; it is of no use by itself. Try:\n"
		"    machine driver describe %s\n"
		"    machine create --driver %s --help\n",
		d->name, d->description ? d->description : "no description", d->name, d->name);
}

int md_main(const struct md_driver *driver, int argc, char **argv)
{
	_cleanup_err_ struct err err = ERR_INIT;
	struct sdk_conn *c;
	int status;

	if (argc > 1 && streq(argv[1], "--version")) {
		printf("machine-driver-%s %s\n", driver->name, driver_version(driver));
		return 0;
	}
	if (argc > 1 && streq(argv[1], "--help")) {
		explain(driver, stdout);
		return 0;
	}
	if (argc > 1 || isatty(STDIN_FILENO)) {
		explain(driver, stderr);
		return 1;
	}
	if (sdk_conn_open(&c, &err) < 0) {
		fprintf(stderr, "machine-driver-%s: %s\n", driver->name, err_msg(&err));
		return 1;
	}
	status = loop(c, driver);
	sdk_conn_free(c);
	return status;
}
