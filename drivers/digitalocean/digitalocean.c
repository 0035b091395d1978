#include "digitalocean.h"

#define TEXT(flag, variable, value, text)                                        \
	{                                                                        \
		.name = "digitalocean-" flag, .type = FLAG_STRING,               \
		.env = "DIGITALOCEAN_" variable, .def_str = value, .usage = text \
	}
#define YES_NO(flag, variable, text)                                                              \
	{                                                                                         \
		.name = "digitalocean-" flag, .type = FLAG_BOOL, .env = "DIGITALOCEAN_" variable, \
		.usage = text                                                                     \
	}

static const struct flagspec flags[] = {
	{.name = "digitalocean-access-token",
		.type = FLAG_STRING,
		.env = "DIGITALOCEAN_ACCESS_TOKEN",
		.usage = "Digital Ocean access token",
		.secret = true},
	TEXT("api-url", "API_URL", "", "Address of the API, if not DigitalOcean's own"),
	YES_NO("backups", "BACKUPS", "enable backups for droplet"),
	TEXT("image", "IMAGE", "ubuntu-24-04-x64", "Digital Ocean Image, or the number of one"),
	YES_NO("ipv6", "IPV6", "enable ipv6 for droplet"),
	YES_NO("monitoring", "MONITORING", "enable monitoring for droplet"),
	YES_NO("private-networking", "PRIVATE_NETWORKING",
		"without effect: every droplet has a private network"),
	TEXT("region", "REGION", "nyc3", "Digital Ocean region"),
	TEXT("size", "SIZE", "s-1vcpu-1gb", "Digital Ocean size"),
	TEXT("ssh-key-fingerprint", "SSH_KEY_FINGERPRINT", "",
		"fingerprint of a key of the account"),
	TEXT("ssh-key-path", "SSH_KEY_PATH", "", "path to the private key of that fingerprint"),
	{.name = "digitalocean-ssh-port",
		.type = FLAG_INT,
		.env = "DIGITALOCEAN_SSH_PORT",
		.def_int = 22,
		.usage = "SSH port"},
	TEXT("ssh-user", "SSH_USER", "root", "SSH username"),
	TEXT("tags", "TAGS", "", "comma-separated list of tags to apply to the droplet"),
	TEXT("userdata", "USERDATA", "", "path to file with cloud-init user-data"),
	TEXT("vpc-uuid", "VPC_UUID", "", "the VPC to put the droplet in (default: the region's)"),
};

static const char *const environment[] = {MD_API_PAUSE_VARIABLE, MD_API_TIMEOUT_VARIABLE, NULL};
static const char *const group_by[] = {"AccessToken", "APIURL", NULL};

static const struct md_driver driver = {
	.name = "digitalocean",
	.description = "Droplets at DigitalOcean",
	.flags = flags,
	.n_flags = ARRAY_SIZE(flags),
	.environment = environment,
	.group_by = group_by,
	.states_batch = 1000, /* one list of the account serves all */
	.configure = do_configure,
	.pre_create_check = do_pre_create_check,
	.create = do_create,
	.start = do_start,
	.stop = do_stop,
	.restart = do_restart,
	.kill = do_kill,
	.remove = do_remove,
	.states = do_states,
};

MACHINE_DRIVER(driver)
