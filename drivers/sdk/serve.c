/* The methods: params are checked here, once, so that driver code can rely on them. */
#include "md-api.h"
#include "sdk.h"

#include <stdarg.h>
#include <string.h>

struct method {
	const char *name;
	int (*serve)(struct md_request *rq, const struct method *method, struct json *params,
		struct json **ret, struct err *err);
	md_op_fn op;
	bool optional;    /* without op there is nothing to do; else it is not supported */
	bool checkpoints; /* C1 */
};

static int params_error(struct md_request *rq, struct err *err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static int params_error(struct md_request *rq, struct err *err, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	rq->error_code = RPC_INVALID_PARAMS;
	return err_set(err, ERR_USER, "%s: %s", rq->method, text);
}

/* M. The strings and the state stay part of the params; the state is edited there. */
static int parse_machine(
	struct md_request *rq, const struct json *j, struct md_machine *ret, struct err *err)
{
	struct {
		const char *key;
		const char **value;
	} members[] = {{"name", &ret->name}, {"id", &ret->id}, {"dir", &ret->dir},
		{"storePath", &ret->store_path}};

	if (!json_is(j, JSON_OBJECT))
		return params_error(rq, err, "no machine");
	for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
		*members[i].value = json_str(json_get(j, members[i].key), NULL);
		if (!*members[i].value)
			return params_error(
				rq, err, "the machine's %s is not a string", members[i].key);
	}
	if (!*ret->name)
		return params_error(rq, err, "the machine's name is empty");
	ret->state = json_get(j, "state");
	if (!json_is(ret->state, JSON_OBJECT))
		return params_error(rq, err, "the machine's state is not an object");
	return 0;
}

/* G: absent flags get their defaults, so that driver code finds each by name. */
static int complete_flags(struct md_request *rq, struct json *flags, struct err *err)
{
	const struct md_driver *d = rq->driver;

	if (!json_is(flags, JSON_OBJECT))
		return params_error(rq, err, "flags is not an object");
	for (size_t i = 0; i < d->n_flags; i++) {
		const struct flagspec *spec = &d->flags[i];
		const struct json *value = json_get(flags, spec->name);

		if (!value) {
			json_set(flags, spec->name, flagspec_default(spec));
			value = json_get(flags, spec->name);
		}
		if (!flagspec_accepts(spec, value))
			return params_error(rq, err, "the flag %s is not of the type %s",
				spec->name, flag_type_name(spec->type));
		if (spec->required && (spec->type == FLAG_STRING || spec->type == FLAG_LIST) &&
			value->n == 0)
			return err_set(err, ERR_USER, "the %s driver requires the --%s option",
				d->name, spec->name);
	}
	return 0;
}

static int serve_configure(struct md_request *rq, const struct method *method, struct json *params,
	struct json **ret, struct err *err)
{
	struct json *flags = json_get(params, "flags");
	struct md_machine m;

	if (parse_machine(rq, json_get(params, "machine"), &m, err) < 0 ||
		complete_flags(rq, flags, err) < 0)
		return -1;
	md_base_state(&m);
	if (rq->driver->configure && rq->driver->configure(rq, &m, flags, err) < 0)
		return -1;
	*ret = json_object();
	json_set(*ret, "state", json_copy(m.state));
	return 0;
}

static int serve_check(struct md_request *rq, const struct method *method, struct json *params,
	struct json **ret, struct err *err)
{
	struct md_machine m;

	if (parse_machine(rq, json_get(params, "machine"), &m, err) < 0)
		return -1;
	if (rq->driver->pre_create_check && rq->driver->pre_create_check(rq, &m, err) < 0)
		return -1;
	*ret = json_object();
	return 0;
}

static int serve_op(struct md_request *rq, const struct method *method, struct json *params,
	struct json **ret, struct err *err)
{
	struct md_outcome out = {0};
	struct md_machine m;
	int r = 0;

	if (parse_machine(rq, json_get(params, "machine"), &m, err) < 0)
		return -1;
	if (!method->op && !method->optional)
		return err_set(err, ERR_NOT_SUPPORTED, "the %s driver does not support %s",
			rq->driver->name, method->name);
	if (method->op)
		r = method->op(rq, &m, &out, err);
	if (r == 0 && rq->refusal.code) /* C3 */
		r = err_move(err, &rq->refusal);
	if (r == 0)
		r = sdk_outcome_to_json(&out, m.state, ret, err);
	sdk_outcome_finish(&out);
	return r;
}

static struct json *error_report(const struct err *error)
{
	struct json *j = json_object();

	json_set(j, "error", rpc_error_to_json(RPC_DRIVER_ERROR, error));
	return j;
}

static int ask_all(struct md_request *rq, struct md_machine *machines, size_t n,
	struct md_report *reports, struct err *errs, struct err *err)
{
	const struct md_driver *d = rq->driver;

	if (d->states)
		return d->states(rq, machines, n, reports, errs, err);
	if (!d->state)
		return err_set(err, ERR_INTERNAL, "the %s driver has no states function", d->name);
	for (size_t i = 0; i < n; i++) {
		if (i && md_cancelled(rq))
			return err_set(err, ERR_CANCELED, "states: cancelled");
		if (d->state(rq, &machines[i], &reports[i], &errs[i]) < 0 && !errs[i].code)
			errs[i].code = ERR_INTERNAL;
	}
	return 0;
}

static struct json *reports_to_json(struct md_report *reports, const struct err *errs, size_t n)
{
	struct json *result = json_object(), *list = json_array();

	for (size_t i = 0; i < n; i++)
		json_add(list, errs[i].code || errs[i].msg ? error_report(&errs[i])
							   : sdk_report_to_json(&reports[i]));
	json_set(result, "machines", list);
	return result;
}

static int serve_states(struct md_request *rq, const struct method *method, struct json *params,
	struct json **ret, struct err *err)
{
	const struct json *list = json_get(params, "machines");
	struct md_report *reports;
	struct md_machine *machines;
	struct err *errs;
	int r = 0;

	if (!json_is(list, JSON_ARRAY))
		return params_error(rq, err, "machines is not a list");
	machines = xcalloc(list->n + 1, sizeof(*machines));
	reports = xcalloc(list->n + 1, sizeof(*reports));
	errs = xcalloc(list->n + 1, sizeof(*errs));
	for (size_t i = 0; i < list->n && r == 0; i++)
		r = parse_machine(rq, list->items[i], &machines[i], err);
	if (r == 0)
		r = ask_all(rq, machines, list->n, reports, errs, err);
	if (r == 0 && rq->cancelled) /* X2: reports of calls that were broken off */
		r = err_set(err, ERR_CANCELED, "states: cancelled");
	if (r == 0)
		*ret = reports_to_json(reports, errs, list->n);
	for (size_t i = 0; i < list->n; i++) {
		sdk_report_finish(&reports[i]);
		err_finish(&errs[i]);
	}
	free(machines);
	free(reports);
	free(errs);
	return r;
}

static int serve_upgrade_info(struct md_request *rq, const struct method *method,
	struct json *params, struct json **ret, struct err *err)
{
	struct md_machine m;

	if (parse_machine(rq, json_get(params, "machine"), &m, err) < 0)
		return -1;
	*ret = json_object();
	json_set_str(*ret, "kind", rq->driver->upgrade_image ? "image" : "engine");
	return 0;
}

static bool find_method(const struct md_driver *d, const char *name, struct method *ret)
{
	const struct method methods[] = {
		{"configure", serve_configure},
		{"preCreateCheck", serve_check},
		{"create", serve_op, d->create, .optional = true, .checkpoints = true},
		{"start", serve_op, d->start, .checkpoints = true},
		{"stop", serve_op, d->stop, .checkpoints = true},
		{"restart", serve_op, d->restart, .checkpoints = true},
		{"kill", serve_op, d->kill, .checkpoints = true},
		{"remove", serve_op, d->remove, .optional = true, .checkpoints = true},
		{"states", serve_states},
		{"upgradeInfo", serve_upgrade_info},
		{"upgradeImage", serve_op, d->upgrade_image, .checkpoints = true},
	};

	for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
		if (streq(methods[i].name, name)) {
			*ret = methods[i];
			return true;
		}
	}
	return false;
}

void sdk_serve(struct sdk_conn *c, const struct md_driver *driver, const struct rpc_msg *request)
{
	struct md_request rq = {.conn = c,
		.driver = driver,
		.method = request->method,
		.id = request->id,
		.error_code = RPC_DRIVER_ERROR};
	_cleanup_json_ struct json *result = NULL;
	_cleanup_err_ struct err err = ERR_INIT;
	struct method method;

	if (!find_method(driver, request->method, &method)) {
		err_set(&err, ERR_NOT_SUPPORTED, "unknown method: %s", request->method);
		sdk_conn_send_error(c, rq.id, RPC_METHOD_NOT_FOUND, &err);
		return;
	}
	rq.checkpoints = method.checkpoints;
	if (method.serve(&rq, &method, request->params, &result, &err) == 0) {
		sdk_conn_send_result(c, rq.id, result);
	} else if (!c->gone) {   /* else nobody is left to be told */
		md_api_forget(); /* an answer may be why */
		if (rq.error_code == RPC_DRIVER_ERROR && md_cancelled(&rq))
			err.code = ERR_CANCELED; /* X2 */
		sdk_conn_send_error(c, rq.id, rq.error_code, &err);
	}
	err_finish(&rq.refusal);
}
