/* Machines as the host keeps them, and the requests about them. */
#include "kit.h"

#include "mem.h"
#include "mstate.h"

#include <poll.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#define PROBE_MS 5000
#define DEFAULT_RETRY_MS 3000
#define MIN_RETRY_MS 100
#define MAX_RETRY_MS 60000
#define UNKNOWN_MEMBER "XConformUnknown" /* M4: no driver knows it */

void subject_init(struct kit *k, struct subject *s, const char *name)
{
	unsigned char random[16] = {0};
	struct buf id = BUF_INIT;

	(void)!getrandom(random, sizeof(random), 0);
	for (size_t i = 0; i < sizeof(random); i++)
		buf_addf(&id, "%02x", random[i]);
	s->id = buf_steal(&id);
	s->name = xasprintf("%s-%.6s", name, s->id);
	s->dir = xasprintf("%s/machines/%s", k->store, s->name);
	s->state = json_object();
}

void subject_finish(struct subject *s)
{
	free(s->name);
	free(s->id);
	free(s->dir);
	json_free(s->configured);
	json_free(s->state);
	*s = (struct subject){0};
}

struct json *reference(const struct kit *k, const struct subject *s)
{
	struct json *j = json_object();

	json_set_str(j, "name", s->name);
	json_set_str(j, "id", s->id);
	json_set_str(j, "dir", s->dir);
	json_set_str(j, "storePath", k->store);
	json_set(j, "state", json_copy(s->state));
	return j;
}

struct json *machine_params(const struct kit *k, const struct subject *s)
{
	struct json *params = json_object();

	json_set(params, "machine", reference(k, s));
	return params;
}

/* M4, M5 */
void check_state(struct kit *k, const struct json *state)
{
	_cleanup_err_ struct err err = ERR_INIT;
	static const struct {
		const char *key;
		enum json_type type;
	} members[] = {{"IPAddress", JSON_STRING}, {"MachineName", JSON_STRING},
		{"SSHUser", JSON_STRING}, {"SSHPort", JSON_NUMBER}, {"SSHKeyPath", JSON_STRING},
		{"StorePath", JSON_STRING}, {"SwarmMaster", JSON_BOOL}, {"SwarmHost", JSON_STRING},
		{"SwarmDiscovery", JSON_STRING}};

	if (driver_state_check(state, &err) < 0)
		broke(k, "M4", "%s", err_msg(&err));
	for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
		const struct json *value = json_get(state, members[i].key);

		if (!value)
			continue;
		saw(k, "M5");
		if (!json_is(value, members[i].type))
			broke(k, "M5", "%s in the state has another type than the host reads",
				members[i].key);
	}
}

void take_state(struct kit *k, struct subject *s, const struct json *state)
{
	const struct json *unknown = json_get(s->state, UNKNOWN_MEMBER);

	if (!json_is(state, JSON_OBJECT))
		return;
	check_state(k, state);
	if (unknown) {
		saw(k, "M4");
		if (!json_equal(unknown, json_get(state, UNKNOWN_MEMBER)))
			broke(k, "M4",
				"a member of the state that the driver does not know is lost");
	}
	json_free(s->state);
	s->state = json_copy(state);
	if (!json_get(s->state, UNKNOWN_MEMBER)) {
		struct json *list = json_array();

		json_add(list, json_int(1));
		json_add(list, json_string("two"));
		json_set(s->state, UNKNOWN_MEMBER, list);
	}
}

void take_checkpoint(struct kit *k, struct subject *s, const struct answer *a)
{
	take_state(k, s, json_get(a->body, "state"));
}

static void check_wait(struct kit *k, const struct json *o)
{
	const struct json *after = json_get(o, "retryAfterMs"), *state = json_get(o, "waitFor");
	int64_t n;

	saw(k, "O2");
	if (after && (!json_to_int(after, &n) || n < MIN_RETRY_MS || n > MAX_RETRY_MS))
		broke(k, "O2", "retryAfterMs is not an integer from %d to %d", MIN_RETRY_MS,
			MAX_RETRY_MS);
	if (state && machine_state_parse(json_str(state, "")) == STATE_NONE)
		broke(k, "O2", "waitFor is not a state");
	if (json_get(o, "message") && !json_is(json_get(o, "message"), JSON_STRING))
		broke(k, "O2", "message is not a string");
}

static void check_run(struct kit *k, const struct json *o)
{
	const struct json *disconnects = json_get(o, "disconnects"), *again = json_get(o, "again");

	saw(k, "O3");
	if (!*json_str(json_get(o, "command"), ""))
		broke(k, "O3", "run without a command");
	if (disconnects && !json_is(disconnects, JSON_BOOL))
		broke(k, "O3", "disconnects is not a bool");
	if (again && !json_is(again, JSON_BOOL))
		broke(k, "O3", "again is not a bool");
}

const char *take_outcome(struct kit *k, struct subject *s, const struct json *outcome)
{
	const char *status = json_str(json_get(outcome, "status"), "");
	const struct json *state = json_get(outcome, "state");

	saw(k, "O1");
	if (state && !json_is(state, JSON_OBJECT))
		broke(k, "O1", "the state in an outcome is not an object");
	take_state(k, s, state);
	if (streq(status, "done"))
		return "done";
	if (streq(status, "wait")) {
		check_wait(k, outcome);
		return "wait";
	}
	if (streq(status, "run")) {
		check_run(k, outcome);
		return "run";
	}
	broke(k, "O1", "the status \"%s\"", status);
	return NULL;
}

void act(struct kit *k, struct subject *s, const char *method, int64_t deadline, struct answer *ret)
{
	struct peer *p = ready_peer(k);

	*ret = (struct answer){0};
	if (!p) {
		ret->why = xstrdup(buf_str(&k->reason));
		return;
	}
	await(k, p, ask(p, method, machine_params(k, s)), MAX(deadline - now_ms(), (int64_t)0),
		ret);
}

static bool reached(struct kit *k, struct subject *s, const char *state, int64_t deadline)
{
	_cleanup_answer_ struct answer a = {0};
	struct json *params = json_object(), *list = json_array();
	const struct json *report;
	struct peer *p = ready_peer(k);

	json_add(list, reference(k, s));
	json_set(params, "machines", list);
	if (!p) {
		json_free(params);
		return false;
	}
	call(k, p, "states", params, MIN(deadline - now_ms(), (int64_t)CHECK_MS), &a);
	report = json_at(json_get(a.body, "machines"), 0);
	if (a.what != GOT_RESULT || !report)
		return false;
	check_report(k, report);
	return streq(report_state(report, PROBE_MS), state);
}

/* Between requests nothing may come, so the time is spent listening. A driver may end meanwhile. */
static void listen_for(struct kit *k, int64_t ms)
{
	_cleanup_message_ struct message m = {0};
	int64_t end = now_ms() + ms;
	const char *why;

	if (k->peer && receive_other(k, k->peer, end, &m, &why))
		broke(k, "R7", "a message between two requests");
	while (now_ms() < end && !interrupted())
		poll(NULL, 0, (int)MIN(end - now_ms(), (int64_t)200));
}

int pause_for(struct kit *k, struct subject *s, const struct json *outcome, int64_t deadline,
	struct answer *ret)
{
	int64_t after = json_int_or(json_get(outcome, "retryAfterMs"), DEFAULT_RETRY_MS);
	_cleanup_free_ char *state = xstrdup(json_str(json_get(outcome, "waitFor"), NULL));
	_cleanup_free_ char *what =
		xstrdup(json_str(json_get(outcome, "message"), "nothing named"));

	after = MIN(MAX(after, (int64_t)MIN_RETRY_MS), (int64_t)MAX_RETRY_MS);
	answer_finish(ret);
	do {
		listen_for(k, MAX(MIN(after, deadline - now_ms()), (int64_t)0));
		if (now_ms() >= deadline || interrupted())
			break;
		if (!state || reached(k, s, state, deadline))
			return 0;
	} while (now_ms() < deadline);
	ret->why = interrupted() ? xstrdup("interrupted")
				 : xasprintf("still waiting for %s (%s) at the deadline",
					   state ? state : "the next try", what);
	return -1;
}

/* Saves a checkpoint and lets the driver go on; *a is the next thing that came. */
static void serve_checkpoint(struct kit *k, struct subject *s, int64_t deadline, struct answer *a)
{
	struct peer *p = k->peer;
	int64_t id = a->id;

	take_checkpoint(k, s, a);
	answer_finish(a);
	if (k->holds > 0) {
		k->holds--;
		overhear(k, p, a);
	}
	grant(p, id);
	if (a->what != GOT_NOTHING) /* it did not wait: noted at C4 */
		return;
	answer_finish(a);
	await(k, p, p->serving, MAX(deadline - now_ms(), (int64_t)0), a);
}

int finish(struct kit *k, struct subject *s, const char *method, int64_t ms, struct answer *ret)
{
	int64_t deadline = deadline_in(k, ms);

	act(k, s, method, deadline, ret);
	for (;;) {
		const char *status;

		while (ret->what == GOT_CHECKPOINT)
			serve_checkpoint(k, s, deadline, ret);
		if (ret->what != GOT_RESULT)
			return -1;
		status = take_outcome(k, s, ret->body);
		if (!status || !streq(status, "wait"))
			return 0; /* what is no outcome was noted at O1, and counts as done */
		if (pause_for(k, s, ret->body, deadline, ret) < 0)
			return -1;
		act(k, s, method, deadline, ret);
	}
}
