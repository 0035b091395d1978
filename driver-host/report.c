#include "report.h"

#include "mem.h"
#include "rpc.h"
#include "tcp.h"

#include <stdlib.h>
#include <string.h>

static int read_state(
	const struct json *j, const char *what, enum machine_state *ret, struct err *err)
{
	const char *name = json_str(j, "");
	enum machine_state state = machine_state_parse(name);

	if (state == STATE_NONE && *name)
		return err_set(err, ERR_PROTOCOL, "%s \"%.40s\" is no state (S2)", what, name);
	*ret = state;
	return 0;
}

static char *copy_str(const struct json *j)
{
	return xstrdup(json_str(j, ""));
}

static int read_status(const struct json *result, enum outcome_status *ret, struct err *err)
{
	static const char *const names[] = {"done", "wait", "run"};
	const char *status = json_str(json_get(result, "status"), "");

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (streq(status, names[i])) {
			*ret = (enum outcome_status)i;
			return 0;
		}
	}
	return err_set(err, ERR_PROTOCOL, "status is \"%.40s\" (O1)", status);
}

int outcome_read(const struct json *result, struct driver_outcome *ret, struct err *err)
{
	const struct json *state = json_get(result, "state");
	struct driver_outcome o = {0};
	int64_t retry = json_int_or(json_get(result, "retryAfterMs"), OUTCOME_RETRY_DEFAULT_MS);

	if (read_status(result, &o.status, err) < 0 ||
		read_state(json_get(result, "waitFor"), "waitFor", &o.wait_for, err) < 0)
		return -1;
	if (state && driver_state_check(state, err) < 0)
		return -1;
	if (o.status == OUTCOME_RUN && !*json_str(json_get(result, "command"), ""))
		return err_set(err, ERR_PROTOCOL, "command is missing (O3)");
	retry = MAX(MIN(retry, (int64_t)OUTCOME_RETRY_MAX_MS), (int64_t)OUTCOME_RETRY_MIN_MS);
	o.retry_after_ms = (uint32_t)retry;
	o.state = state ? json_copy(state) : NULL;
	o.message = copy_str(json_get(result, "message"));
	o.command = copy_str(json_get(result, "command"));
	o.disconnects = json_bool_or(json_get(result, "disconnects"), false);
	o.again = json_bool_or(json_get(result, "again"), false);
	*ret = o;
	return 0;
}

void driver_outcome_finish(struct driver_outcome *o)
{
	json_free(o->state);
	free(o->message);
	free(o->command);
	*o = (struct driver_outcome){0};
}

static int read_probe(const struct json *j, struct probe *ret, struct err *err)
{
	const char *address = json_str(json_get(j, "tcp"), NULL);
	int64_t ms = json_int_or(json_get(j, "timeoutMs"), PROBE_TIMEOUT_DEFAULT_MS);
	struct probe p = {.open = STATE_RUNNING, .closed = STATE_STOPPED};

	if (!j || json_is(j, JSON_NULL))
		return 0;
	if (!address)
		return err_set(err, ERR_PROTOCOL, "probe without tcp (S4)");
	if (json_get(j, "open") && read_state(json_get(j, "open"), "probe.open", &p.open, err) < 0)
		return -1;
	if (json_get(j, "closed") &&
		read_state(json_get(j, "closed"), "probe.closed", &p.closed, err) < 0)
		return -1;
	if (tcp_split(address, &p.host, &p.port, err) < 0) {
		err->code = ERR_PROTOCOL;
		return err_wrap(err, "probe (S4)");
	}
	p.greeting = copy_str(json_get(j, "greeting"));
	p.timeout_ms = (uint64_t)MAX(MIN(ms, (int64_t)PROBE_TIMEOUT_MAX_MS), (int64_t)1);
	*ret = p;
	return 0;
}

/* What is no key stays in the list: who would connect must not take it for "none expected". */
static void read_host_keys(const struct json *list, struct strv *ret)
{
	if (list && !json_is(list, JSON_NULL) && !json_is(list, JSON_ARRAY))
		strv_add(ret, "not a list");
	for (size_t i = 0; json_is(list, JSON_ARRAY) && json_at(list, i); i++)
		strv_add(ret, json_str(json_at(list, i), "not a string"));
}

/* 0: none that makes sense */
static int read_port(const struct json *j)
{
	int64_t port = json_int_or(j, 0);

	return port >= 1 && port <= 65535 ? (int)port : 0;
}

static void read_ssh(const struct json *ssh, struct ssh_address *ret)
{
	read_host_keys(json_get(ssh, "hostKeys"), &ret->host_keys);

	ret->host = copy_str(json_get(ssh, "host"));
	ret->user = copy_str(json_get(ssh, "user"));
	ret->key_path = copy_str(json_get(ssh, "keyPath"));
	ret->port = read_port(json_get(ssh, "port"));
}

void report_read(const struct json *j, struct machine_report *ret, struct probe *ret_probe)
{
	_cleanup_err_ struct err err = ERR_INIT;
	const struct json *error = json_get(j, "error");
	enum machine_state state = STATE_NONE;

	if (json_is(error, JSON_OBJECT))
		rpc_error_from_json(error, &err);
	else if (!json_is(j, JSON_OBJECT))
		err_set(&err, ERR_PROTOCOL, "a report is not an object (S1)");
	if (err.code != ERR_NONE || read_state(json_get(j, "state"), "state", &state, &err) < 0 ||
		read_probe(json_get(j, "probe"), ret_probe, &err) < 0) {
		report_fail(ret, &err);
		return;
	}
	ret->state = state;
	ret->message = copy_str(json_get(j, "message"));
	ret->ip = copy_str(json_get(j, "ip"));
	ret->url = copy_str(json_get(j, "url"));
	ret->url_always = json_bool_or(json_get(j, "urlAlways"), false);
	ret->engine_port = read_port(json_get(j, "enginePort"));
	ret->slow = json_bool_or(json_get(j, "slow"), false);
	read_ssh(json_get(j, "ssh"), &ret->ssh);
}

void report_fail(struct machine_report *r, const struct err *err)
{
	struct err copy = *err;

	machine_report_finish(r);
	copy.msg = xstrdup(err_msg(err));
	r->failed = true;
	r->error = copy;
}

struct machine_report machine_report_copy(const struct machine_report *r)
{
	struct machine_report copy = *r;

	copy.message = xstrdup(r->message);
	copy.ip = xstrdup(r->ip);
	copy.url = xstrdup(r->url);
	copy.ssh.host = xstrdup(r->ssh.host);
	copy.ssh.user = xstrdup(r->ssh.user);
	copy.ssh.key_path = xstrdup(r->ssh.key_path);
	copy.ssh.host_keys = STRV_INIT;
	strv_foreach (key, &r->ssh.host_keys)
		strv_add(&copy.ssh.host_keys, key);
	copy.error = ERR_INIT;
	return copy;
}

void machine_report_finish(struct machine_report *r)
{
	free(r->message);
	free(r->ip);
	free(r->url);
	free(r->ssh.host);
	free(r->ssh.user);
	free(r->ssh.key_path);
	strv_finish(&r->ssh.host_keys);
	err_finish(&r->error);
	*r = (struct machine_report){0};
}
