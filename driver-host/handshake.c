#include "handshake.h"

#include "config.h"
#include "log.h"
#include "mem.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define PROTOCOL_VERSION 1

static void write_params(struct buf *out)
{
	_cleanup_json_ struct json *params = json_object();
	struct json *versions = json_array(), *host = json_object();

	json_add(versions, json_int(PROTOCOL_VERSION));
	json_set(params, "protocolVersions", versions);
	json_set_str(host, "name", "machine");
	json_set_str(host, "version", MACHINE_VERSION);
	json_set(params, "host", host);
	json_set(params, "debug", json_bool(log_debug_enabled()));
	json_write(params, JSON_COMPACT, out);
}

static unsigned clamp(const struct json *value, unsigned fallback, unsigned max)
{
	int64_t n = json_int_or(value, fallback);

	return n < 1 ? 1 : n > max ? max : (unsigned)n;
}

/* A list of names; absent is fine. */
static int read_names(const struct json *list, const char *rule, bool (*valid)(const char *),
	struct json **ret, struct err *err)
{
	if (!list)
		return 0;
	if (!json_is(list, JSON_ARRAY) || list->n > HANDSHAKE_MAX_NAMES)
		return err_set(err, ERR_PROTOCOL, "not a list of at most %d names (%s)",
			HANDSHAKE_MAX_NAMES, rule);
	for (size_t i = 0; i < list->n; i++) {
		const char *name = json_str(list->items[i], NULL);

		if (!name || (valid && !valid(name)))
			return err_set(err, ERR_PROTOCOL, "\"%s\" is no name (%s)",
				name ? name : "", rule);
	}
	*ret = json_copy(list);
	return 0;
}

static int read_result(const struct json *result, struct driver_info *ret, struct err *err)
{
	const struct json *driver = json_get(result, "driver");
	const struct json *caps = json_get(result, "capabilities");
	int64_t version = json_int_or(json_get(result, "protocolVersion"), 0);

	if (version != PROTOCOL_VERSION)
		return err_set(err, ERR_PROTOCOL,
			"protocolVersion is %" PRId64 ", the host speaks %d (I1)", version,
			PROTOCOL_VERSION);
	if (!json_str(json_get(driver, "name"), NULL))
		return err_set(err, ERR_PROTOCOL, "driver.name is missing (I2)");
	ret->version = xstrdup(json_str(json_get(driver, "version"), ""));
	ret->description = xstrdup(json_str(json_get(driver, "description"), ""));
	ret->provision = json_bool_or(json_get(caps, "provision"), true);
	ret->max_workers = clamp(json_get(caps, "maxWorkers"), 8, HANDSHAKE_MAX_WORKERS);
	ret->states_batch = clamp(json_get(caps, "statesBatch"), 200, HANDSHAKE_MAX_BATCH);
	if (json_int_or(json_get(caps, "machinesAtOnce"), 0) > 0)
		ret->machines_at_once =
			clamp(json_get(caps, "machinesAtOnce"), 1, HANDSHAKE_MAX_AT_ONCE);
	if (read_names(json_get(caps, "groupBy"), "I3", NULL, &ret->group_by, err) < 0)
		return err_wrap(err, "groupBy");
	if (read_names(json_get(result, "environment"), "I4", env_name_valid, &ret->environment,
		    err) < 0)
		return err_wrap(err, "environment");
	return flagspec_from_json(json_get(result, "flags"), &ret->flags, err);
}

int handshake(struct co *co, struct channel *ch, const char *name, struct driver_info *ret,
	struct err *err)
{
	_cleanup_json_ struct json *result = NULL;
	_cleanup_buf_ struct buf params = BUF_INIT;
	struct driver_info info = {0};
	struct co_deadline deadline;
	int r;

	write_params(&params);
	co_deadline_begin(co, &deadline, DRIVER_INITIALIZE_MS);
	r = channel_call(co, ch, "initialize", &params, NULL, &result, err);
	co_deadline_end(co, &deadline);
	if (r < 0) {
		if (err->code == ERR_CANCELED)
			return -1;
		if (!strstr(err_msg(err), "initialize")) /* the driver's own words */
			err_wrap(err, "initialize");
		if (!strstr(err_msg(err), "driver \""))
			err_wrap(err, "driver \"%s\"", name);
		return -1;
	}
	if (read_result(result, &info, err) < 0) {
		driver_info_finish(&info);
		return err_wrap(
			err, "driver \"%s\" broke the protocol in its answer to initialize", name);
	}
	*ret = info;
	return 0;
}

void driver_info_finish(struct driver_info *info)
{
	free(info->name);
	free(info->file);
	free(info->version);
	free(info->description);
	flagspecs_finish(&info->flags);
	json_free(info->environment);
	json_free(info->group_by);
	*info = (struct driver_info){0};
}
