/* Where the instance is to be, and of what. */
#include "amazonec2.h"

#include <string.h>

#define IMAGE_NAME "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-%s-server-*"

const char *list_text(const struct md_machine *m, const char *key, size_t i)
{
	const struct json *list = json_get_fold(m->state, key);

	return json_at(list, i) ? json_str(json_at(list, i), "") : NULL;
}

static const char *first_value(const struct json *attribute)
{
	const struct json *values = json_get(attribute, "attributeValueSet");

	return md_xml_text(json_at(values, 0), "attributeValue");
}

static int look_up_vpc(struct ec2 *e, struct md_machine *m, struct err *err)
{
	_cleanup_query_ struct query q = {0};
	_cleanup_json_ struct json *answer = NULL;
	const struct json *set;

	if (*md_state_str(m, "VpcId"))
		return 0;
	query_begin(&q, "DescribeAccountAttributes");
	q.shared = true;
	query_add(&q, "AttributeName.1", "default-vpc");
	if (ec2_call(e, &q, "look up the default VPC", &answer, err) < 0)
		return -1;
	set = json_get(answer, "accountAttributeSet");
	for (size_t i = 0; json_at(set, i); i++)
		if (streq(md_xml_text(json_at(set, i), "attributeName"), "default-vpc") &&
			!streq(first_value(json_at(set, i)), "none"))
			json_set_str(m->state, "VpcId", first_value(json_at(set, i)));
	if (!*md_state_str(m, "VpcId"))
		return err_set(err, ERR_USER,
			"the account has no default VPC in %s: give --amazonec2-subnet-id or "
			"--amazonec2-vpc-id",
			md_state_str(m, "Region"));
	return 0;
}

/* Has it addresses of the kinds that are wanted? */
static bool is_fit(const struct md_machine *m, const struct json *subnet)
{
	return md_state_int(m, "Ipv6AddressCount") < 1 ||
	       json_at(json_get(subnet, "ipv6CidrBlockAssociationSet"), 0);
}

static void keep_subnet(struct md_machine *m, const struct json *subnet)
{
	json_set_str(m->state, "SubnetId", md_xml_text(subnet, "subnetId"));
	json_set_str(m->state, "AvailabilityZone", md_xml_text(subnet, "availabilityZone"));
	if (!*md_state_str(m, "VpcId"))
		json_set_str(m->state, "VpcId", md_xml_text(subnet, "vpcId"));
}

static int check_subnet(struct ec2 *e, struct md_machine *m, struct err *err)
{
	const char *id = md_state_str(m, "SubnetId"), *vpc = md_state_str(m, "VpcId");
	_cleanup_query_ struct query q = {0};
	_cleanup_json_ struct json *list = NULL;

	query_begin(&q, "DescribeSubnets");
	q.shared = true;
	query_filter(&q, 1, "subnet-id", id);
	if (ec2_list(e, &q, "subnetSet", "look up the subnet", &list, err) < 0)
		return -1;
	if (!json_at(list, 0))
		return err_set(err, ERR_USER,
			"--amazonec2-subnet-id %s: there is no such subnet in the region %s", id,
			md_state_str(m, "Region"));
	if (*vpc && !streq(md_xml_text(json_at(list, 0), "vpcId"), vpc))
		return err_set(err, ERR_USER,
			"the subnet %s (--amazonec2-subnet-id) is not in the VPC %s "
			"(--amazonec2-vpc-id)",
			id, vpc);
	if (!is_fit(m, json_at(list, 0)))
		return err_set(err, ERR_USER,
			"the subnet %s (--amazonec2-subnet-id) has no IPv6 addresses "
			"(--amazonec2-ipv6-address-count)",
			id);
	keep_subnet(m, json_at(list, 0));
	return 0;
}

static char *zone_of(const struct md_machine *m)
{
	const char *zone = md_state_str(m, "Zone");

	return endpoint_is_own(m) ? xstrdup(zone)
				  : xasprintf("%s%s", md_state_str(m, "Region"), zone);
}

static int find_subnet(struct ec2 *e, struct md_machine *m, struct err *err)
{
	_cleanup_free_ char *zone = zone_of(m);
	_cleanup_query_ struct query q = {0};
	_cleanup_json_ struct json *list = NULL;
	const struct json *chosen = NULL;

	query_begin(&q, "DescribeSubnets");
	q.shared = true;
	query_filter(&q, 1, "availability-zone", zone);
	query_filter(&q, 2, "vpc-id", md_state_str(m, "VpcId"));
	if (ec2_list(e, &q, "subnetSet", "look for a subnet", &list, err) < 0)
		return -1;
	for (size_t i = 0; json_at(list, i); i++) {
		const struct json *subnet = json_at(list, i);
		bool usual = streq(md_xml_text(subnet, "defaultForAz"), "true");

		if (is_fit(m, subnet) && (!chosen || usual))
			chosen = subnet;
		if (chosen == subnet && usual)
			break;
	}
	if (!chosen)
		return err_set(err, ERR_USER,
			"the VPC %s has no subnet%s in the zone %s: give --amazonec2-zone or "
			"--amazonec2-subnet-id",
			md_state_str(m, "VpcId"),
			json_at(list, 0) ? " with IPv6 addresses (--amazonec2-ipv6-address-count)"
					 : "",
			zone);
	keep_subnet(m, chosen);
	return 0;
}

int look_up_network(struct ec2 *e, struct md_machine *m, struct err *err)
{
	if (*md_state_str(m, "AvailabilityZone"))
		return 0;
	/* a subnet tells its VPC */
	if (*md_state_str(m, "SubnetId"))
		return check_subnet(e, m, err);
	return look_up_vpc(e, m, err) < 0 ? -1 : find_subnet(e, m, err);
}

/* Canonical's accounts, by partition. */
static const char *owner_of(const char *region)
{
	if (strncmp(region, "cn-", 3) == 0)
		return "837727238323";
	return strncmp(region, "us-gov-", 7) == 0 ? "513442679011" : "099720109477";
}

/* Types whose family has a "g" behind its generation have ARM processors: t4g, c7gn, m6gd. */
static const char *architecture_of(const char *type, bool debian)
{
	const char *p = type + strcspn(type, "0123456789");

	p += strspn(p, "0123456789");
	if (*p == 'g' || strncmp(type, "a1.", 3) == 0)
		return "arm64";
	return debian ? "amd64" : "x86_64";
}

static void keep_image(struct md_machine *m, const struct json *image)
{
	json_set_str(m->state, "AMI", md_xml_text(image, "imageId"));
	if (!*md_state_str(m, "DeviceName"))
		json_set_str(m->state, "DeviceName", md_xml_text(image, "rootDeviceName"));
}

int check_image(struct ec2 *e, struct md_machine *m, struct err *err)
{
	_cleanup_query_ struct query q = {0};
	_cleanup_json_ struct json *list = NULL;

	query_begin(&q, "DescribeImages");
	q.shared = true;
	query_add(&q, "ImageId.1", md_state_str(m, "AMI"));
	if (ec2_list(e, &q, "imagesSet", "look up the image", &list, err) < 0)
		return -1;
	if (!json_at(list, 0))
		return err_set(err, ERR_USER, "--amazonec2-ami %s: there is no such image in %s",
			md_state_str(m, "AMI"), md_state_str(m, "Region"));
	keep_image(m, json_at(list, 0));
	return 0;
}

int look_up_image(struct ec2 *e, struct md_machine *m, struct err *err)
{
	const char *type = md_state_str(m, "InstanceType");
	_cleanup_free_ char *name = xasprintf(IMAGE_NAME, architecture_of(type, true));
	_cleanup_query_ struct query q = {0};
	_cleanup_json_ struct json *list = NULL;
	const struct json *newest = NULL;

	if (*md_state_str(m, "AMI"))
		return *md_state_str(m, "DeviceName") ? 0 : check_image(e, m, err);
	query_begin(&q, "DescribeImages");
	q.shared = true;
	query_add(&q, "Owner.1", owner_of(md_state_str(m, "Region")));
	query_filter(&q, 1, "name", name);
	query_filter(&q, 2, "architecture", architecture_of(type, false));
	query_filter(&q, 3, "state", "available");
	if (ec2_list(e, &q, "imagesSet", "look for an image", &list, err) < 0)
		return -1;
	for (size_t i = 0; json_at(list, i); i++) /* dates of this form sort as texts */
		if (!newest || strcmp(md_xml_text(json_at(list, i), "creationDate"),
				       md_xml_text(newest, "creationDate")) > 0)
			newest = json_at(list, i);
	if (!newest)
		return err_set(err, ERR_USER,
			"no image of Ubuntu 24.04 is found in %s: give --amazonec2-ami",
			md_state_str(m, "Region"));
	keep_image(m, newest);
	return 0;
}
