/* What the user asks for: flags, and whether the account can have it. */
#include "amazonec2.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REGION_OWN "custom-endpoint"
#define PORT_MAX 65535
#define PROTOCOL_LETTERS "abcdefghijklmnopqrstuvwxyz0123456789"

static const struct md_field fields[] = {
	{"Id", MD_TEXT, NULL},
	{"AccessKey", MD_TEXT, "amazonec2-access-key"},
	{"SecretKey", MD_TEXT, "amazonec2-secret-key"},
	{"SessionToken", MD_TEXT, "amazonec2-session-token"},
	{"Region", MD_TEXT, "amazonec2-region"},
	{"AMI", MD_TEXT, "amazonec2-ami"},
	{"SSHKeyID", MD_NUMBER, NULL},
	{"ExistingKey", MD_YES_NO, NULL},
	{"KeyName", MD_TEXT, "amazonec2-keypair-name"},
	{"InstanceId", MD_TEXT, NULL},
	{"InstanceType", MD_TEXT, "amazonec2-instance-type"},
	{"PrivateIPAddress", MD_TEXT, NULL},
	{"SecurityGroupId", MD_TEXT, NULL},
	{"SecurityGroupIds", MD_LIST, NULL},
	{"SecurityGroupName", MD_TEXT, NULL},
	{"SecurityGroupNames", MD_LIST, "amazonec2-security-group"},
	{"SecurityGroupReadOnly", MD_YES_NO, "amazonec2-security-group-readonly"},
	{"OpenPorts", MD_LIST, "amazonec2-open-port"},
	{"Tags", MD_TEXT, "amazonec2-tags"},
	{"ReservationId", MD_TEXT, NULL},
	{"DeviceName", MD_TEXT, "amazonec2-device-name"},
	{"RootSize", MD_NUMBER, "amazonec2-root-size"},
	{"VolumeType", MD_TEXT, "amazonec2-volume-type"},
	{"IamInstanceProfile", MD_TEXT, "amazonec2-iam-instance-profile"},
	{"VpcId", MD_TEXT, "amazonec2-vpc-id"},
	{"SubnetId", MD_TEXT, "amazonec2-subnet-id"},
	{"Zone", MD_TEXT, "amazonec2-zone"},
	{"RequestSpotInstance", MD_YES_NO, "amazonec2-request-spot-instance"},
	{"SpotPrice", MD_TEXT, "amazonec2-spot-price"},
	{"BlockDurationMinutes", MD_NUMBER, "amazonec2-block-duration-minutes"},
	{"PrivateIPOnly", MD_YES_NO, "amazonec2-private-address-only"},
	{"UsePrivateIP", MD_YES_NO, "amazonec2-use-private-address"},
	{"UseEbsOptimizedInstance", MD_YES_NO, "amazonec2-use-ebs-optimized-instance"},
	{"Monitoring", MD_YES_NO, "amazonec2-monitoring"},
	{"SSHPrivateKeyPath", MD_PATH, "amazonec2-ssh-keypath"},
	{"RetryCount", MD_NUMBER, "amazonec2-retries"},
	{"Endpoint", MD_TEXT, "amazonec2-endpoint"},
	{"DisableSSL", MD_YES_NO, "amazonec2-insecure-transport"},
	{"UserDataFile", MD_PATH, "amazonec2-userdata"},
	/* not of Docker Machine; the first five are of a program that came from it */
	{"HttpProtocolIpv6", MD_TEXT, "amazonec2-http-protocol-ipv6"},
	{"EnablePrimaryIpv6", MD_YES_NO, "amazonec2-enable-primary-ipv6"},
	{"Ipv6AddressCount", MD_NUMBER, "amazonec2-ipv6-address-count"},
	{"Ipv6AddressOnly", MD_YES_NO, "amazonec2-ipv6-address-only"},
	{"IPv6Address", MD_TEXT, NULL},
	{"SpotInstanceRequestId", MD_TEXT, NULL},
	{"AvailabilityZone", MD_TEXT, NULL}, /* the subnet's */
	{"KeyPairId", MD_TEXT, NULL},        /* of the key that was imported for the machine */
	{MD_CLOUD_RSA_KEY, MD_YES_NO, NULL},
	{"HostKey", MD_TEXT, NULL},
	{"Unseen", MD_NUMBER, NULL},
	{MD_CLOUD_ORDERED, MD_NUMBER, NULL},
	{EC2_LAUNCHED, MD_NUMBER, NULL},
};

int ec2_check_state(const struct md_machine *m, struct err *err)
{
	return md_fields_check(m, fields, ARRAY_SIZE(fields), err);
}

/* us-east-1, ap-southeast-2, us-gov-west-1: new ones come every year */
static bool is_region(const char *s)
{
	const char *dash = strrchr(s, '-');
	unsigned parts = 1;
	size_t first = strcspn(s, "-");

	if (!dash || first < 2 || first > 4 || !dash[1] ||
		strspn(dash + 1, "0123456789") != strlen(dash + 1))
		return false;
	for (const char *p = s; p < dash; p++) {
		if (*p == '-' && (p[1] == '-' || p + 1 == dash))
			return false;
		parts += *p == '-';
		if (*p != '-' && !islower((unsigned char)*p))
			return false;
	}
	return parts >= 2;
}

static int check_region(const struct md_machine *m, struct err *err)
{
	const char *region = md_state_str(m, "Region");

	if (!endpoint_is_own(m) && !is_region(region) && !streq(region, REGION_OWN))
		return err_set(err, ERR_USER,
			"--amazonec2-region %s: that is no region (as us-east-1 is one)", region);
	if (streq(region, REGION_OWN) && !*md_state_str(m, "AMI"))
		return err_set(err, ERR_USER,
			"--amazonec2-region " REGION_OWN " needs --amazonec2-ami: images are not "
			"looked up there");
	if (md_state_bool(m, "DisableSSL") && !endpoint_is_own(m))
		return err_set(err, ERR_USER,
			"--amazonec2-insecure-transport is for an endpoint of one's own: give "
			"--amazonec2-endpoint, too");
	return 0;
}

static int check_key_flags(const struct md_machine *m, struct err *err)
{
	if (*md_state_str(m, "KeyName") && !*md_state_str(m, "SSHPrivateKeyPath"))
		return err_set(err, ERR_USER,
			"--amazonec2-keypair-name needs --amazonec2-ssh-keypath, the private key "
			"of that pair");
	return 0;
}

static int check_port(const char *text, struct err *err)
{
	size_t digits = strspn(text, "0123456789");
	const char *protocol = text + digits + (text[digits] == '/');

	if (digits > 0 && digits <= 5 && (!text[digits] || text[digits] == '/') &&
		strtol(text, NULL, 10) > 0 && strtol(text, NULL, 10) <= PORT_MAX &&
		strspn(protocol, PROTOCOL_LETTERS) == strlen(protocol) &&
		strlen(protocol) <= EC2_PROTOCOL_MAX)
		return 0;
	return err_set(err, ERR_USER,
		"--amazonec2-open-port %s: a port is PORT or PORT/PROTOCOL, as in 80 or 53/udp",
		text);
}

static int check_tags(const struct md_machine *m, struct err *err)
{
	_cleanup_strv_ struct strv tags = STRV_INIT;

	ec2_tags(m, &tags);
	for (size_t i = 0; i + 1 < tags.n; i += 2)
		if (!*tags.items[i] || streq(tags.items[i], "Name"))
			return err_set(err, ERR_USER,
				"--amazonec2-tags: \"%s\" is no name for a tag (Name is the "
				"machine's)",
				tags.items[i]);
	return 0;
}

static int check_numbers(const struct md_machine *m, struct err *err)
{
	const char *port;

	for (size_t i = 0; (port = list_text(m, "OpenPorts", i)); i++)
		if (check_port(port, err) < 0)
			return -1;
	if (md_state_int(m, "RootSize") < 1)
		return err_set(err, ERR_USER, "--amazonec2-root-size %lld: at least 1 (GiB)",
			(long long)md_state_int(m, "RootSize"));
	return 0;
}

static int check_ipv6(const struct md_machine *m, struct err *err)
{
	const char *protocol = md_state_str(m, "HttpProtocolIpv6");
	int64_t count = md_state_int(m, "Ipv6AddressCount");

	if (!streq(protocol, "enabled") && !streq(protocol, "disabled"))
		return err_set(err, ERR_USER,
			"--amazonec2-http-protocol-ipv6 %s: it is enabled or disabled", protocol);
	if (count < 0)
		return err_set(err, ERR_USER, "--amazonec2-ipv6-address-count %lld: at least 0",
			(long long)count);
	if (md_state_bool(m, "Ipv6AddressOnly") && !count)
		return err_set(err, ERR_USER,
			"--amazonec2-ipv6-address-only needs an address: give "
			"--amazonec2-ipv6-address-count, too");
	return 0;
}

static void warn_of_flags(struct md_request *rq, const struct md_machine *m)
{
	_cleanup_strv_ struct strv tags = STRV_INIT;

	ec2_tags(m, &tags);
	if (tags.n % 2)
		md_log(rq, LOG_LEVEL_WARN, "--amazonec2-tags: \"%s\" has no value and is left out",
			tags.items[tags.n - 1]);
	if (md_state_int(m, "BlockDurationMinutes"))
		md_log(rq, LOG_LEVEL_WARN,
			"--amazonec2-block-duration-minutes does nothing any more: Amazon ended "
			"spot blocks in 2022");
}

int ec2_configure(
	struct md_request *rq, struct md_machine *m, const struct json *flags, struct err *err)
{
	md_fields_set(m, fields, ARRAY_SIZE(fields), flags);
	endpoint_keep(m);
	json_set_str(m->state, "SSHUser", md_flag_str(flags, "amazonec2-ssh-user"));
	json_set(m->state, "ExistingKey", json_bool(*md_state_str(m, "KeyName") != '\0'));
	if (md_flag_port(m, "SSHPort", flags, "amazonec2-ssh-port", err) < 0 ||
		check_region(m, err) < 0 || check_key_flags(m, err) < 0 ||
		check_numbers(m, err) < 0 || check_ipv6(m, err) < 0 || check_tags(m, err) < 0)
		return -1;
	warn_of_flags(rq, m);
	return 0;
}

static int check_files(const struct md_machine *m, struct err *err)
{
	const char *key = md_state_str(m, "SSHPrivateKeyPath");
	const char *data = md_state_str(m, "UserDataFile");
	_cleanup_free_ char *pub = xasprintf("%s.pub", key);

	if (*key && access(key, R_OK) < 0)
		return err_errno(err, errno, "--amazonec2-ssh-keypath %s", key);
	if (*key && !md_state_bool(m, "ExistingKey") && access(pub, R_OK) < 0)
		return err_errno(err, errno, "--amazonec2-ssh-keypath: the public key %s", pub);
	return md_cloud_check_user_bytes(data, "--amazonec2-userdata", EC2_USER_DATA_MAX, err);
}

/* What is found out here is found out again by `create`: nothing of it is kept. */
int ec2_pre_create_check(struct md_request *rq, struct md_machine *m, struct err *err)
{
	_cleanup_ec2_ struct ec2 e = {0};

	if (ec2_open(&e, rq, m, err) < 0 || check_files(m, err) < 0 ||
		check_key_name(&e, m, err) < 0 || look_up_network(&e, m, err) < 0)
		return -1;
	/* `create` only looks at an image where it has to */
	return *md_state_str(m, "AMI") ? check_image(&e, m, err) : look_up_image(&e, m, err);
}
