/* What the user asks for: flags, else variables of other names, else an entry of clouds.yaml. */
#include "openstack.h"

#include <stdlib.h>
#include <string.h>

static const struct md_field fields[] = {
	{"AuthUrl", MD_TEXT, "openstack-auth-url"},
	{"ActiveTimeout", MD_NUMBER, "openstack-active-timeout"},
	{"Insecure", MD_YES_NO, "openstack-insecure"},
	{"CaCert", MD_PATH, "openstack-cacert"},
	{"DomainID", MD_TEXT, "openstack-domain-id"},
	{"DomainName", MD_TEXT, "openstack-domain-name"},
	{"Username", MD_TEXT, "openstack-username"},
	{"Password", MD_TEXT, "openstack-password"},
	{"TenantName", MD_TEXT, "openstack-tenant-name"},
	{"TenantId", MD_TEXT, "openstack-tenant-id"},
	{"Region", MD_TEXT, "openstack-region"},
	{"AvailabilityZone", MD_TEXT, "openstack-availability-zone"},
	{"EndpointType", MD_TEXT, "openstack-endpoint-type"},
	{"MachineId", MD_TEXT, NULL},
	{"FlavorName", MD_TEXT, "openstack-flavor-name"},
	{"FlavorId", MD_TEXT, "openstack-flavor-id"},
	{"ImageName", MD_TEXT, "openstack-image-name"},
	{"ImageId", MD_TEXT, "openstack-image-id"},
	{"KeyPairName", MD_TEXT, "openstack-keypair-name"},
	{"NetworkName", MD_TEXT, "openstack-net-name"},
	{"NetworkId", MD_TEXT, "openstack-net-id"},
	{"UserData", MD_TEXT, NULL}, /* base64, or null */
	{"PrivateKeyFile", MD_PATH, "openstack-private-key-file"},
	{"SecurityGroups", MD_LIST, NULL},
	{"FloatingIpPool", MD_TEXT, "openstack-floatingip-pool"},
	{"ComputeNetwork", MD_YES_NO, NULL},
	{"FloatingIpPoolId", MD_TEXT, NULL},
	{"IpVersion", MD_NUMBER, "openstack-ip-version"},
	{"ConfigDrive", MD_YES_NO, "openstack-config-drive"},
	{"ExistingKey", MD_YES_NO, NULL},
	/* of Rancher's fork */
	{"UserId", MD_TEXT, "openstack-user-id"},
	{"TenantDomainName", MD_TEXT, "openstack-tenant-domain-name"},
	{"TenantDomainId", MD_TEXT, "openstack-tenant-domain-id"},
	{"UserDomainName", MD_TEXT, "openstack-user-domain-name"},
	{"UserDomainId", MD_TEXT, "openstack-user-domain-id"},
	{"ApplicationCredentialId", MD_TEXT, "openstack-application-credential-id"},
	{"ApplicationCredentialName", MD_TEXT, "openstack-application-credential-name"},
	{"ApplicationCredentialSecret", MD_TEXT, "openstack-application-credential-secret"},
	{"ServerGroupName", MD_TEXT, "openstack-server-group-name"},
	{"ServerGroupId", MD_TEXT, "openstack-server-group-id"},
	{"BootFromVolume", MD_YES_NO, "openstack-boot-from-volume"},
	{"VolumeName", MD_TEXT, "openstack-volume-name"},
	{"VolumeDevicePath", MD_TEXT, "openstack-volume-device-path"},
	{"VolumeId", MD_TEXT, "openstack-volume-id"},
	{"VolumeType", MD_TEXT, "openstack-volume-type"},
	{"VolumeSize", MD_NUMBER, "openstack-volume-size"},
	/* of this driver */
	{"Cloud", MD_TEXT, "openstack-cloud"},
	{"Token", MD_TEXT, "openstack-token"},
	{"CreateSecurityGroup", MD_YES_NO, "openstack-sec-group-create"},
	{"VolumeCreated", MD_YES_NO, NULL},     /* VolumeId is, or is going to be, our own */
	{"FloatingIpId", MD_TEXT, NULL},        /* made or borrowed */
	{"FloatingIpPort", MD_TEXT, NULL},      /* the server's, that it is bound to */
	{"FloatingIpCreated", MD_YES_NO, NULL}, /* it is, or is going to be, our own */
	{"OwnSecurityGroup", MD_TEXT, NULL},    /* name */
	{"OwnSecurityGroupId", MD_TEXT, NULL},
	{"ServerTag", MD_TEXT, NULL}, /* metadata docker-machine-id of all that is made */
	{OS_ORDERED, MD_TEXT, NULL},
	{MD_CLOUD_ORDERED, MD_NUMBER, NULL},
	{OS_WAIT, MD_NUMBER, NULL}, /* seconds since 1970, during a wait */
	{OS_WAIT_ADDRESS, MD_NUMBER, NULL},
	{OS_WAIT_REMOVE, MD_NUMBER, NULL},
	{MD_CLOUD_RSA_KEY, MD_YES_NO, NULL}, /* the machine's own key is of RSA */
	{"HostKey", MD_TEXT, NULL},
};

int os_check_state(const struct md_machine *m, struct err *err)
{
	return md_fields_check(m, fields, ARRAY_SIZE(fields), err);
}

enum { BY_PASSWORD = 1, BY_TOKEN = 2, BY_CREDENTIAL = 4 };

/* Other places for a member. Of a pair of name and id, one place gives both or none. */
static const struct source {
	const char *key, *pair, *variable, *in_auth, *in_entry;
	unsigned ways; /* of logging in that it is for; 0: all */
} sources[] = {
	{"AuthUrl", NULL, NULL, "auth_url", NULL, 0},
	{"Username", "UserId", NULL, "username", NULL, BY_PASSWORD | BY_CREDENTIAL},
	{"UserId", "Username", NULL, "user_id", NULL, BY_PASSWORD | BY_CREDENTIAL},
	{"Password", NULL, NULL, "password", NULL, BY_PASSWORD},
	{"Token", NULL, NULL, "token", NULL, BY_TOKEN},
	{"ApplicationCredentialId", "ApplicationCredentialName", NULL, "application_credential_id",
		NULL, BY_CREDENTIAL},
	{"ApplicationCredentialName", "ApplicationCredentialId", NULL,
		"application_credential_name", NULL, BY_CREDENTIAL},
	{"ApplicationCredentialSecret", NULL, NULL, "application_credential_secret", NULL,
		BY_CREDENTIAL},
	{"TenantName", "TenantId", "OS_PROJECT_NAME", "project_name", NULL, 0},
	{"TenantId", "TenantName", "OS_PROJECT_ID", "project_id", NULL, 0},
	{"TenantName", "TenantId", NULL, "tenant_name", NULL, 0},
	{"TenantId", "TenantName", NULL, "tenant_id", NULL, 0},
	{"TenantDomainName", "TenantDomainId", "OS_PROJECT_DOMAIN_NAME", "project_domain_name",
		NULL, 0},
	{"TenantDomainId", "TenantDomainName", "OS_PROJECT_DOMAIN_ID", "project_domain_id", NULL,
		0},
	{"UserDomainName", "UserDomainId", NULL, "user_domain_name", NULL, 0},
	{"UserDomainId", "UserDomainName", NULL, "user_domain_id", NULL, 0},
	{"DomainName", "DomainID", NULL, "domain_name", NULL, 0},
	{"DomainID", "DomainName", NULL, "domain_id", NULL, 0},
	{"DomainID", "DomainName", "OS_DEFAULT_DOMAIN", "default_domain", "default_domain", 0},
	{"Region", NULL, NULL, "region_name", "region_name", 0},
	{"EndpointType", NULL, "OS_INTERFACE", NULL, "interface", 0},
	{"EndpointType", NULL, NULL, NULL, "endpoint_type", 0},
	{"CaCert", NULL, NULL, NULL, "cacert", 0},
};

static bool is_set(const struct md_machine *m, const char *key)
{
	return *md_state_str(m, key) != '\0';
}

static const char *from_variable(const struct source *s, const void *arg)
{
	const char *value = s->variable ? getenv(s->variable) : NULL;

	(void)arg;
	return value ? value : "";
}

static const char *from_cloud(const struct source *s, const void *arg)
{
	const struct json *entry = arg, *auth = json_get(entry, "auth");
	const char *value = s->in_auth ? md_yaml_text(json_get(auth, s->in_auth)) : "";

	return !*value && s->in_entry ? md_yaml_text(json_get(entry, s->in_entry)) : value;
}

/* What is empty so far is taken from a place. */
static void fill(struct md_machine *m, unsigned ways,
	const char *(*value)(const struct source *s, const void *arg), const void *arg)
{
	bool open[ARRAY_SIZE(sources)];

	for (size_t i = 0; i < ARRAY_SIZE(sources); i++)
		open[i] = !is_set(m, sources[i].key) &&
			  !(sources[i].pair && is_set(m, sources[i].pair)) &&
			  (!sources[i].ways || !ways || (sources[i].ways & ways));
	for (size_t i = 0; i < ARRAY_SIZE(sources); i++)
		if (open[i] && !is_set(m, sources[i].key) && *value(&sources[i], arg))
			json_set_str(m->state, sources[i].key, value(&sources[i], arg));
}

/* How the user wants to log in, if that is said; 0: it is not. */
static unsigned ways_of(const struct md_machine *m)
{
	if (is_set(m, "ApplicationCredentialId") || is_set(m, "ApplicationCredentialName") ||
		is_set(m, "ApplicationCredentialSecret"))
		return BY_CREDENTIAL;
	if (is_set(m, "Password") || is_set(m, "Username") || is_set(m, "UserId"))
		return BY_PASSWORD;
	return is_set(m, "Token") ? BY_TOKEN : 0;
}

static int ways_of_cloud(const struct json *entry, unsigned *ret, struct err *err)
{
	static const struct {
		const char *type;
		unsigned ways;
	} known[] = {{"", 0}, {"password", BY_PASSWORD}, {"v3password", BY_PASSWORD},
		{"v2password", BY_PASSWORD}, {"token", BY_TOKEN}, {"v3token", BY_TOKEN},
		{"v3applicationcredential", BY_CREDENTIAL}};
	const char *type = md_yaml_text(json_get(entry, "auth_type"));

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (streq(known[i].type, type)) {
			*ret = known[i].ways;
			return 0;
		}
	return err_set(err, ERR_NOT_SUPPORTED,
		"clouds.yaml: auth_type %s is not supported: password, token and "
		"v3applicationcredential are",
		type);
}

static void set_endpoints(struct md_machine *m, const struct json *entry)
{
	static const char *const services[][3] = {
		{"compute", "OS_COMPUTE_ENDPOINT_OVERRIDE", "compute_endpoint_override"},
		{"network", "OS_NETWORK_ENDPOINT_OVERRIDE", "network_endpoint_override"},
		{"image", "OS_IMAGE_ENDPOINT_OVERRIDE", "image_endpoint_override"},
		{"volume", "OS_BLOCK_STORAGE_ENDPOINT_OVERRIDE", "block_storage_endpoint_override"},
	};
	struct json *all = json_object();

	for (size_t i = 0; i < ARRAY_SIZE(services); i++) {
		const char *set = getenv(services[i][1]);

		if (!set || !*set)
			set = md_yaml_text(json_get(entry, services[i][2]));
		if (*set)
			json_set_str(all, services[i][0], set);
	}
	json_set(m->state, "Endpoints", all);
}

/* Of an identity service whose address tells none, and which is not to be asked then. */
static int set_identity_version(struct md_machine *m, const char *version, struct err *err)
{
	static const char *const known[][2] = {
		{"3", "v3"}, {"v3", "v3"}, {"2", "v2.0"}, {"2.0", "v2.0"}, {"v2.0", "v2.0"}};
	const char *auth_url = md_state_str(m, "AuthUrl");

	if (!*version || !*auth_url || os_identity_has_version(auth_url))
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (streq(known[i][0], version)) {
			size_t n = strlen(auth_url);
			_cleanup_free_ char *url = xasprintf(
				"%s%s%s", auth_url, auth_url[n - 1] == '/' ? "" : "/", known[i][1]);

			json_set_str(m->state, "AuthUrl", url);
			return 0;
		}
	return err_set(err, ERR_NOT_SUPPORTED,
		"clouds.yaml: identity_api_version %s is not supported: 3 and 2.0 are", version);
}

static int take_cloud(struct md_request *rq, struct md_machine *m, struct err *err)
{
	_cleanup_json_ struct json *entry = NULL;
	unsigned ways = ways_of(m), wanted = 0;

	if (is_set(m, "Cloud")) {
		if (os_cloud_read(rq, md_state_str(m, "Cloud"), &entry, err) < 0 ||
			(!ways && ways_of_cloud(entry, &wanted, err) < 0))
			return -1;
		if (*md_yaml_text(json_get(entry, "cert")))
			return err_set(err, ERR_NOT_SUPPORTED,
				"--openstack-cloud %s: certificates of clients (cert, key) are "
				"not supported",
				md_state_str(m, "Cloud"));
		fill(m, ways ? ways : wanted, from_cloud, entry);
		if (set_identity_version(
			    m, md_yaml_text(json_get(entry, "identity_api_version")), err) < 0)
			return -1;
		_cleanup_free_ char *file = md_expand_path(md_state_str(m, "CaCert"));
		json_set_str(m->state, "CaCert", file);
		if (!md_yaml_bool(json_get(entry, "verify"), true))
			json_set(m->state, "Insecure", json_bool(true));
	}
	set_endpoints(m, entry);
	return 0;
}

/* "publicURL" also by its short name; stored in the form of Docker Machine. */
static int check_endpoint_type(struct md_machine *m, struct err *err)
{
	static const char *const types[][2] = {
		{"public", "publicURL"}, {"internal", "internalURL"}, {"admin", "adminURL"}};
	const char *type = md_state_str(m, "EndpointType");

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (streq(types[i][0], type) || streq(types[i][1], type)) {
			json_set_str(m->state, "EndpointType", types[i][1]);
			return 0;
		}
	if (!*type)
		return 0;
	return err_set(err, ERR_USER,
		"--openstack-endpoint-type %s: endpoint type must be 'publicURL', 'adminURL' or "
		"'internalURL'",
		type);
}

static int check_login(const struct md_machine *m, struct err *err)
{
	bool credential =
		is_set(m, "ApplicationCredentialId") || is_set(m, "ApplicationCredentialName");

	if (!is_set(m, "AuthUrl"))
		return err_set(err, ERR_USER,
			"Authentication URL must be specified by OS_AUTH_URL or "
			"--openstack-auth-url (or --openstack-cloud)");
	if (credential && !is_set(m, "ApplicationCredentialSecret"))
		return err_set(err, ERR_USER,
			"the application credential needs its secret: "
			"OS_APPLICATION_CREDENTIAL_SECRET or "
			"--openstack-application-credential-secret");
	if (!is_set(m, "ApplicationCredentialId") && (credential || !os_uses_token(m)) &&
		!is_set(m, "Username") && !is_set(m, "UserId"))
		return err_set(err, ERR_USER,
			"Username must be specified by OS_USERNAME or --openstack-username");
	if (!credential && !os_uses_token(m) && !is_set(m, "Password"))
		return err_set(err, ERR_USER,
			"Password must be specified by OS_PASSWORD or --openstack-password");
	if (!credential && !is_set(m, "TenantName") && !is_set(m, "TenantId"))
		return err_set(err, ERR_USER,
			"tenant id or name must be given by OS_TENANT_ID / OS_TENANT_NAME or "
			"--openstack-tenant-id / --openstack-tenant-name");
	return 0;
}

/* One of a name and an id. */
static int check_pair(const struct md_machine *m, const char *name, const char *id,
	const char *what, const char *flag, bool needed, struct err *err)
{
	if (needed && !is_set(m, name) && !is_set(m, id))
		return err_set(err, ERR_USER,
			"%s name or %s id must be specified using --openstack-%s-name or "
			"--openstack-%s-id",
			what, what, flag, flag);
	if (is_set(m, name) && is_set(m, id))
		return err_set(err, ERR_USER,
			"%s name and %s id both specified: either one or the other, not both "
			"(--openstack-%s-name, --openstack-%s-id)",
			what, what, flag, flag);
	return 0;
}

static int check_numbers(const struct md_machine *m, struct err *err)
{
	int64_t version = md_state_int(m, "IpVersion"), size = md_state_int(m, "VolumeSize");

	if (version != 4 && version != 6)
		return err_set(err, ERR_USER, "--openstack-ip-version %lld: it is 4 or 6",
			(long long)version);
	if (version == 6 && is_set(m, "FloatingIpPool"))
		return err_set(err, ERR_USER,
			"--openstack-ip-version 6 and --openstack-floatingip-pool: floating IPs "
			"are of version 4");
	if (md_state_int(m, "ActiveTimeout") < 1)
		return err_set(err, ERR_USER,
			"--openstack-active-timeout %lld: it is a number of seconds",
			(long long)md_state_int(m, "ActiveTimeout"));
	if (size < 0)
		return err_set(err, ERR_USER, "--openstack-volume-size %lld: it is a number of GiB",
			(long long)size);
	if (!size && md_state_bool(m, "BootFromVolume"))
		return err_set(err, ERR_USER,
			"--openstack-boot-from-volume needs --openstack-volume-size, the GiB of "
			"the root disk");
	if (!size && is_set(m, "VolumeName") && !is_set(m, "VolumeId"))
		return err_set(err, ERR_USER,
			"--openstack-volume-name needs --openstack-volume-size, the GiB of the "
			"data volume");
	return 0;
}

static int check(struct md_machine *m, const struct json *flags, struct err *err)
{
	if (check_login(m, err) < 0 ||
		check_pair(m, "FlavorName", "FlavorId", "Flavor", "flavor", true, err) < 0 ||
		check_pair(m, "ImageName", "ImageId", "Image", "image", true, err) < 0 ||
		check_pair(m, "NetworkName", "NetworkId", "Network", "net", false, err) < 0 ||
		check_pair(m, "ServerGroupName", "ServerGroupId", "Server group", "server-group",
			false, err) < 0 ||
		check_endpoint_type(m, err) < 0)
		return -1;
	if (is_set(m, "KeyPairName") != is_set(m, "PrivateKeyFile"))
		return err_set(err, ERR_USER,
			"both must be specified: --openstack-keypair-name and "
			"--openstack-private-key-file");
	if (md_flag_bool(flags, "openstack-nova-network"))
		return err_set(err, ERR_NOT_SUPPORTED,
			"--openstack-nova-network: no cloud has nova-network any more (it ended "
			"in 2018); leave the flag out, and name a network with "
			"--openstack-net-name");
	return check_numbers(m, err);
}

static int read_user_data(struct md_machine *m, const char *flag, struct err *err)
{
	_cleanup_free_ char *path = md_expand_path(flag);
	_cleanup_secret_ char *text = NULL, *coded = NULL;
	size_t len;

	json_set(m->state, "UserData", json_null());
	if (!*path)
		return 0;
	if (md_read_file(path, OS_USER_DATA_MAX, &text, &len, err) < 0)
		return err_wrap(err, "--openstack-user-data-file");
	coded = md_base64(text, len);
	json_set_str(m->state, "UserData", coded);
	return 0;
}

static void set_groups(struct md_machine *m, const char *flag)
{
	_cleanup_strv_ struct strv names = STRV_INIT;
	struct json *list = NULL;

	strv_split(&names, flag, ',');
	strv_foreach (name, &names) {
		list = list ? list : json_array();
		json_add(list, json_string(name));
	}
	json_set(m->state, "SecurityGroups", list);
}

/* KEY1,VALUE1,KEY2,VALUE2; a value may be empty. */
static int set_metadata(struct md_machine *m, const char *flag, struct err *err)
{
	struct json *all = json_object();
	const char *p = flag;

	json_set(m->state, "Metadata", all);
	while (*p) {
		size_t n_key = strcspn(p, ",");
		_cleanup_free_ char *key = xstrndup(p, n_key);

		if (!p[n_key] || !*key)
			return err_set(err, ERR_USER,
				"--openstack-metadata: it is KEY1,VALUE1,KEY2,VALUE2: %s",
				*key ? "there is a key without a value" : "a key is empty");
		p += n_key + 1;
		size_t n = strcspn(p, ",");
		json_set(all, key, json_stringn(p, n));
		p += n + (p[n] == ',');
	}
	return 0;
}

int os_configure(
	struct md_request *rq, struct md_machine *m, const struct json *flags, struct err *err)
{
	md_fields_set(m, fields, ARRAY_SIZE(fields), flags);
	json_set_str(m->state, "SSHUser", md_flag_str(flags, "openstack-ssh-user"));
	fill(m, 0, from_variable, NULL);
	if (take_cloud(rq, m, err) < 0 || check(m, flags, err) < 0 ||
		md_flag_port(m, "SSHPort", flags, "openstack-ssh-port", err) < 0 ||
		read_user_data(m, md_flag_str(flags, "openstack-user-data-file"), err) < 0 ||
		set_metadata(m, md_flag_str(flags, "openstack-metadata"), err) < 0)
		return -1;
	set_groups(m, md_flag_str(flags, "openstack-sec-groups"));
	json_set(m->state, "ExistingKey", json_bool(is_set(m, "KeyPairName")));
	if (streq(md_state_str(m, "SSHUser"), "root"))
		md_log(rq, LOG_LEVEL_WARN,
			"the SSH user is root, whom most images for clouds do not let in: "
			"--openstack-ssh-user ubuntu, debian, fedora, cloud-user, …");
	if (!md_http_url_secure(md_state_str(m, "AuthUrl")))
		md_log(rq, LOG_LEVEL_WARN,
			"--openstack-auth-url: it is not of https: whoever listens reads the "
			"credentials");
	return 0;
}
