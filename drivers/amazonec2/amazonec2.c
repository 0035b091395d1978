#include "amazonec2.h"

#define FLAG(kind, flag, variable, text, ...)                                            \
	{                                                                                \
		.name = "amazonec2-" flag, .type = kind, .env = variable, .usage = text, \
		__VA_ARGS__                                                              \
	}

static const char *const groups[] = {"docker-machine", NULL};

static const struct flagspec flags[] = {
	FLAG(FLAG_STRING, "access-key", "AWS_ACCESS_KEY_ID", "AWS Access Key", .secret = true),
	FLAG(FLAG_STRING, "ami", "AWS_AMI", "AWS machine image (default: the newest Ubuntu 24.04)"),
	FLAG(FLAG_INT, "block-duration-minutes", NULL, "without effect: Amazon ended spot blocks"),
	FLAG(FLAG_STRING, "device-name", "AWS_DEVICE_NAME",
		"AWS root device name (default: the image's)"),
	FLAG(FLAG_BOOL, "enable-primary-ipv6", "AWS_ENABLE_PRIMARY_IPV6",
		"Make the instance's first IPv6 address its primary one, which stays"),
	FLAG(FLAG_STRING, "endpoint", "AWS_ENDPOINT",
		"Optional endpoint URL (hostname only or fully qualified URI)"),
	FLAG(FLAG_STRING, "http-protocol-ipv6", "AWS_HTTP_PROTOCOL_IPV6",
		"IPv6 endpoint of the instance's metadata service: enabled or disabled",
		.def_str = "disabled"),
	FLAG(FLAG_STRING, "iam-instance-profile", "AWS_INSTANCE_PROFILE",
		"AWS IAM Instance Profile"),
	FLAG(FLAG_BOOL, "insecure-transport", "AWS_INSECURE_TRANSPORT",
		"Disable SSL when sending requests"),
	FLAG(FLAG_STRING, "instance-type", "AWS_INSTANCE_TYPE", "AWS instance type",
		.def_str = "t3.micro"),
	FLAG(FLAG_INT, "ipv6-address-count", "AWS_IPV6_ADDRESS_COUNT",
		"Number of IPv6 addresses that the instance gets from its subnet"),
	FLAG(FLAG_BOOL, "ipv6-address-only", "AWS_IPV6_ADDRESS_ONLY",
		"Use the IPv6 address, and no public IPv4 address; requires "
		"--amazonec2-ipv6-address-count"),
	FLAG(FLAG_STRING, "keypair-name", "AWS_KEYPAIR_NAME",
		"AWS keypair to use; requires --amazonec2-ssh-keypath"),
	FLAG(FLAG_BOOL, "monitoring", NULL, "Set this flag to enable CloudWatch monitoring"),
	FLAG(FLAG_LIST, "open-port", NULL,
		"Make the specified port number accessible from the Internet"),
	FLAG(FLAG_BOOL, "private-address-only", NULL, "Only use a private IP address"),
	FLAG(FLAG_STRING, "region", "AWS_DEFAULT_REGION", "AWS region", .def_str = "us-east-1"),
	FLAG(FLAG_BOOL, "request-spot-instance", NULL, "Set this flag to request spot instance"),
	FLAG(FLAG_INT, "retries", NULL,
		"Set retry count for recoverable failures (use -1 to disable)", .def_int = 5),
	FLAG(FLAG_INT, "root-size", "AWS_ROOT_SIZE", "AWS root disk size (in GB)", .def_int = 16),
	FLAG(FLAG_STRING, "secret-key", "AWS_SECRET_ACCESS_KEY", "AWS Secret Key", .secret = true),
	FLAG(FLAG_LIST, "security-group", "AWS_SECURITY_GROUP", "AWS VPC security group",
		.def_list = groups),
	FLAG(FLAG_BOOL, "security-group-readonly", "AWS_SECURITY_GROUP_READONLY",
		"Skip adding default rules to security groups"),
	FLAG(FLAG_STRING, "session-token", "AWS_SESSION_TOKEN", "AWS Session Token",
		.secret = true),
	FLAG(FLAG_STRING, "spot-price", NULL, "AWS spot instance bid price (in dollar)",
		.def_str = "0.50"),
	FLAG(FLAG_STRING, "ssh-keypath", "AWS_SSH_KEYPATH", "SSH Key for Instance"),
	FLAG(FLAG_INT, "ssh-port", "AWS_SSH_PORT", "SSH Port", .def_int = 22),
	FLAG(FLAG_STRING, "ssh-user", "AWS_SSH_USER", "SSH Username", .def_str = "ubuntu"),
	FLAG(FLAG_STRING, "subnet-id", "AWS_SUBNET_ID", "AWS VPC subnet id"),
	FLAG(FLAG_STRING, "tags", "AWS_TAGS", "AWS Tags (e.g. key1,value1,key2,value2)"),
	FLAG(FLAG_BOOL, "use-ebs-optimized-instance", NULL, "Create an EBS optimized instance"),
	FLAG(FLAG_BOOL, "use-private-address", NULL, "Force the usage of private IP address"),
	FLAG(FLAG_STRING, "userdata", "AWS_USERDATA", "path to file with cloud-init user data"),
	FLAG(FLAG_STRING, "volume-type", "AWS_VOLUME_TYPE", "Amazon EBS volume type",
		.def_str = "gp3"),
	FLAG(FLAG_STRING, "vpc-id", "AWS_VPC_ID", "AWS VPC id"),
	FLAG(FLAG_STRING, "zone", "AWS_ZONE", "AWS zone for instance (i.e. a,b,c,d,e)",
		.def_str = "a"),
};

static const char *const environment[] = {"AWS_ACCESS_KEY", "AWS_SECRET_KEY", "AWS_PROFILE",
	"AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
	"AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN",
	"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "AWS_EC2_METADATA_DISABLED",
	"AWS_EC2_METADATA_SERVICE_ENDPOINT", "AWS_ENDPOINT_URL_EC2", "AWS_ENDPOINT_URL",
	MD_API_PAUSE_VARIABLE, MD_API_TIMEOUT_VARIABLE, NULL};
static const char *const group_by[] = {
	"AccessKey", "SecretKey", "SessionToken", "Region", "Endpoint", "DisableSSL", NULL};

static const struct md_driver driver = {
	.name = "amazonec2",
	.description = "Instances of Amazon EC2",
	.flags = flags,
	.n_flags = ARRAY_SIZE(flags),
	.environment = environment,
	.group_by = group_by,
	.states_batch = EC2_STATES_MAX,
	.configure = ec2_configure,
	.pre_create_check = ec2_pre_create_check,
	.create = ec2_create,
	.start = ec2_start,
	.stop = ec2_stop,
	.restart = ec2_restart,
	.kill = ec2_kill,
	.remove = ec2_remove,
	.states = ec2_states,
};

MACHINE_DRIVER(driver)
