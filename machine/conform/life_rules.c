/* The rules of a machine's ordinary life. */
#include "kit.h"

#include "mem.h"
#include "mstate.h"
#include "rpc.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define QUIET_TRIES 20u
#define QUIET_PAUSE_MS 250

/* The first entry that is not as it was; NULL: all are. Malloc'ed. */
static char *difference(struct kit *k, const char *except, const struct strv *before)
{
	_cleanup_strv_ struct strv after = STRV_INIT;

	kit_store_list(k, except, &after);
	for (size_t i = 0; i < MAX(before->n, after.n); i++)
		if (i >= before->n || i >= after.n || !streq(before->items[i], after.items[i]))
			return xstrdup(i < after.n ? after.items[i] : before->items[i]);
	return NULL;
}

static enum verdict compare_store(struct kit *k, const char *except, const struct strv *before)
{
	_cleanup_free_ char *changed = difference(k, except, before);

	return changed ? fail(k, "changed: %s", changed) : VERDICT_OK;
}

/* Every flag, and what the host's own `create` flags look like (unknown ones are ignored). */
static struct json *configure_params(struct kit *k, const struct subject *s, const char *without)
{
	const struct flagspec *f =
		without ? flagspec_find(k->specs.items, k->specs.n, without) : NULL;
	struct json *params = machine_params(k, s), *flags = json_copy(k->flags);

	json_set_str(flags, "driver", json_str(json_path(k->hello, "driver", "name", NULL), ""));
	json_set(flags, "swarm-master", json_bool(false));
	json_set_str(flags, "swarm-host", "tcp://0.0.0.0:3376");
	json_set(flags, "engine-label", json_array());
	if (f)
		json_set(flags, without, f->type == FLAG_LIST ? json_array() : json_string(""));
	json_set(params, "flags", flags);
	return params;
}

static void set_obstacle(struct kit *k, const char *what, const char *why)
{
	free(k->obstacle);
	k->obstacle = xasprintf("%s: %s", what, why);
}

enum verdict configure(struct kit *k, struct subject *s)
{
	_cleanup_answer_ struct answer a = {0};
	struct peer *p = ready_peer(k);
	const struct json *state;

	if (!p)
		return VERDICT_FAIL;
	call(k, p, "configure", configure_params(k, s, NULL), ANSWER_MS, &a);
	if (a.what == GOT_ERROR && streq(a.kind, "user"))
		return skip(k, "with these flags: %s", a.why);
	if (a.what != GOT_RESULT)
		return fail(k, "%s", a.why);
	state = json_get(a.body, "state");
	if (!json_is(state, JSON_OBJECT))
		return fail(k, "the result has no state");
	check_state(k, state);
	s->configured = json_copy(state);
	take_state(k, s, state);
	return VERDICT_OK;
}

static enum verdict check_D1(struct kit *k)
{
	_cleanup_strv_ struct strv before = STRV_INIT;
	enum verdict v;

	kit_store_list(k, NULL, &before);
	if (k->bad_flags)
		v = skip(k, "its flags are not declared as they should be (G)");
	else
		v = configure(k, &k->first);
	if (v == VERDICT_OK)
		v = configure(k, &k->second);
	set_obstacle(k, "configure", buf_str(&k->reason));
	if (v != VERDICT_OK)
		return v;
	k->reached = NEED_CONFIGURE;
	return compare_store(k, NULL, &before);
}

static enum verdict check_D1_required(struct kit *k)
{
	unsigned n = 0;

	for (size_t i = 0; i < k->specs.n; i++) {
		const struct flagspec *f = &k->specs.items[i];
		_cleanup_answer_ struct answer a = {0};
		struct peer *p;

		if (!f->required || (f->type != FLAG_STRING && f->type != FLAG_LIST))
			continue;
		p = ready_peer(k);
		if (!p)
			return VERDICT_FAIL;
		n++;
		call(k, p, "configure", configure_params(k, &k->first, f->name), ANSWER_MS, &a);
		if (a.what == GOT_RESULT)
			return fail(k, "--%s is required, and accepted without a value", f->name);
		if (a.what != GOT_ERROR || !streq(a.kind, "user"))
			return fail(k, "without --%s: %s", f->name, a.why);
	}
	return n ? VERDICT_OK : skip(k, "no flag is required");
}

static enum verdict check_D2(struct kit *k)
{
	_cleanup_strv_ struct strv before = STRV_INIT;
	_cleanup_answer_ struct answer a = {0};
	struct peer *p = ready_peer(k);

	if (!p)
		return VERDICT_FAIL;
	kit_store_list(k, NULL, &before);
	call(k, p, "preCreateCheck", machine_params(k, &k->first), CHECK_MS, &a);
	if (a.what != GOT_RESULT)
		return fail(k, "%s", a.why);
	return compare_store(k, NULL, &before);
}

static enum verdict remove_it(struct kit *k, struct subject *s, const char *which)
{
	_cleanup_answer_ struct answer a = {0};

	return finish(k, s, "remove", WORK_MS, &a) == 0 ? VERDICT_OK
							: fail(k, "%s: %s", which, a.why);
}

enum verdict remove_twice(struct kit *k, struct subject *s)
{
	enum verdict v = remove_it(k, s, "the first time");

	return v == VERDICT_OK ? remove_it(k, s, "the second time") : v;
}

void make_dir(const struct subject *s)
{
	if (mkdir(s->dir, 0700) < 0 && errno != EEXIST)
		abort(); /* in our own folder */
}

static enum verdict check_D4_never(struct kit *k)
{
	struct subject s = {0};
	enum verdict v;

	subject_init(k, &s, "conform-c");
	take_state(k, &s, k->first.configured);
	json_set_str(s.state, "MachineName", s.name);
	make_dir(&s);
	v = remove_twice(k, &s);
	kit_store_remove_dir(s.dir);
	subject_finish(&s);
	return v;
}

static enum verdict check_D3(struct kit *k)
{
	_cleanup_answer_ struct answer a = {0};

	kit_store_list(k, k->first.dir, &k->before);
	make_dir(&k->first);
	if (finish(k, &k->first, "create", WORK_MS, &a) < 0) {
		set_obstacle(k, "create failed", a.why);
		return fail(k, "%s", a.why);
	}
	k->reached = NEED_CREATE;
	return VERDICT_OK;
}

static enum verdict check_M3(struct kit *k)
{
	_cleanup_free_ char *problem = kit_store_check_dir(k->first.dir);

	return problem ? fail(k, "%s", problem) : VERDICT_OK;
}

static enum verdict check_P4(struct kit *k)
{
	return compare_store(k, k->first.dir, &k->before);
}

/* b may be NULL. */
static bool ask_states(
	struct kit *k, const struct subject *a, const struct subject *b, struct json **ret)
{
	struct json *params = json_object(), *list = json_array();
	_cleanup_answer_ struct answer got = {0};
	struct peer *p = ready_peer(k);
	struct json *reports;

	json_add(list, reference(k, a));
	if (b)
		json_add(list, reference(k, b));
	json_set(params, "machines", list);
	if (!p) {
		json_free(params);
		return false;
	}
	call(k, p, "states", params, CHECK_MS, &got);
	reports = json_get(got.body, "machines");
	if (got.what != GOT_RESULT)
		fail(k, "%s", got.why);
	else if (!json_is(reports, JSON_ARRAY) || reports->n != (b ? 2 : 1))
		fail(k, "not one report for each of the machines asked for");
	else {
		*ret = json_copy(reports);
		return true;
	}
	return false;
}

/* Do they tell of the same machine? Their messages may differ. */
static bool alike(const struct json *a, const struct json *b)
{
	static const char *const keys[] = {"state", "ip", "url"};

	if (!json_get(a, "error") != !json_get(b, "error") ||
		!json_get(a, "probe") != !json_get(b, "probe"))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(keys) && !json_get(a, "error"); i++)
		if (!streq(json_str(json_get(a, keys[i]), ""), json_str(json_get(b, keys[i]), "")))
			return false;
	return true;
}

/* The second machine was never created, and its state is empty: nobody's but its own problem. */
static enum verdict check_S1(struct kit *k)
{
	_cleanup_json_ struct json *alone = NULL, *there = NULL, *back = NULL;
	struct subject ghost = {0};
	enum verdict v = VERDICT_FAIL;

	subject_init(k, &ghost, "conform-ghost");
	if (ask_states(k, &k->first, NULL, &alone) && ask_states(k, &k->first, &ghost, &there) &&
		ask_states(k, &ghost, &k->first, &back)) {
		v = VERDICT_OK;
		for (size_t i = 0; i < 2; i++) {
			check_report(k, json_at(there, i));
			if (json_get(json_at(there, i), "error"))
				check_error(k, json_get(json_at(there, i), "error"));
		}
		if (json_get(json_at(alone, 0), "error"))
			v = fail(k, "the report of a good machine is an error");
		else if (!alike(json_at(alone, 0), json_at(there, 0)) ||
			 !alike(json_at(alone, 0), json_at(back, 1)) ||
			 !alike(json_at(there, 1), json_at(back, 0)))
			v = fail(k, "the reports are not in the order asked");
	}
	subject_finish(&ghost);
	return v;
}

static enum verdict check_M2(struct kit *k)
{
	_cleanup_json_ struct json *reports = NULL;
	struct subject other = k->first; /* borrows all of it */

	other.id = (char *)"";
	return ask_states(k, &other, NULL, &reports) ? VERDICT_OK : VERDICT_FAIL;
}

/* A machine that keeps its disk in its folder writes there by itself, now and then; a driver that
 * writes when it is asked does so every time. */
static enum verdict check_S6(struct kit *k)
{
	static const struct timespec pause = {.tv_nsec = QUIET_PAUSE_MS * 1000000L};

	for (unsigned tries = 1;; tries++) {
		_cleanup_json_ struct json *reports = NULL;
		_cleanup_strv_ struct strv before = STRV_INIT;
		_cleanup_free_ char *changed = NULL;

		kit_store_list(k, NULL, &before);
		if (!ask_states(k, &k->first, &k->first, &reports))
			return VERDICT_FAIL;
		changed = difference(k, NULL, &before);
		if (!changed)
			return VERDICT_OK;
		if (tries == QUIET_TRIES)
			return fail(k, "changed: %s", changed);
		nanosleep(&pause, NULL);
	}
}

static enum verdict check_D3_again(struct kit *k)
{
	_cleanup_answer_ struct answer a = {0};
	const char *status;
	struct peer *p = ready_peer(k);

	if (!p)
		return VERDICT_FAIL;
	call(k, p, "create", machine_params(k, &k->first), AT_ONCE_MS, &a);
	if (a.what != GOT_RESULT)
		return fail(k, "%s", a.why);
	status = take_outcome(k, &k->first, a.body);
	return status && streq(status, "wait") ? fail(k, "it waits") : VERDICT_OK;
}

static enum verdict check_D6(struct kit *k)
{
	_cleanup_answer_ struct answer a = {0};
	struct peer *p = ready_peer(k);
	const char *kind;

	if (!p)
		return VERDICT_FAIL;
	call(k, p, "upgradeInfo", machine_params(k, &k->first), CHECK_MS, &a);
	if (a.what == GOT_ERROR && a.error_code == RPC_METHOD_NOT_FOUND)
		return VERDICT_OK;
	if (a.what != GOT_RESULT)
		return fail(k, "%s", a.why);
	kind = json_str(json_get(a.body, "kind"), "");
	return streq(kind, "engine") || streq(kind, "image") ? VERDICT_OK
							     : fail(k, "the kind \"%s\"", kind);
}

static enum verdict check_D5(struct kit *k)
{
	static const char *const methods[] = {
		"start", "stop", "stop", "kill", "start", "start", "restart", "kill", "kill"};

	for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
		_cleanup_answer_ struct answer a = {0};

		if (finish(k, &k->first, methods[i], WORK_MS, &a) == 0)
			continue;
		if (a.what != GOT_ERROR || !streq(a.kind, "notSupported"))
			return fail(k, "%s (action %zu): %s", methods[i], i + 1, a.why);
	}
	return VERDICT_OK;
}

static enum verdict check_D4(struct kit *k)
{
	enum verdict v = remove_twice(k, &k->first);

	k->removed = v == VERDICT_OK;
	return v;
}

static enum verdict check_S5(struct kit *k)
{
	_cleanup_json_ struct json *reports = NULL;
	const struct json *report;
	const char *state;

	if (!k->checkpoints)
		return skip(k, "create makes no checkpoint, so there is nothing to be gone");
	if (!k->removed)
		return skip(k, "it could not be removed");
	if (!ask_states(k, &k->first, NULL, &reports))
		return VERDICT_FAIL;
	report = json_at(reports, 0);
	check_report(k, report);
	state = json_str(json_get(report, "state"), "");
	if (machine_state_parse(state) == STATE_NONE)
		return skip(k, "its state is none at all (S2)");
	if (!streq(state, "Error"))
		return fail(k, "its state is \"%s\"", state);
	return *json_str(json_get(report, "message"), "") ? VERDICT_OK
							  : fail(k, "there is no message");
}

const struct rule life_rules[] = {
	{"D1", "configure turns flags into a state and changes nothing", check_D1, NEED_INITIALIZE},
	{"D1", "a required flag without a value is an error of kind user", check_D1_required,
		NEED_INITIALIZE},
	{"D2", "preCreateCheck leaves nothing behind", check_D2, NEED_CONFIGURE},
	{"D4", "remove of a machine that was never created", check_D4_never, NEED_CONFIGURE},
	{"D3", "create makes a machine", check_D3, NEED_CONFIGURE},
	{"M3", "the machine's folder: only own files, keys with mode 0600", check_M3, NEED_CREATE},
	{"P4", "nothing else in the store is touched", check_P4, NEED_CREATE},
	{"S1", "a report for each machine, in the order asked", check_S1, NEED_CREATE},
	{"M2", "an empty id, of a machine made by another program", check_M2, NEED_CREATE},
	{"S6", "states changes nothing", check_S6, NEED_CREATE},
	{"D3", "create of a finished machine is done at once", check_D3_again, NEED_CREATE},
	{"D6", "upgradeInfo", check_D6, NEED_CREATE},
	{"D5", "start, stop, restart and kill, also when there is nothing to do", check_D5,
		NEED_CREATE},
	{"D4", "remove, and remove again", check_D4, NEED_CONFIGURE},
	{"S5", "a machine that is gone is in state Error, with a message", check_S5, NEED_CREATE},
};
const size_t n_life_rules = ARRAY_SIZE(life_rules);
