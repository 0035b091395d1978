#include "openstack.h"

#define TEXT(flag, variable, text)                                                             \
	{                                                                                      \
		.name = "openstack-" flag, .type = FLAG_STRING, .env = variable, .usage = text \
	}
#define SECRET(flag, variable, text)                                                            \
	{                                                                                       \
		.name = "openstack-" flag, .type = FLAG_STRING, .env = variable, .usage = text, \
		.secret = true                                                                  \
	}
#define YES_NO(flag, variable, text)                                                         \
	{                                                                                    \
		.name = "openstack-" flag, .type = FLAG_BOOL, .env = variable, .usage = text \
	}
#define NUMBER(flag, variable, value, text)                                                     \
	{                                                                                       \
		.name = "openstack-" flag, .type = FLAG_INT, .env = variable, .def_int = value, \
		.usage = text                                                                   \
	}

static const struct flagspec flags[] = {
	NUMBER("active-timeout", "OS_ACTIVE_TIMEOUT", 200,
		"seconds to wait for the server to become ACTIVE"),
	TEXT("application-credential-id", "OS_APPLICATION_CREDENTIAL_ID",
		"application credential to authenticate with"),
	TEXT("application-credential-name", "OS_APPLICATION_CREDENTIAL_NAME",
		"the same by name, with a user"),
	SECRET("application-credential-secret", "OS_APPLICATION_CREDENTIAL_SECRET", "its secret"),
	TEXT("auth-url", "OS_AUTH_URL", "address of the identity service"),
	TEXT("availability-zone", "OS_AVAILABILITY_ZONE", "availability zone of the server"),
	YES_NO("boot-from-volume", NULL, "make the root disk a volume of the image"),
	TEXT("cacert", "OS_CACERT", "file with the certificates to verify the cloud with"),
	TEXT("cloud", "OS_CLOUD", "entry of clouds.yaml to take what no other flag says from"),
	YES_NO("config-drive", "OS_CONFIG_DRIVE", "give the server a config drive"),
	TEXT("domain-id", "OS_DOMAIN_ID", "domain of the user and the project"),
	TEXT("domain-name", "OS_DOMAIN_NAME", "the same by name"),
	TEXT("endpoint-type", "OS_ENDPOINT_TYPE",
		"publicURL (the default), internalURL or adminURL"),
	TEXT("flavor-id", "OS_FLAVOR_ID", "flavor of the server"),
	TEXT("flavor-name", "OS_FLAVOR_NAME", "the same by name"),
	TEXT("floatingip-pool", "OS_FLOATINGIP_POOL",
		"external network to take a floating IP from"),
	TEXT("image-id", "OS_IMAGE_ID", "image of the server"),
	TEXT("image-name", "OS_IMAGE_NAME", "the same by name"),
	YES_NO("insecure", "OS_INSECURE", "do not verify the cloud's certificates"),
	NUMBER("ip-version", "OS_IP_VERSION", 4, "version of the address to use: 4 or 6"),
	TEXT("keypair-name", "OS_KEYPAIR_NAME", "key pair of the cloud to use"),
	TEXT("metadata", "OS_METADATA", "metadata of the server: KEY1,VALUE1,KEY2,VALUE2"),
	TEXT("net-id", "OS_NETWORK_ID", "network of the server"),
	TEXT("net-name", "OS_NETWORK_NAME", "the same by name"),
	YES_NO("nova-network", "OS_NOVA_NETWORK", "no longer possible: clouds have neutron"),
	SECRET("password", "OS_PASSWORD", "password of the user"),
	TEXT("private-key-file", "OS_PRIVATE_KEY_FILE", "private key of openstack-keypair-name"),
	TEXT("region", "OS_REGION_NAME", "region of the cloud"),
	YES_NO("sec-group-create", "OS_SECURITY_GROUP_CREATE",
		"make a security group that lets SSH and the engine in"),
	TEXT("sec-groups", "OS_SECURITY_GROUPS", "comma separated security groups of the server"),
	TEXT("server-group-id", "OS_SERVER_GROUP_ID", "server group of the server"),
	TEXT("server-group-name", "OS_SERVER_GROUP_NAME", "the same by name"),
	NUMBER("ssh-port", "OS_SSH_PORT", 22, "SSH port"),
	{.name = "openstack-ssh-user",
		.type = FLAG_STRING,
		.env = "OS_SSH_USER",
		.def_str = "root",
		.usage = "SSH user"},
	TEXT("tenant-domain-id", "OS_TENANT_DOMAIN_ID", "domain of the project"),
	TEXT("tenant-domain-name", "OS_TENANT_DOMAIN_NAME", "the same by name"),
	TEXT("tenant-id", "OS_TENANT_ID", "project (tenant)"),
	TEXT("tenant-name", "OS_TENANT_NAME", "the same by name"),
	SECRET("token", "OS_TOKEN", "token to authenticate with, in place of a password"),
	TEXT("user-data-file", "OS_USER_DATA_FILE", "file with user data for cloud-init"),
	TEXT("user-domain-id", "OS_USER_DOMAIN_ID", "domain of the user"),
	TEXT("user-domain-name", "OS_USER_DOMAIN_NAME", "the same by name"),
	TEXT("user-id", "OS_USER_ID", "user"),
	TEXT("username", "OS_USERNAME", "the same by name"),
	TEXT("volume-device-path", NULL, "device of the data volume in the server"),
	TEXT("volume-id", NULL, "volume to attach to the server"),
	TEXT("volume-name", NULL, "name of the data volume (default: NAME-data)"),
	NUMBER("volume-size", NULL, 0,
		"GiB of a data volume to make, or of the root disk's with "
		"openstack-boot-from-volume"),
	TEXT("volume-type", NULL, "type of that volume"),
};

static const char *const environment[] = {MD_API_PAUSE_VARIABLE, MD_API_TIMEOUT_VARIABLE,
	"OS_PROJECT_NAME", "OS_PROJECT_ID", "OS_PROJECT_DOMAIN_NAME", "OS_PROJECT_DOMAIN_ID",
	"OS_DEFAULT_DOMAIN", "OS_INTERFACE", "OS_CLIENT_CONFIG_FILE", "XDG_CONFIG_HOME",
	"OS_COMPUTE_ENDPOINT_OVERRIDE", "OS_NETWORK_ENDPOINT_OVERRIDE",
	"OS_IMAGE_ENDPOINT_OVERRIDE", "OS_BLOCK_STORAGE_ENDPOINT_OVERRIDE", NULL};
static const char *const group_by[] = {"AuthUrl", "Insecure", "CaCert", "DomainID", "DomainName",
	"Username", "UserId", "Password", "UserDomainName", "UserDomainId", "TenantName",
	"TenantId", "TenantDomainName", "TenantDomainId", "ApplicationCredentialId",
	"ApplicationCredentialName", "ApplicationCredentialSecret", "Token", "Region",
	"EndpointType", "Endpoints", NULL};

static const struct md_driver driver = {
	.name = "openstack",
	.description = "Servers of an OpenStack cloud",
	.flags = flags,
	.n_flags = ARRAY_SIZE(flags),
	.environment = environment,
	.group_by = group_by,
	.configure = os_configure,
	.pre_create_check = os_pre_create_check,
	.create = os_create,
	.start = os_start,
	.stop = os_stop,
	.restart = os_restart,
	.kill = os_stop, /* nova asks the system first, and ends it when it does not obey */
	.remove = os_remove,
	.states = os_states,
};

MACHINE_DRIVER(driver)
