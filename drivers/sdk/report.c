#include "sdk.h"

#include <string.h>

void sdk_outcome_finish(struct md_outcome *out)
{
	free(out->message);
	free(out->command);
	*out = (struct md_outcome){0};
}

void sdk_report_finish(struct md_report *r)
{
	char *const strings[] = {r->message, r->ip, r->url, r->ssh_host, r->ssh_user,
		r->ssh_key_path, r->probe_tcp, r->probe_greeting};

	for (size_t i = 0; i < ARRAY_SIZE(strings); i++)
		free(strings[i]);
	strv_finish(&r->ssh_host_keys);
	*r = (struct md_report){0};
}

static void set_if(struct json *obj, const char *key, const char *value)
{
	if (value && *value)
		json_set_str(obj, key, value);
}

static void add_wait(struct json *j, const struct md_outcome *out)
{
	uint32_t after = out->retry_after_ms;

	if (after) {
		after = MIN(MAX(after, SDK_RETRY_AFTER_MIN_MS), SDK_RETRY_AFTER_MAX_MS);
		json_set(j, "retryAfterMs", json_int(after));
	}
	set_if(j, "waitFor", machine_state_name(out->wait_for));
	set_if(j, "message", out->message);
}

int sdk_outcome_to_json(
	struct md_outcome *out, const struct json *state, struct json **ret, struct err *err)
{
	static const char *const status[] = {
		[MD_DONE] = "done", [MD_WAIT] = "wait", [MD_RUN] = "run"};
	struct json *j;

	if ((unsigned)out->status >= ARRAY_SIZE(status) ||
		(out->status == MD_RUN && (!out->command || !*out->command)))
		return err_set(err, ERR_INTERNAL,
			"an outcome that is none of done, wait, run: a defect of the driver");
	j = json_object();
	json_set_str(j, "status", status[out->status]);
	json_set(j, "state", json_copy(state));
	if (out->status == MD_WAIT)
		add_wait(j, out);
	if (out->status == MD_RUN) {
		json_set_str(j, "command", out->command);
		json_set(j, "disconnects", json_bool(out->disconnects));
		if (out->again)
			json_set(j, "again", json_bool(true));
	}
	*ret = j;
	return 0;
}

static struct json *ssh_to_json(const struct md_report *r)
{
	struct json *ssh = json_object();

	set_if(ssh, "host", r->ssh_host);
	if (r->ssh_port)
		json_set(ssh, "port", json_int(r->ssh_port));
	set_if(ssh, "user", r->ssh_user);
	set_if(ssh, "keyPath", r->ssh_key_path);
	if (r->ssh_host_keys.n) {
		struct json *keys = json_array();

		strv_foreach (key, &r->ssh_host_keys)
			json_add(keys, json_string(key));
		json_set(ssh, "hostKeys", keys);
	}
	return ssh;
}

static struct json *probe_to_json(const struct md_report *r)
{
	struct json *probe = json_object();

	json_set_str(probe, "tcp", r->probe_tcp);
	set_if(probe, "greeting", r->probe_greeting);
	set_if(probe, "open", machine_state_name(r->probe_open));
	set_if(probe, "closed", machine_state_name(r->probe_closed));
	if (r->probe_timeout_ms)
		json_set(probe, "timeoutMs", json_int(r->probe_timeout_ms));
	return probe;
}

struct json *sdk_report_to_json(struct md_report *r)
{
	struct json *j = json_object(), *ssh = ssh_to_json(r);

	json_set_str(j, "state", machine_state_name(r->state));
	set_if(j, "message", r->message);
	set_if(j, "ip", r->ip);
	set_if(j, "url", r->url);
	if (r->url_always)
		json_set(j, "urlAlways", json_bool(true));
	if (r->engine_port)
		json_set(j, "enginePort", json_int(r->engine_port));
	if (r->slow)
		json_set(j, "slow", json_bool(true));
	if (ssh->n)
		json_set(j, "ssh", ssh);
	else
		json_free(ssh);
	if (r->probe_tcp)
		json_set(j, "probe", probe_to_json(r));
	return j;
}
