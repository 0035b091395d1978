/* A security group of the machine's own, on request: SSH and the engine, from anywhere. */
#include "openstack.h"

#include <string.h>

static int find_group(struct os_api *a, struct md_machine *m, struct err *err)
{
	const char *name = md_state_str(m, "OwnSecurityGroup");
	_cleanup_buf_ struct buf query = BUF_INIT;
	_cleanup_json_ struct json *list = NULL;

	buf_adds(&query, "name=");
	md_http_escape(&query, name);
	if (os_list(a, OS_NETWORK, "/security-groups", buf_str(&query), "security_groups",
		    "look for the security group", &list, err) < 0)
		return -1;
	for (size_t i = 0; json_at(list, i); i++)
		if (streq(json_str(json_get(json_at(list, i), "name"), ""), name)) {
			json_set(m->state, "OwnSecurityGroupId",
				json_copy(json_get(json_at(list, i), "id")));
			return 1;
		}
	return 0;
}

static int make_group(
	struct os_api *a, struct md_request *rq, struct md_machine *m, struct err *err)
{
	_cleanup_json_ struct json *answer = NULL;
	_cleanup_err_ struct err mine = ERR_INIT;
	struct json *body = json_object(), *group = json_object();

	json_set_str(group, "name", md_state_str(m, "OwnSecurityGroup"));
	json_set_str(group, "description", "SSH and the Docker engine of a machine");
	json_set(body, "security_group", group);
	md_progress(rq, "Creating the security group...");
	if (os_call(a, OS_NETWORK, "POST", "/security-groups", body, "create the security group",
		    &answer, &mine) == 0) {
		json_set(m->state, "OwnSecurityGroupId",
			json_copy(json_path(answer, "security_group", "id", NULL)));
		return 0;
	}
	if (mine.may_exist && find_group(a, m, err) > 0)
		return 0;
	err_finish(err);
	return err_move(err, &mine);
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

int os_make_group(struct os_api *a, struct md_request *rq, struct md_machine *m, struct err *err)
{
	int found = 0;

	if (!md_state_bool(m, "CreateSecurityGroup"))
		return 0;
	if (!*md_state_str(m, "OwnSecurityGroupId")) {
		if (*md_state_str(m, "OwnSecurityGroup")) {
			found = find_group(a, m, err);
		} else {
			_cleanup_free_ char *name =
				xasprintf("%s-%s", m->name, md_state_str(m, "ServerTag"));

			found = md_state_note(rq, m, "OwnSecurityGroup", name, err);
		}
		if (found < 0 || (found == 0 && make_group(a, rq, m, err) < 0) ||
			md_checkpoint(rq, m->state, err) < 0)
			return -1;
	}
	return make_rule(a, m, md_state_int(m, "SSHPort"), err) < 0 ||
			       make_rule(a, m, MD_CLOUD_ENGINE_PORT, err) < 0
		       ? -1
		       : 0;
}

int os_remove_group(struct os_api *a, struct md_machine *m, struct err *err)
{
	_cleanup_err_ struct err mine = ERR_INIT;
	_cleanup_free_ char *path = NULL;

	if (!*md_state_str(m, "OwnSecurityGroup"))
		return 0;
	if (!*md_state_str(m, "OwnSecurityGroupId") && find_group(a, m, err) < 0)
		return -1;
	if (!*md_state_str(m, "OwnSecurityGroupId"))
		return 0;
	path = xasprintf("/security-groups/%s", md_state_str(m, "OwnSecurityGroupId"));
	if (os_delete(a, OS_NETWORK, path, "delete the security group", &mine) == 0)
		return 0;
	return a->status == OS_STATUS_CONFLICT ? 1 : err_move(err, &mine);
}
