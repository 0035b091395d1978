#include "driver_internal.h"

#include "environment.h"
#include "handshake.h"
#include "log.h"
#include "mem.h"
#include "report.h"
#include "throttle.h"
#include "trace.h"

#include <stdlib.h>
#include <string.h>

static int greet(struct co *co, void *ud, struct channel *ch, struct err *err)
{
	struct driver *d = ud;
	struct driver_info info = {0};

	if (handshake(co, ch, d->info.name, &info, err) < 0)
		return -1;
	if (d->greeted)
		*d->greeted = info;
	else
		driver_info_finish(&info);
	d->greeted = NULL;
	return 0;
}

/* The new knowledge about a driver whose name and file are known. */
static void take_info(struct driver *d, struct driver_info *info)
{
	info->name = take(d->info.name);
	info->file = take(d->info.file);
	info->origin = d->info.origin;
	driver_info_finish(&d->info);
	d->info = *info;
}

static int first_worker(struct co *co, struct driver *d, struct worker **ret, struct err *err)
{
	struct driver_info info = {0};
	struct strv env = STRV_INIT;
	int r;

	environment_build(&env, d->info.version ? &d->info : NULL);
	pool_set_environment(d->pool, &env);
	d->greeted = &info;
	r = pool_acquire(co, d->pool, true, ret, err);
	d->greeted = NULL;
	if (r == 0)
		take_info(d, &info);
	return r;
}

/* What a driver wants to see of the environment is known only after it was asked. */
static int introduce(struct co *co, struct driver *d, unsigned max_workers, struct err *err)
{
	struct worker *w;

	pool_set_max(d->pool, 2); /* the one that ends, and its successor */
	if (first_worker(co, d, &w, err) < 0)
		return -1;
	if (environment_declared_set(&d->info)) {
		pool_discard(w);
		if (first_worker(co, d, &w, err) < 0)
			return -1;
	}
	pool_set_max(d->pool, MIN(max_workers, d->info.max_workers));
	pool_release(w);
	if (d->trace)
		trace_secret_flags(d->trace, &d->info.flags);
	return 0;
}

static int find_file(const char *name, const struct driver_options *opt, struct driver_info *ret,
	struct err *err)
{
	struct registry_entry entry;

	if (opt && opt->file) {
		ret->name = xstrdup(name);
		ret->file = xstrdup(opt->file);
		ret->origin = DRIVER_ORIGIN_PATH;
		return 0;
	}
	if (registry_find(name, &entry, err) < 0)
		return -1;
	ret->name = take(entry.name);
	ret->file = take(entry.file);
	ret->origin = entry.origin;
	return 0;
}

int driver_open(struct co *co, const char *name, const struct driver_options *opt,
	struct driver **ret, struct err *err)
{
	unsigned max = opt && opt->max_workers ? opt->max_workers : DRIVER_WORKERS_DEFAULT;
	struct pool_options po = {.max_workers = max, .greet = greet, .hasty = opt && opt->hasty};
	struct driver *d = xcalloc(1, sizeof(*d));

	d->loop = co_loop(co);
	d->hasty = po.hasty;
	if (find_file(name, opt, &d->info, err) < 0 ||
		(opt && opt->trace_file && trace_open(opt->trace_file, &d->trace, err) < 0))
		goto fail;
	po.name = d->info.name;
	po.file = d->info.file;
	po.trace = d->trace;
	po.ud = d;
	d->pool = pool_new(d->loop, &po);
	if (introduce(co, d, max, err) < 0)
		goto fail;
	*ret = d;
	return 0;
fail:
	driver_close(co, d);
	return -1;
}

const struct driver_info *driver_info(const struct driver *d)
{
	return &d->info;
}

void driver_close(struct co *co, struct driver *d)
{
	if (!d)
		return;
	driver_end_gatherings(co, d);
	pool_close(co, d->pool);
	trace_free(d->trace);
	driver_info_finish(&d->info);
	free(d);
}

bool driver_is_busy(const struct driver *d)
{
	return pool_is_busy(d->pool);
}

void driver_deadline_begin(
	struct co *co, struct co_deadline *end, const struct driver *d, uint64_t ms)
{
	co_deadline_begin(co, end, ms);
	pool_stops_deadline(d->pool, end);
}

static void write_str(struct buf *out, const char *before, const char *s)
{
	_cleanup_json_ struct json *j = json_string(s ? s : "");

	buf_adds(out, before);
	json_write(j, JSON_COMPACT, out);
}

void driver_write_ref(struct buf *out, const struct machine_ref *m)
{
	write_str(out, "{\"name\":", m->name);
	write_str(out, ",\"id\":", m->id);
	write_str(out, ",\"dir\":", m->dir);
	write_str(out, ",\"storePath\":", m->store_path);
	buf_adds(out, ",\"state\":");
	if (m->state)
		json_write(m->state, JSON_COMPACT, out);
	else
		buf_adds(out, "{}");
	buf_addc(out, '}');
}

int driver_bad_answer(const struct driver *d, const char *method, struct err *err)
{
	err->code = ERR_PROTOCOL;
	return err_wrap(
		err, "driver \"%s\" broke the protocol in its answer to %s", d->info.name, method);
}

/* A request, and what its callers want of it. */
struct request {
	const char *method;
	const struct buf *params;
	const struct driver_observer *obs;
	uint64_t *ret_began;
	struct json **ret;
};

static int call_once(
	struct co *co, struct driver *d, const struct request *rq, bool fresh, struct err *err)
{
	struct worker *w;
	int r;

	if (pool_acquire(co, d->pool, fresh, &w, err) < 0)
		return -1;
	uint64_t began = loop_now(d->loop);
	r = channel_call(co, worker_channel(w), rq->method, rq->params, rq->obs, rq->ret, err);
	pool_release(w);
	if (r == 0 && rq->ret_began)
		*rq->ret_began = began;
	else if (r == 0)
		pool_ease(d->pool, began);
	else if (err->code == ERR_THROTTLED)
		pool_slow(d->pool, began, err->retry_after_ms);
	return r;
}

/* The pool sees to it that the time has come. */
static int call_patiently(
	struct co *co, struct driver *d, const struct request *rq, bool fresh, struct err *err)
{
	struct throttle_patience patience = {0};

	for (;;) {
		_cleanup_err_ struct err e = ERR_INIT;

		if (call_once(co, d, rq, fresh, &e) == 0)
			return 0;
		if (e.code != ERR_THROTTLED || !throttle_again(&patience, loop_now(d->loop),
						       e.retry_after_ms, co_deadline_left(co)))
			return err_move(err, &e);
	}
}

int driver_call(struct co *co, struct driver *d, const char *method, const struct buf *params,
	const struct driver_observer *obs, enum repeat repeat, uint64_t *ret_began,
	struct json **ret, struct err *err)
{
	const struct request rq = {method, params, obs, ret_began, ret};
	_cleanup_err_ struct err first = ERR_INIT;

	if (repeat == REPEAT_NEVER)
		return call_once(co, d, &rq, false, err);
	if (repeat == REPEAT_THROTTLED)
		return call_patiently(co, d, &rq, false, err);
	if (call_patiently(co, d, &rq, false, &first) == 0)
		return 0;
	if (first.code != ERR_CRASHED && first.code != ERR_PROTOCOL)
		return err_move(err, &first);
	log_debug("%s; trying once more", err_msg(&first));
	return call_patiently(co, d, &rq, true, err);
}

static void write_params(struct buf *out, const struct machine_ref *m, const struct json *flags)
{
	buf_adds(out, "{\"machine\":");
	driver_write_ref(out, m);
	if (flags) {
		buf_adds(out, ",\"flags\":");
		json_write(flags, JSON_COMPACT, out);
	}
	buf_addc(out, '}');
}

int driver_configure(struct co *co, struct driver *d, const struct machine_ref *m,
	const struct json *flags, struct json **ret_state, struct err *err)
{
	_cleanup_json_ struct json *result = NULL, *none = json_object();
	_cleanup_buf_ struct buf params = BUF_INIT;
	struct driver_observer about = {.machine = m->name};
	const struct json *state;

	write_params(&params, m, flags ? flags : none);
	if (driver_call(co, d, "configure", &params, &about, REPEAT_FAILED, NULL, &result, err) < 0)
		return -1;
	state = json_get(result, "state");
	if (!state)
		err_set(err, ERR_PROTOCOL, "state is missing (D1)");
	if (!state || driver_state_check(state, err) < 0)
		return driver_bad_answer(d, "configure", err);
	*ret_state = json_copy(state);
	return 0;
}

int driver_pre_create_check(struct co *co, struct driver *d, const struct machine_ref *m,
	const struct driver_observer *obs, struct err *err)
{
	struct driver_observer no_checkpoints = obs ? *obs : (struct driver_observer){0};
	_cleanup_json_ struct json *result = NULL;
	_cleanup_buf_ struct buf params = BUF_INIT;

	no_checkpoints.machine = m->name;
	no_checkpoints.checkpoint = NULL;
	write_params(&params, m, NULL);
	return driver_call(co, d, "preCreateCheck", &params, &no_checkpoints, REPEAT_FAILED, NULL,
		&result, err);
}

const char *driver_op_name(enum driver_op op)
{
	static const char *const names[DRIVER_OP_COUNT] = {
		[DRIVER_CREATE] = "create",
		[DRIVER_START] = "start",
		[DRIVER_STOP] = "stop",
		[DRIVER_RESTART] = "restart",
		[DRIVER_KILL] = "kill",
		[DRIVER_REMOVE] = "remove",
		[DRIVER_UPGRADE_IMAGE] = "upgradeImage",
	};

	return names[op];
}

int driver_run(struct co *co, struct driver *d, enum driver_op op, const struct machine_ref *m,
	const struct driver_observer *obs, struct driver_outcome *ret, struct err *err)
{
	const char *method = driver_op_name(op);
	struct driver_observer about = obs ? *obs : (struct driver_observer){0};
	_cleanup_json_ struct json *result = NULL;
	_cleanup_buf_ struct buf params = BUF_INIT;

	about.machine = m->name;
	write_params(&params, m, NULL);
	if (driver_call(co, d, method, &params, &about, REPEAT_NEVER, NULL, &result, err) < 0)
		return -1;
	if (outcome_read(result, ret, err) < 0)
		return driver_bad_answer(d, method, err);
	return 0;
}

int driver_upgrade_info(struct co *co, struct driver *d, const struct machine_ref *m,
	enum upgrade_kind *ret, struct err *err)
{
	_cleanup_json_ struct json *result = NULL;
	_cleanup_buf_ struct buf params = BUF_INIT;
	_cleanup_err_ struct err failure = ERR_INIT;
	struct driver_observer about = {.machine = m->name};
	const char *kind;

	write_params(&params, m, NULL);
	if (driver_call(co, d, "upgradeInfo", &params, &about, REPEAT_FAILED, NULL, &result,
		    &failure) < 0) {
		if (failure.code != ERR_NOT_SUPPORTED)
			return err_move(err, &failure);
		*ret = UPGRADE_ENGINE; /* D6 */
		return 0;
	}
	kind = json_str(json_get(result, "kind"), "");
	if (!streq(kind, "engine") && !streq(kind, "image")) {
		err_set(err, ERR_PROTOCOL, "kind is \"%.40s\" (D6)", kind);
		return driver_bad_answer(d, "upgradeInfo", err);
	}
	*ret = streq(kind, "image") ? UPGRADE_IMAGE : UPGRADE_ENGINE;
	return 0;
}
