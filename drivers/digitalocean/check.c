/* What the user asks for: flags, and whether the account can have it. */
#include "digitalocean.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#define NAME_MAX_BYTES 255

static const struct md_field fields[] = {
	{"AccessToken", MD_TEXT, "digitalocean-access-token"},
	{"DropletID", MD_NUMBER, NULL},
	{"DropletName", MD_TEXT, NULL},
	{"Image", MD_TEXT, "digitalocean-image"},
	{"Region", MD_TEXT, "digitalocean-region"},
	{"SSHKeyID", MD_NUMBER, NULL},
	{"SSHKeyFingerprint", MD_TEXT, "digitalocean-ssh-key-fingerprint"},
	{"SSHKey", MD_PATH, "digitalocean-ssh-key-path"},
	{"Size", MD_TEXT, "digitalocean-size"},
	{"IPv6", MD_YES_NO, "digitalocean-ipv6"},
	{"Backups", MD_YES_NO, "digitalocean-backups"},
	{"PrivateNetworking", MD_YES_NO, "digitalocean-private-networking"},
	{"UserDataFile", MD_PATH, "digitalocean-userdata"},
	{"Monitoring", MD_YES_NO, "digitalocean-monitoring"},
	{"Tags", MD_TEXT, "digitalocean-tags"},
	/* not of Docker Machine */
	{"VPCUUID", MD_TEXT, "digitalocean-vpc-uuid"},
	{"APIURL", MD_TEXT, "digitalocean-api-url"},
	{"OwnKeyFingerprint", MD_TEXT, NULL}, /* of the key that is made for the machine */
	{"MachineTag", MD_TEXT, NULL},        /* of the droplet */
	{"HostKey", MD_TEXT, NULL},
};

/* No slash at the end: paths begin with one. */
static int set_url(struct md_machine *m, struct err *err)
{
	_cleanup_free_ char *url = xstrdup(md_state_str(m, "APIURL"));

	for (size_t len = strlen(url); len && url[len - 1] == '/';)
		url[--len] = '\0';
	if (*url && !md_http_url_secure(url))
		return err_set(err, ERR_USER,
			"--digitalocean-api-url %s: it must begin with https:// (http:// is for "
			"this computer only)",
			url);
	json_set_str(m->state, "APIURL", url);
	return 0;
}

int do_configure(
	struct md_request *rq, struct md_machine *m, const struct json *flags, struct err *err)
{
	(void)rq;
	if (!*md_flag_str(flags, "digitalocean-access-token"))
		return err_set(err, ERR_USER,
			"the digitalocean driver requires the --digitalocean-access-token option "
			"(or DIGITALOCEAN_ACCESS_TOKEN)");
	md_fields_set(m, fields, ARRAY_SIZE(fields), flags);
	json_set_str(m->state, "SSHUser", md_flag_str(flags, "digitalocean-ssh-user"));
	if (md_flag_bool(flags, "digitalocean-private-networking"))
		log_warn(
			"--digitalocean-private-networking does nothing any more: every droplet is "
			"in a VPC (--digitalocean-vpc-uuid chooses one)");
	return md_flag_port(m, "SSHPort", flags, "digitalocean-ssh-port", err) < 0
		       ? -1
		       : set_url(m, err);
}

static int check_name(const struct md_machine *m, struct err *err)
{
	size_t len = strlen(m->name);
	bool good = len > 0 && len <= NAME_MAX_BYTES && isalnum((unsigned char)m->name[len - 1]);

	for (const char *p = m->name; *p; p++)
		good = good && (isalnum((unsigned char)*p) || strchr(".-", *p));
	if (good)
		return 0;
	return err_set(err, ERR_USER,
		"\"%s\" is no name for a droplet: letters, digits, \".\" and \"-\", and a letter "
		"or "
		"digit at the end",
		m->name);
}

static int check_files(struct md_machine *m, struct err *err)
{
	const char *key = md_state_str(m, "SSHKey"), *data = md_state_str(m, "UserDataFile");
	_cleanup_free_ char *text = NULL;
	size_t len;

	if (*key && !*md_state_str(m, "SSHKeyFingerprint"))
		return err_set(err, ERR_USER,
			"--digitalocean-ssh-key-path needs --digitalocean-ssh-key-fingerprint, the "
			"fingerprint of that key in the account");
	if (*key && access(key, R_OK) < 0)
		return err_errno(err, errno, "--digitalocean-ssh-key-path %s", key);
	if (*data && md_read_file(data, DO_USER_DATA_MAX, &text, &len, err) < 0)
		return err_wrap(err, "--digitalocean-userdata");
	return 0;
}

static const struct json *find_slug(const struct json *list, const char *slug)
{
	for (size_t i = 0; json_at(list, i); i++)
		if (streq(json_str(json_get(json_at(list, i), "slug"), ""), slug))
			return json_at(list, i);
	return NULL;
}

static bool has_region(const struct json *list, const void *slug)
{
	return find_slug(list, slug) != NULL;
}

static bool has_text(const struct json *list, const char *text)
{
	for (size_t i = 0; json_at(list, i); i++)
		if (streq(json_str(json_at(list, i), ""), text))
			return true;
	return false;
}

static int check_region(struct do_api *a, const struct md_machine *m, struct err *err)
{
	const char *slug = md_state_str(m, "Region"), *size = md_state_str(m, "Size");
	_cleanup_json_ struct json *regions = NULL;
	const struct json *region, *sizes;

	if (do_list(a, "/regions?", "regions", "look up the region", has_region, slug, &regions,
		    err) < 0)
		return -1;
	region = find_slug(regions, slug);
	if (!region)
		return err_set(err, ERR_USER,
			"--digitalocean-region %s: DigitalOcean has no such region", slug);
	if (!json_bool_or(json_get(region, "available"), true))
		return err_set(err, ERR_USER,
			"--digitalocean-region %s: the region takes no new droplets now", slug);
	sizes = json_get(region, "sizes");
	if (json_at(sizes, 0) && !has_text(sizes, size)) /* a token may not see them */
		return err_set(err, ERR_USER,
			"--digitalocean-size %s: the region %s does not have it", size, slug);
	return 0;
}

int do_pre_create_check(struct md_request *rq, struct md_machine *m, struct err *err)
{
	_cleanup_do_ struct do_api a;

	do_open(&a, rq, m);
	if (check_name(m, err) < 0 || check_files(m, err) < 0)
		return -1;
	return check_region(&a, m, err);
}
