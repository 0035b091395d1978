/* Launching: one request, which may be made again with the same token. */
#include "amazonec2.h"

#include <string.h>
#include <time.h>

static int add_user_data(struct ec2 *e, struct query *q, struct md_request *rq,
	struct md_machine *m, struct err *err)
{
	_cleanup_secret_ char *encoded = NULL;

	if (md_cloud_user_bytes(rq, m, md_state_str(m, "UserDataFile"), "--amazonec2-userdata",
		    EC2_USER_DATA_MAX, &encoded, err) < 0)
		return -1;
	md_api_secret(&e->api, encoded); /* a host key is in it */
	query_add(q, "UserData", encoded);
	return 0;
}

static void add_ipv6(struct query *q, const struct md_machine *m)
{
	int64_t count = md_state_int(m, "Ipv6AddressCount");

	if (count > 0)
		query_addf(q, "NetworkInterface.1.Ipv6AddressCount", "%lld", (long long)count);
	if (md_state_bool(m, "EnablePrimaryIpv6"))
		query_bool(q, "NetworkInterface.1.PrimaryIpv6", true);
	if (streq(md_state_str(m, "HttpProtocolIpv6"), "enabled"))
		query_add(q, "MetadataOptions.HttpProtocolIpv6", "enabled");
}

static void add_network(struct query *q, const struct md_machine *m)
{
	const char *id = md_state_str(m, "SecurityGroupId");
	unsigned n = 0;

	query_add(q, "NetworkInterface.1.DeviceIndex", "0");
	query_add(q, "NetworkInterface.1.SubnetId", md_state_str(m, "SubnetId"));
	query_bool(q, "NetworkInterface.1.AssociatePublicIpAddress",
		!md_state_bool(m, "PrivateIPOnly") && !md_state_bool(m, "Ipv6AddressOnly"));
	if (*id)
		query_addf(q, "NetworkInterface.1.SecurityGroupId.1", "%s", id), n++;
	for (size_t i = 0; (id = list_text(m, "SecurityGroupIds", i)); i++) {
		_cleanup_free_ char *key = xasprintf("NetworkInterface.1.SecurityGroupId.%u", ++n);

		query_add(q, key, id);
	}
}

static void add_disk(struct query *q, const struct md_machine *m)
{
	query_add(q, "BlockDeviceMapping.1.DeviceName", md_state_str(m, "DeviceName"));
	query_addf(q, "BlockDeviceMapping.1.Ebs.VolumeSize", "%lld",
		(long long)md_state_int(m, "RootSize"));
	query_add(q, "BlockDeviceMapping.1.Ebs.VolumeType", md_state_str(m, "VolumeType"));
	query_bool(q, "BlockDeviceMapping.1.Ebs.DeleteOnTermination", true);
}

static void add_tag(struct query *q, unsigned set, unsigned n, const char *key, const char *value)
{
	_cleanup_free_ char *keys = xasprintf("TagSpecification.%u.Tag.%u.Key", set, n);
	_cleanup_free_ char *values = xasprintf("TagSpecification.%u.Tag.%u.Value", set, n);

	query_add(q, keys, key);
	query_add(q, values, value);
}

void ec2_tags(const struct md_machine *m, struct strv *ret)
{
	const char *s = md_state_str(m, "Tags");

	while (*s) {
		size_t len = strcspn(s, ",");
		_cleanup_free_ char *text = xstrndup(s, len);

		strv_add(ret, text + strspn(text, " "));
		s += len + (s[len] == ',');
	}
}

/* Of all that comes into being with the instance. */
static void add_tags(struct query *q, const struct md_machine *m)
{
	static const char *const kinds[] = {
		"instance", "volume", "network-interface", "spot-instances-request"};
	size_t n_kinds = ARRAY_SIZE(kinds) - !md_state_bool(m, "RequestSpotInstance");
	_cleanup_strv_ struct strv tags = STRV_INIT;

	ec2_tags(m, &tags);
	for (unsigned k = 0; k < n_kinds; k++) {
		_cleanup_free_ char *kind = xasprintf("TagSpecification.%u.ResourceType", k + 1);

		query_add(q, kind, kinds[k]);
		add_tag(q, k + 1, 1, "Name", m->name);
		for (unsigned i = 0; i + 1 < tags.n; i += 2)
			add_tag(q, k + 1, i / 2 + 2, tags.items[i], tags.items[i + 1]);
	}
}

static void add_spot(struct query *q, const struct md_machine *m)
{
	if (!md_state_bool(m, "RequestSpotInstance"))
		return;
	query_add(q, "InstanceMarketOptions.MarketType", "spot");
	query_add(q, "InstanceMarketOptions.SpotOptions.MaxPrice", md_state_str(m, "SpotPrice"));
	query_add(q, "InstanceMarketOptions.SpotOptions.SpotInstanceType", "one-time");
}

static int fill(struct ec2 *e, struct query *q, struct md_request *rq, struct md_machine *m,
	struct err *err)
{
	query_begin(q, "RunInstances");
	q->repeatable = true; /* the token */
	query_add(q, "ImageId", md_state_str(m, "AMI"));
	query_add(q, "MinCount", "1");
	query_add(q, "MaxCount", "1");
	query_add(q, "ClientToken", md_state_str(m, "Id"));
	query_add(q, "InstanceType", md_state_str(m, "InstanceType"));
	query_add(q, "KeyName", md_state_str(m, "KeyName"));
	query_add(q, "Placement.AvailabilityZone", md_state_str(m, "AvailabilityZone"));
	query_bool(q, "Monitoring.Enabled", md_state_bool(m, "Monitoring"));
	if (md_state_bool(m, "UseEbsOptimizedInstance"))
		query_bool(q, "EbsOptimized", true);
	query_add(q, "IamInstanceProfile.Name", md_state_str(m, "IamInstanceProfile"));
	/* the second hop is for containers */
	query_add(q, "MetadataOptions.HttpTokens", "required");
	query_add(q, "MetadataOptions.HttpPutResponseHopLimit", "2");
	add_network(q, m);
	add_ipv6(q, m);
	add_disk(q, m);
	add_tags(q, m);
	add_spot(q, m);
	return add_user_data(e, q, rq, m, err);
}

static void keep_instance(struct md_machine *m, const struct json *instance)
{
	json_set(m->state, EC2_LAUNCHED, json_int((int64_t)time(NULL)));
	json_set_str(m->state, "InstanceId", md_xml_text(instance, "instanceId"));
	json_set_str(m->state, "PrivateIPAddress", md_xml_text(instance, "privateIpAddress"));
	json_set_str(
		m->state, "SpotInstanceRequestId", md_xml_text(instance, "spotInstanceRequestId"));
}

/* An earlier call launched it, with something else in it: a group, the user data. */
static int find_earlier(struct ec2 *e, struct md_machine *m, struct err *err)
{
	if (find_launched(e, m, err) == 0)
		return 0;
	err->may_exist = true;
	return err_wrap(err, "the instance has been launched by an earlier attempt");
}

static int ask(struct ec2 *e, struct query *q, struct md_machine *m, struct err *err)
{
	_cleanup_json_ struct json *answer = NULL;
	_cleanup_err_ struct err mine = ERR_INIT;
	const struct json *instance;

	md_progress(e->api.rq, "Launching the instance...");
	if (ec2_call_new(e, q, "launch the instance", &answer, &mine) < 0)
		return ec2_failed_with(e, "IdempotentParameterMismatch") ? find_earlier(e, m, err)
									 : err_move(err, &mine);
	instance = json_at(json_get(answer, "instancesSet"), 0);
	if (!*md_xml_text(instance, "instanceId")) {
		err_set(err, ERR_PROTOCOL, "launch the instance: EC2: the answer names none");
		err->may_exist = true;
		return -1;
	}
	keep_instance(m, instance);
	md_cloud_order_over(m);
	return 0;
}

/* Without an instance. One that may be launched all the same shows from now on; after a refusal
 * there is only what an earlier launch, which was not answered, may have made: with none, nobody
 * has to look for anything. */
static void not_launched(
	struct md_request *rq, struct md_machine *m, int64_t earlier, const struct err *why)
{
	_cleanup_err_ struct err ignored = ERR_INIT;

	if (why->may_exist) {
		(void)!md_cloud_order(rq, m, &ignored);
		return;
	}
	json_set(m->state, MD_CLOUD_ORDERED, json_int(earlier));
	if (!earlier)
		json_set_str(m->state, "Id", "");
	(void)!md_checkpoint(rq, m->state, &ignored);
}

int launch(struct ec2 *e, struct md_request *rq, struct md_machine *m, struct err *err)
{
	_cleanup_query_ struct query q = {0};
	int64_t earlier = md_state_int(m, MD_CLOUD_ORDERED);

	if (!*md_state_str(m, "InstanceId")) {
		/* whatever is asked with this token is one instance, today and after a crash */
		const char *token = *m->id ? m->id : md_state_str(m, "Id");

		if (!*token)
			return err_set(err, ERR_INTERNAL, "the machine has no id (M2)");
		json_set_str(m->state, "Id", token);
		if (fill(e, &q, rq, m, err) < 0 || md_cloud_order(rq, m, err) < 0 ||
			ask(e, &q, m, err) < 0) {
			not_launched(rq, m, earlier, err);
			return -1;
		}
		if (md_checkpoint(rq, m->state, err) < 0)
			return -1;
	}
	if (*md_state_str(m, "InstanceId"))
		md_cloud_made(m);
	return 0;
}
