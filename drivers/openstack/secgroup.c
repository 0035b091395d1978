/* A security group of the machine's own, on request: SSH and the engine, from anywhere. */
#include "openstack.h"

#include <string.h>

static void query_of(const struct os_api *a, const struct md_machine *m, struct buf *b)
{
	(void)a;
	buf_adds(b, "name=");
	md_http_escape(b, md_state_str(m, "OwnSecurityGroup"));
}

static bool is_ours(const struct md_machine *m, const struct json *group)
{
	return streq(json_str(json_get(group, "name"), ""), md_state_str(m, "OwnSecurityGroup"));
}

const struct os_kind os_group = {
	.name = "security group",
	.id = "OwnSecurityGroupId",
	.service = OS_NETWORK,
	.path = "/security-groups",
	.answer = "security_group",
	.list = "/security-groups",
	.key = "security_groups",
	.query = query_of,
	.is_ours = is_ours,
};

static int make_group(struct os_api *a, struct md_machine *m, struct err *err)
{
	_cleanup_free_ char *name = xasprintf("%s-%s", m->name, md_state_str(m, "ServerTag"));
	struct json *body = json_object(), *group = json_object();

	json_set_str(m->state, "OwnSecurityGroup", name);
	json_set_str(group, "name", name);
	json_set_str(group, "description", "SSH and the Docker engine of a machine");
	json_set(body, "security_group", group);
	md_progress(a->api.rq, "Creating the security group...");
	return os_order(a, m, &os_group, body, NULL, err);
}

/* One that is there already is refused. */
static int make_rule(struct os_api *a, const struct md_machine *m, int64_t port, struct err *err)
{
	_cleanup_err_ struct err mine = ERR_INIT;
	struct json *body = json_object(), *rule = json_object();

	json_set_str(rule, "security_group_id", md_state_str(m, "OwnSecurityGroupId"));
	json_set_str(rule, "direction", "ingress");
	json_set_str(rule, "ethertype", md_state_int(m, "IpVersion") == 6 ? "IPv6" : "IPv4");
	json_set_str(rule, "protocol", "tcp");
	json_set(rule, "port_range_min", json_int(port));
	json_set(rule, "port_range_max", json_int(port));
	json_set(body, "security_group_rule", rule);
	if (os_call(a, OS_NETWORK, "POST", "/security-group-rules", body,
		    "add a rule to the security group", NULL, &mine) == 0 ||
		(a->status == OS_STATUS_CONFLICT && mine.code != ERR_QUOTA))
		return 0;
	return err_move(err, &mine);
}

int os_make_group(struct os_api *a, struct md_machine *m, struct err *err)
{
	if (!md_state_bool(m, "CreateSecurityGroup"))
		return 0;
	if (!*md_state_str(m, "OwnSecurityGroupId") && make_group(a, m, err) < 0)
		return -1;
	return make_rule(a, m, md_state_int(m, "SSHPort"), err) < 0 ||
			       make_rule(a, m, MD_CLOUD_ENGINE_PORT, err) < 0
		       ? -1
		       : 0;
}

int os_remove_group(struct os_api *a, struct md_machine *m, struct err *err)
{
	return *md_state_str(m, "OwnSecurityGroup") ? os_remove_kind(a, m, &os_group, err) : 0;
}
