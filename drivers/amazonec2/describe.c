/* What EC2 says of instances. */
#include "amazonec2.h"

#include <string.h>

#define MISSING "the instance has not been launched, or was removed"
#define INSTANCE_MISSING "InvalidInstanceID.NotFound"

static const struct {
	const char *name;
	enum machine_state state;
} states[] = {
	{"pending", STATE_STARTING},
	{"running", STATE_RUNNING},
	{"stopping", STATE_STOPPING},
	{"shutting-down", STATE_STOPPING},
	{"stopped", STATE_STOPPED},
	{"terminated", STATE_ERROR},
};

enum machine_state instance_state(const struct json *instance)
{
	const char *name = md_xml_text(instance, "instanceState/name");

	for (size_t i = 0; i < ARRAY_SIZE(states); i++)
		if (streq(states[i].name, name))
			return states[i].state;
	return STATE_ERROR;
}

const char *instance_ipv6(const struct json *instance)
{
	const char *own = md_xml_text(instance, "ipv6Address");
	const struct json *interfaces = json_get(instance, "networkInterfaceSet");
	const struct json *all = json_get(json_at(interfaces, 0), "ipv6AddressesSet");

	return *own ? own : md_xml_text(json_at(all, 0), "ipv6Address");
}

const char *instance_address(const struct md_machine *m, const struct json *instance)
{
	bool private = md_state_bool(m, "PrivateIPOnly") || md_state_bool(m, "UsePrivateIP");

	if (md_state_bool(m, "Ipv6AddressOnly"))
		return instance_ipv6(instance);
	return md_xml_text(instance, private ? "privateIpAddress" : "ipAddress");
}

/* Instances lie in reservations; they are moved out. */
static struct json *flatten(const struct json *reservations)
{
	struct json *all = json_array();

	for (size_t i = 0; json_at(reservations, i); i++) {
		const struct json *set = json_get(json_at(reservations, i), "instancesSet");

		for (size_t k = 0; json_at(set, k); k++)
			json_add(all, json_copy(json_at(set, k)));
	}
	return all;
}

static int describe(struct ec2 *e, struct query *q, struct json **ret, struct err *err)
{
	_cleanup_json_ struct json *reservations = NULL;

	if (ec2_list(e, q, "reservationSet", "look at the instance", &reservations, err) < 0)
		return -1;
	*ret = flatten(reservations);
	return 0;
}

static int find_by_token(
	struct ec2 *e, const struct md_machine *m, struct json **ret, struct err *err)
{
	_cleanup_query_ struct query q = {0};

	query_begin(&q, "DescribeInstances");
	query_filter(&q, 1, "client-token", md_state_str(m, "Id"));
	return describe(e, &q, ret, err);
}

int find_launched(struct ec2 *e, struct md_machine *m, struct err *err)
{
	_cleanup_json_ struct json *list = NULL;

	if (find_by_token(e, m, &list, err) < 0)
		return -1;
	if (json_at(list, 0)) {
		json_set_str(m->state, "InstanceId", md_xml_text(json_at(list, 0), "instanceId"));
		json_set_str(m->state, "SpotInstanceRequestId",
			md_xml_text(json_at(list, 0), "spotInstanceRequestId"));
		json_set(m->state, EC2_LAUNCHED, json_int(md_state_int(m, MD_CLOUD_ORDERED)));
		md_cloud_order_over(m);
	}
	return 0;
}

int describe_instance(struct ec2 *e, const struct md_machine *m, struct json **ret, struct err *err)
{
	const char *id = md_state_str(m, "InstanceId");
	_cleanup_query_ struct query q = {0};
	_cleanup_json_ struct json *list = NULL;

	if (!*id)
		return err_set(err, ERR_NOT_FOUND, MISSING);
	query_begin(&q, "DescribeInstances");
	query_add(&q, "InstanceId.1", id);
	if (describe(e, &q, &list, err) < 0 && !ec2_failed_with(e, INSTANCE_MISSING))
		return -1;
	if (!json_at(list, 0)) {
		err_finish(err);
		return err_set(err, ERR_NOT_FOUND,
			"the instance %s does not exist in %s (any more)", id,
			md_state_str(m, "Region"));
	}
	*ret = json_copy(json_at(list, 0));
	return 0;
}

static void report(const struct md_machine *m, const struct json *instance, struct md_report *out)
{
	const char *address = instance_address(m, instance);
	enum machine_state state = instance_state(instance);
	const char *reason = md_xml_text(instance, "stateReason/message");

	/* a public address that a machine had before it was stopped may be somebody else's now */
	json_set_str(m->state, "IPAddress", address);
	if (state == STATE_RUNNING && !*address)
		state = STATE_STARTING; /* `create` waits for both */
	md_cloud_report(m, state, out);
	if (state == STATE_ERROR)
		out->message = xasprintf("the instance %s is %s%s%s", md_state_str(m, "InstanceId"),
			md_xml_text(instance, "instanceState/name"), *reason ? ": " : "", reason);
}

bool instance_is_new(const struct md_machine *m)
{
	return md_cloud_recent(md_state_int(m, EC2_LAUNCHED), EC2_NEW_S);
}

static void report_gone(const struct md_machine *m, struct md_report *out)
{
	const char *id = md_state_str(m, "InstanceId"), *region = md_state_str(m, "Region");
	bool young = *id && instance_is_new(m);

	out->state = young ? STATE_STARTING : STATE_ERROR;
	if (!*id)
		out->message = xstrdup(MISSING);
	else if (young)
		out->message = xasprintf("the new instance %s does not show in %s yet", id, region);
	else
		out->message =
			xasprintf("the instance %s does not exist in %s (any more)", id, region);
}

static const struct json *find_instance(const struct json *list, const char *id)
{
	for (size_t i = 0; json_at(list, i); i++)
		if (streq(md_xml_text(json_at(list, i), "instanceId"), id))
			return json_at(list, i);
	return NULL;
}

/* A filter leaves out what is not there; a list of ids would fail as a whole. */
static int ask(struct ec2 *e, const struct md_machine *machines, size_t n, struct json **ret,
	struct err *err)
{
	_cleanup_query_ struct query q = {0};
	unsigned value = 0;

	query_begin(&q, "DescribeInstances");
	query_add(&q, "Filter.1.Name", "instance-id");
	for (size_t i = 0; i < n; i++) {
		const char *id = md_state_str(&machines[i], "InstanceId");
		_cleanup_free_ char *key = xasprintf("Filter.1.Value.%u", value + 1);

		query_add(&q, key, id);
		value += *id != '\0';
	}
	return describe(e, &q, ret, err);
}

static void ask_one(
	struct ec2 *e, const struct md_machine *m, struct md_report *out, struct err *err)
{
	_cleanup_json_ struct json *instance = NULL;

	if (describe_instance(e, m, &instance, err) == 0) {
		report(m, instance, out);
	} else if (err->code == ERR_NOT_FOUND) {
		err_finish(err);
		report_gone(m, out);
	}
}

/* The machines that have an instance are of one account and region: groupBy. */
int ec2_states(struct md_request *rq, struct md_machine *machines, size_t n,
	struct md_report *reports, struct err *errs, struct err *err)
{
	_cleanup_ec2_ struct ec2 e = {0};
	_cleanup_json_ struct json *list = NULL;
	size_t first = n;

	for (size_t i = n; i-- > 0;)
		if (ec2_check_state(&machines[i], &errs[i]) == 0 &&
			*md_state_str(&machines[i], "InstanceId"))
			first = i;
	if (first < n && ec2_open(&e, rq, &machines[first], err) < 0)
		return -1;
	if (n == 1 && first == 0) {
		ask_one(&e, &machines[0], &reports[0], &errs[0]);
		return 0;
	}
	if (first < n && ask(&e, machines, n, &list, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		const char *id = md_state_str(&machines[i], "InstanceId");
		const struct json *instance = *id ? find_instance(list, id) : NULL;

		if (errs[i].code)
			continue;
		if (instance)
			report(&machines[i], instance, &reports[i]);
		else
			report_gone(&machines[i], &reports[i]);
	}
	return 0;
}
