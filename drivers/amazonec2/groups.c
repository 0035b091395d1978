/* Security groups: found by name in the VPC, made where they are missing, and opened for what the
 * machine needs. They are shared by machines, and stay. */
#include "amazonec2.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DESCRIPTION "Docker Machine"
#define V6 " ::/0" /* at the end of a rule's text: from there, not from 0.0.0.0/0 */

struct rule {
	int port;
	char protocol[EC2_PROTOCOL_MAX + 1];
	bool v6;
};

/* The old single form, then the list. */
static void group_names(const struct md_machine *m, struct strv *ret)
{
	const char *name = md_state_str(m, "SecurityGroupName");

	if (*name)
		strv_add(ret, name);
	for (size_t i = 0; (name = list_text(m, "SecurityGroupNames", i)); i++)
		if (*name && !strv_contains(ret, name))
			strv_add(ret, name);
}

static int describe(struct ec2 *e, const struct md_machine *m, const struct strv *names,
	bool shared, struct json **ret, struct err *err)
{
	_cleanup_query_ struct query q = {0};

	query_begin(&q, "DescribeSecurityGroups");
	q.shared = shared;
	query_add(&q, "Filter.1.Name", "group-name");
	for (size_t i = 0; i < names->n; i++) {
		_cleanup_free_ char *key = xasprintf("Filter.1.Value.%zu", i + 1);

		query_add(&q, key, names->items[i]);
	}
	query_filter(&q, 2, "vpc-id", md_state_str(m, "VpcId"));
	return ec2_list(e, &q, "securityGroupInfo", "look up the security groups", ret, err);
}

static const struct json *find_group(const struct json *list, const char *name)
{
	for (size_t i = 0; json_at(list, i); i++)
		if (streq(md_xml_text(json_at(list, i), "groupName"), name))
			return json_at(list, i);
	return NULL;
}

/* What was made just now is not known everywhere at once. *ret: the group as it is described. */
static int await_group(struct ec2 *e, const struct md_machine *m, const char *name,
	struct json **ret, struct err *err)
{
	const struct strv one = {.items = (char *[]){(char *)name, NULL}, .n = 1};

	for (unsigned look = 0;; look++) {
		_cleanup_json_ struct json *list = NULL;
		const struct json *group;

		if (describe(e, m, &one, false, &list, err) < 0)
			return -1;
		group = find_group(list, name);
		if (group) {
			*ret = json_copy(group);
			return 0;
		}
		if (look == EC2_LOOKS)
			return err_set(err, ERR_UNAVAILABLE,
				"the new security group %s does not appear", name);
		if (ec2_pause(e, EC2_LOOK_MS, err) < 0)
			return -1;
	}
}

static int make_group(struct ec2 *e, const struct md_machine *m, const char *name,
	struct json **ret, struct err *err)
{
	_cleanup_query_ struct query q = {0};
	_cleanup_err_ struct err mine = ERR_INIT;

	query_begin(&q, "CreateSecurityGroup");
	q.repeatable = true; /* there is one of a name in a VPC */
	query_add(&q, "GroupDescription", DESCRIPTION);
	query_add(&q, "GroupName", name);
	query_add(&q, "VpcId", md_state_str(m, "VpcId"));
	if (ec2_call(e, &q, "create the security group", NULL, &mine) < 0 &&
		mine.code != ERR_EXISTS) /* somebody else was faster */
		return err_move(err, &mine);
	md_api_forget();
	return await_group(e, m, name, ret, err);
}

/* PORT[/[PROTOCOL]], and perhaps V6 */
static struct rule rule_of(const char *text)
{
	struct rule r = {.port = (int)strtol(text, NULL, 10), .protocol = "tcp"};
	const char *protocol = text + strcspn(text, "/ "), *v6 = strstr(text, V6);
	size_t len;

	protocol += *protocol == '/';
	len = v6 ? (size_t)(v6 - protocol) : strlen(protocol);
	if (len)
		snprintf(r.protocol, sizeof(r.protocol), "%.*s", (int)len, protocol);
	r.v6 = v6 != NULL;
	return r;
}

/* Who may come is not compared, but for the kind of addresses. */
static bool is_for(const struct json *permission, bool v6)
{
	bool some = json_at(json_get(permission, "ipv6Ranges"), 0);

	return v6 ? some : !some || json_at(json_get(permission, "ipRanges"), 0);
}

static bool has_rule(const struct json *group, const struct rule *r)
{
	const struct json *list = json_get(group, "ipPermissions");

	for (size_t i = 0; json_at(list, i); i++) {
		const char *from = md_xml_text(json_at(list, i), "fromPort");

		if (*from && strtol(from, NULL, 10) == r->port && is_for(json_at(list, i), r->v6) &&
			streq(md_xml_text(json_at(list, i), "ipProtocol"), r->protocol))
			return true;
	}
	return false;
}

static void add_rule(struct query *q, unsigned n, const struct rule *r)
{
	static const char *const names[] = {"FromPort", "ToPort"};
	_cleanup_free_ char *protocol = xasprintf("IpPermissions.%u.IpProtocol", n);
	_cleanup_free_ char *range = xasprintf(
		"IpPermissions.%u.%s", n, r->v6 ? "Ipv6Ranges.1.CidrIpv6" : "IpRanges.1.CidrIp");

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_free_ char *key = xasprintf("IpPermissions.%u.%s", n, names[i]);

		query_addf(q, key, "%d", r->port);
	}
	query_add(q, protocol, r->protocol);
	query_add(q, range, r->v6 ? "::/0" : "0.0.0.0/0");
}

/* Each once, as PORT/PROTOCOL. */
static void want(struct strv *rules, const struct json *group, const struct rule *r)
{
	_cleanup_free_ char *text = xasprintf("%d/%s%s", r->port, r->protocol, r->v6 ? V6 : "");

	if (!has_rule(group, r) && !strv_contains(rules, text))
		strv_add(rules, text);
}

static void want_both(
	const struct md_machine *m, struct strv *rules, const struct json *group, struct rule r)
{
	want(rules, group, &r);
	r.v6 = true;
	if (md_state_int(m, "Ipv6AddressCount") > 0)
		want(rules, group, &r);
}

static void missing_rules(const struct md_machine *m, const struct json *group, struct strv *ret)
{
	struct rule fixed[] = {{.port = (int)md_state_int(m, "SSHPort"), .protocol = "tcp"},
		{.port = MD_CLOUD_ENGINE_PORT, .protocol = "tcp"}};
	const char *text;

	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++)
		want_both(m, ret, group, fixed[i]);
	for (size_t i = 0; (text = list_text(m, "OpenPorts", i)); i++)
		want_both(m, ret, group, rule_of(text));
}

static int authorize(
	struct ec2 *e, const struct json *group, char *const *rules, size_t n, struct err *err)
{
	_cleanup_query_ struct query q = {0};

	query_begin(&q, "AuthorizeSecurityGroupIngress");
	q.repeatable = true;
	query_add(&q, "GroupId", md_xml_text(group, "groupId"));
	for (size_t i = 0; i < n; i++) {
		struct rule r = rule_of(rules[i]);

		add_rule(&q, (unsigned)i + 1, &r);
	}
	return ec2_call_new(e, &q, "open the security group's ports", NULL, err);
}

static int open_ports(
	struct ec2 *e, const struct md_machine *m, const struct json *group, struct err *err)
{
	_cleanup_strv_ struct strv rules = STRV_INIT;
	_cleanup_err_ struct err mine = ERR_INIT;

	missing_rules(m, group, &rules);
	if (!rules.n)
		return 0;
	md_api_forget(); /* the next machine sees them */
	if (authorize(e, group, rules.items, rules.n, &mine) == 0)
		return 0;
	if (mine.code != ERR_EXISTS)
		return err_move(err, &mine);
	/* somebody else added one of them meanwhile, and so none was */
	for (size_t i = 0; i < rules.n && rules.n > 1; i++) {
		err_finish(&mine);
		if (authorize(e, group, &rules.items[i], 1, &mine) < 0 && mine.code != ERR_EXISTS)
			return err_move(err, &mine);
	}
	return 0;
}

static void keep_id(struct md_machine *m, const char *id)
{
	const char *have;

	for (size_t i = 0; (have = list_text(m, "SecurityGroupIds", i)); i++)
		if (streq(have, id))
			return;
	if (!json_is(json_get_fold(m->state, "SecurityGroupIds"), JSON_ARRAY))
		json_set(m->state, "SecurityGroupIds", json_array());
	json_add(json_get_fold(m->state, "SecurityGroupIds"), json_string(id));
}

int make_groups(struct ec2 *e, struct md_request *rq, struct md_machine *m, struct err *err)
{
	_cleanup_strv_ struct strv names = STRV_INIT;
	_cleanup_json_ struct json *list = NULL;

	group_names(m, &names);
	if (!names.n)
		return 0;
	if (describe(e, m, &names, true, &list, err) < 0)
		return -1;
	strv_foreach (name, &names) {
		const struct json *group = find_group(list, name);
		_cleanup_json_ struct json *made = NULL;

		if (!group && make_group(e, m, name, &made, err) < 0)
			return -1;
		group = group ? group : made;
		keep_id(m, md_xml_text(group, "groupId"));
		if (!md_state_bool(m, "SecurityGroupReadOnly") && open_ports(e, m, group, err) < 0)
			return -1;
	}
	return md_checkpoint(rq, m->state, err);
}
