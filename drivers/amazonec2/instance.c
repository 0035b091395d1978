/* The life of an instance. */
#include "amazonec2.h"

#include <string.h>

#define UNSEEN "Unseen" /* looks in a row that did not find the new instance */
#define UNSEEN_LOOKS 20
#define NO_KEY "there is no key pair to remove: none was imported, or it was removed before"
#define NO_INSTANCE "there is no instance to remove: none was launched, or it was removed before"

/* The key is of no use without an instance; groups are shared. */
static int launch_failed(
	struct ec2 *e, struct md_request *rq, struct md_machine *m, struct err *err)
{
	_cleanup_err_ struct err ignored = ERR_INIT;

	if (*md_state_str(m, "InstanceId")) /* but it could not be written down */
		err->may_exist = true;
	if (err->may_exist || err->retryable || err->code == ERR_CANCELED)
		return -1;
	if (*md_state_str(m, "Id")) /* of an earlier launch */
		return -1;
	/* whatever happens meanwhile: a later call has to look for it */
	if (md_state_note(rq, m, "KeyPairId", "", &ignored) == 0 &&
		remove_key(e, rq, m, &ignored) == 0)
		(void)!md_checkpoint(rq, m->state, &ignored);
	return -1;
}

/* A new one is not known everywhere at once, and its report would be that it is gone; so only this
 * is called again, and counts. */
static int await_instance(
	struct md_machine *m, struct md_outcome *out, const struct err *why, struct err *err)
{
	int64_t looks = md_state_int(m, UNSEEN) + 1;
	bool lost = !*md_state_str(m, "InstanceId");

	if (looks > UNSEEN_LOOKS) {
		err_set(err, ERR_NOT_FOUND, "%s",
			lost ? "an instance has been launched by an earlier attempt, with other "
			       "parameters, and does not show: try again later, or remove the "
			       "machine and create it anew"
			     : err_msg(why));
		err->may_exist = lost;
		return -1;
	}
	json_set(m->state, UNSEEN, json_int(looks));
	md_cloud_wait(out, STATE_NONE, EC2_POLL_MS, "the instance to appear");
	return 0;
}

static int await_address(
	struct ec2 *e, struct md_machine *m, struct md_outcome *out, struct err *err)
{
	_cleanup_json_ struct json *instance = NULL;
	enum machine_state state;
	_cleanup_err_ struct err mine = ERR_INIT;

	if (describe_instance(e, m, &instance, &mine) < 0) {
		return mine.code == ERR_NOT_FOUND ? await_instance(m, out, &mine, err)
						  : err_move(err, &mine);
	}
	json_set(m->state, UNSEEN, json_int(0));
	state = instance_state(instance);
	if (state == STATE_RUNNING && *instance_address(m, instance)) {
		json_set_str(m->state, "IPAddress", instance_address(m, instance));
		json_set_str(
			m->state, "PrivateIPAddress", md_xml_text(instance, "privateIpAddress"));
		json_set_str(m->state, "IPv6Address", instance_ipv6(instance));
		return 0;
	}
	if (state == STATE_ERROR || state == STATE_STOPPED || state == STATE_STOPPING)
		return err_set(err, ERR_UNAVAILABLE, "the instance %s does not start: it is %s%s%s",
			md_state_str(m, "InstanceId"), md_xml_text(instance, "instanceState/name"),
			*md_xml_text(instance, "stateReason/message") ? ": " : "",
			md_xml_text(instance, "stateReason/message"));
	md_cloud_wait(out, STATE_RUNNING, EC2_POLL_MS, "the instance to run");
	return 0;
}

int ec2_create(struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err)
{
	_cleanup_ec2_ struct ec2 e = {0};
	bool is_new = !*md_state_str(m, "InstanceId");

	if (!is_new && *md_state_str(m, "IPAddress"))
		return 0;
	if (ec2_open(&e, rq, m, err) < 0)
		return -1;
	if (is_new && (look_up_network(&e, m, err) < 0 || look_up_image(&e, m, err) < 0 ||
			      make_key(&e, rq, m, err) < 0 || make_groups(&e, rq, m, err) < 0))
		return -1;
	if (launch(&e, rq, m, err) < 0)
		return launch_failed(&e, rq, m, err);
	if (!is_new || !*md_state_str(m, "InstanceId"))
		return await_address(&e, m, out, err);
	/* nothing runs at once, and whoever waits asks for many */
	md_cloud_wait(out, STATE_RUNNING, EC2_POLL_MS, "the instance to run");
	return 0;
}

/* Of one instance; force: of Stop. */
static int act(struct ec2 *e, const struct md_machine *m, const char *action, const char *force,
	const char *what, struct err *err)
{
	_cleanup_query_ struct query q = {0};

	query_begin(&q, action);
	q.repeatable = true;
	query_add(&q, "Force", force);
	query_add(&q, "InstanceId.1", md_state_str(m, "InstanceId"));
	return ec2_call(e, &q, what, NULL, err);
}

static bool is_there(
	const struct md_machine *m, const struct json *instance, enum machine_state wanted)
{
	return instance_state(instance) == wanted &&
	       (wanted != STATE_RUNNING || *instance_address(m, instance));
}

/* It needs no more than time. */
static bool is_coming(const struct json *instance, enum machine_state wanted)
{
	enum machine_state state = instance_state(instance);

	return state == wanted || /* without its address yet */
	       state == (wanted == STATE_RUNNING ? STATE_STARTING : STATE_STOPPING);
}

/* Until the instance is in the wanted state. One that is on its way to the other has to get there
 * first. */
static int power(struct md_request *rq, struct md_machine *m, const char *action, const char *force,
	enum machine_state wanted, struct md_outcome *out, struct err *err)
{
	_cleanup_ec2_ struct ec2 e = {0};
	_cleanup_json_ struct json *instance = NULL;
	_cleanup_err_ struct err mine = ERR_INIT;
	enum machine_state await = wanted;

	if (ec2_open(&e, rq, m, err) < 0 || describe_instance(&e, m, &instance, err) < 0)
		return -1;
	if (instance_state(instance) == STATE_ERROR)
		return err_set(err, ERR_NOT_RUNNING, "the instance %s is %s",
			md_state_str(m, "InstanceId"), md_xml_text(instance, "instanceState/name"));
	if (is_there(m, instance, wanted)) {
		if (*instance_address(m, instance))
			json_set_str(m->state, "IPAddress", instance_address(m, instance));
		return 0;
	}
	if ((streq(force, "true") || !is_coming(instance, wanted)) &&
		act(&e, m, action, force, action, &mine) < 0) {
		if (!ec2_failed_with(&e, "IncorrectInstanceState") &&
			!ec2_failed_with(&e, "IncorrectState"))
			return err_move(err, &mine);
		await = STATE_NONE;
	}
	md_cloud_wait(out, await, EC2_POLL_MS, "the instance to be %s", machine_state_name(wanted));
	return 0;
}

int ec2_start(struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err)
{
	return power(rq, m, "StartInstances", "", STATE_RUNNING, out, err);
}

int ec2_stop(struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err)
{
	return power(rq, m, "StopInstances", "false", STATE_STOPPED, out, err);
}

int ec2_kill(struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err)
{
	return power(rq, m, "StopInstances", "true", STATE_STOPPED, out, err);
}

int ec2_restart(
	struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err)
{
	_cleanup_ec2_ struct ec2 e = {0};

	(void)out;
	if (!*md_state_str(m, "InstanceId"))
		return err_set(
			err, ERR_NOT_FOUND, "the instance has not been launched, or was removed");
	if (ec2_open(&e, rq, m, err) < 0)
		return -1;
	return act(&e, m, "RebootInstances", "", "reboot the instance", err);
}

/* One whose launch was not answered may show late, or be launched still. */
static int find_unanswered(
	struct ec2 *e, struct md_machine *m, struct md_outcome *out, struct err *err)
{
	if (*md_state_str(m, "InstanceId") || !*md_state_str(m, "Id"))
		return 0;
	if (find_launched(e, m, err) < 0)
		return -1;
	if (!*md_state_str(m, "InstanceId") && md_cloud_order_open(m))
		md_cloud_wait(out, STATE_NONE, EC2_POLL_MS, "the instance to appear, if it does");
	return 0;
}

static int terminate(struct ec2 *e, struct md_request *rq, struct md_machine *m,
	struct md_outcome *out, struct err *err)
{
	_cleanup_err_ struct err mine = ERR_INIT;
	_cleanup_query_ struct query q = {0};
	const char *id;

	if (find_unanswered(e, m, out, err) < 0)
		return -1;
	id = md_state_str(m, "InstanceId");
	if (!*id && out->status != MD_WAIT)
		md_log(rq, LOG_LEVEL_WARN, NO_INSTANCE);
	if (!*id)
		return 0;
	query_begin(&q, "TerminateInstances");
	q.repeatable = true;
	query_add(&q, "InstanceId.1", id);
	if (ec2_call(e, &q, "terminate the instance", NULL, &mine) < 0 &&
		mine.code != ERR_NOT_FOUND)
		return err_move(err, &mine);
	if (mine.code && instance_is_new(m)) {
		md_cloud_wait(out, STATE_NONE, EC2_POLL_MS, "the new instance to be known");
		return 0;
	}
	if (mine.code)
		md_log(rq, LOG_LEVEL_WARN,
			"the instance %s is not known in %s: if it belongs to another account, it "
			"is still there",
			id, md_state_str(m, "Region"));
	/* it shuts down for a while, and is shown for an hour: to us it is gone */
	json_set_str(m->state, "InstanceId", "");
	json_set_str(m->state, "Id", "");
	return 0;
}

static int cancel_spot(struct ec2 *e, struct md_request *rq, struct md_machine *m,
	struct md_outcome *out, struct err *err)
{
	_cleanup_query_ struct query q = {0};
	_cleanup_err_ struct err mine = ERR_INIT;

	(void)rq;
	(void)out;
	if (!*md_state_str(m, "SpotInstanceRequestId"))
		return 0;
	query_begin(&q, "CancelSpotInstanceRequests");
	q.repeatable = true;
	query_add(&q, "SpotInstanceRequestId.1", md_state_str(m, "SpotInstanceRequestId"));
	if (ec2_call(e, &q, "cancel the spot request", NULL, &mine) < 0 &&
		mine.code != ERR_NOT_FOUND)
		return err_move(err, &mine);
	json_set_str(m->state, "SpotInstanceRequestId", "");
	return 0;
}

static int remove_own_key(struct ec2 *e, struct md_request *rq, struct md_machine *m,
	struct md_outcome *out, struct err *err)
{
	(void)out;
	if (!md_state_bool(m, "ExistingKey") && !*md_state_str(m, "KeyName"))
		md_log(rq, LOG_LEVEL_WARN, NO_KEY);
	return remove_key(e, rq, m, err);
}

/* One error of several: the first one's kind and marks, everybody's words. */
static void add_error(struct err *all, struct err *one)
{
	if (all->code == ERR_NONE) {
		(void)!err_move(all, one);
		return;
	}
	_cleanup_free_ char *text = xstrdup(err_msg(all));
	const struct err marks = *all;

	err_set(all, marks.code, "%s; %s", text, err_msg(one));
	all->retryable = marks.retryable;
	all->retry_after_ms = marks.retry_after_ms;
	all->may_exist = marks.may_exist;
}

/* Was anything made, or asked for? */
static bool is_made(const struct md_machine *m)
{
	return *md_state_str(m, "InstanceId") || *md_state_str(m, "Id") ||
	       *md_state_str(m, "SpotInstanceRequestId") ||
	       (*md_state_str(m, "KeyName") && !md_state_bool(m, "ExistingKey"));
}

/* Each is tried, whatever becomes of the others: the instance costs money. */
int ec2_remove(struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err)
{
	static int (*const steps[])(struct ec2 * e, struct md_request * rq, struct md_machine * m,
		struct md_outcome * out,
		struct err * err) = {terminate, cancel_spot, remove_own_key};
	_cleanup_ec2_ struct ec2 e = {0};
	_cleanup_err_ struct err all = ERR_INIT;

	if (ec2_check_state(m, err) < 0)
		return -1;
	if (!is_made(m)) { /* that needs no credentials, either */
		md_log(rq, LOG_LEVEL_WARN, NO_INSTANCE);
		return 0;
	}
	if (ec2_open(&e, rq, m, err) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(steps) && out->status != MD_WAIT; i++) {
		_cleanup_err_ struct err mine = ERR_INIT;

		if (steps[i](&e, rq, m, out, &mine) < 0)
			add_error(&all, &mine);
	}
	return all.code == ERR_NONE ? 0 : err_move(err, &all);
}
