/* What the user asks for: flags, and whether the account can have it. */
#include "digitalocean.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#define NAME_MAX_BYTES 255
#define FINGERPRINT_LEN 47 /* 16 pairs and colons */

static const struct md_field fields[] = {
	{"AccessToken", MD_TEXT, "digitalocean-access-token"}, {"DropletID", MD_NUMBER, NULL},
	{"DropletName", MD_TEXT, NULL}, {"Image", MD_TEXT, "digitalocean-image"},
	{"Region", MD_TEXT, "digitalocean-region"}, {"SSHKeyID", MD_NUMBER, NULL},
	{"SSHKeyFingerprint", MD_TEXT, "digitalocean-ssh-key-fingerprint"},
	{"SSHKey", MD_PATH, "digitalocean-ssh-key-path"}, {"Size", MD_TEXT, "digitalocean-size"},
	{"IPv6", MD_YES_NO, "digitalocean-ipv6"}, {"Backups", MD_YES_NO, "digitalocean-backups"},
	{"PrivateNetworking", MD_YES_NO, "digitalocean-private-networking"},
	{"UserDataFile", MD_PATH, "digitalocean-userdata"},
	{"Monitoring", MD_YES_NO, "digitalocean-monitoring"},
	{"Tags", MD_TEXT, "digitalocean-tags"},
	/* not of Docker Machine */
	{"VPCUUID", MD_TEXT, "digitalocean-vpc-uuid"}, {"APIURL", MD_TEXT, "digitalocean-api-url"},
	{"OwnKeyFingerprint", MD_TEXT, NULL}, /* of the key that is made for the machine */
	{"MachineTag", MD_TEXT, NULL},        /* of the droplet */
	{"HostKey", MD_TEXT, NULL}, {"CreatedAt", MD_NUMBER, NULL}, /* seconds since 1970 */
	{MD_CLOUD_ORDERED, MD_NUMBER, NULL},
	{"OrderedTwice", MD_YES_NO, NULL}, /* the first order's droplet may have come late */
	{"RefusedAt", MD_NUMBER, NULL},    /* first; seconds since 1970 */
};

int do_check_state(const struct md_machine *m, struct err *err)
{
	return md_fields_check(m, fields, ARRAY_SIZE(fields), err);
}

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

static bool is_fingerprint(const char *s)
{
	for (size_t i = 0; i < FINGERPRINT_LEN; i++)
		if (i % 3 == 2 ? s[i] != ':' : !isxdigit((unsigned char)s[i]))
			return false;
	return s[FINGERPRINT_LEN] == '\0';
}

/* As the API has it: small letters, and without the "MD5:" of ssh-keygen. It becomes a part of a
 * path. */
static int set_fingerprint(struct md_machine *m, struct err *err)
{
	const char *given = md_state_str(m, "SSHKeyFingerprint");
	_cleanup_free_ char *print =
		xstrdup(strncasecmp(given, "MD5:", 4) == 0 ? given + 4 : given);

	for (char *p = print; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	if (*print && !is_fingerprint(print))
		return err_set(err, ERR_USER,
			"--digitalocean-ssh-key-fingerprint %s: it is no MD5 fingerprint, 16 pairs "
			"of hex digits with colons between them (ssh-keygen -l -E md5 -f KEY shows "
			"it)",
			given);
	json_set_str(m->state, "SSHKeyFingerprint", print);
	return 0;
}

int do_configure(
	struct md_request *rq, struct md_machine *m, const struct json *flags, struct err *err)
{
	if (!*md_flag_str(flags, "digitalocean-access-token"))
		return err_set(err, ERR_USER,
			"the digitalocean driver requires the --digitalocean-access-token option "
			"(or DIGITALOCEAN_ACCESS_TOKEN)");
	md_fields_set(m, fields, ARRAY_SIZE(fields), flags);
	json_set_str(m->state, "SSHUser", md_flag_str(flags, "digitalocean-ssh-user"));
	if (md_flag_bool(flags, "digitalocean-private-networking"))
		md_log(rq, LOG_LEVEL_WARN,
			"--digitalocean-private-networking does nothing any more: every droplet is "
			"in a VPC (--digitalocean-vpc-uuid chooses one)");
	if (md_flag_port(m, "SSHPort", flags, "digitalocean-ssh-port", err) < 0 ||
		set_fingerprint(m, err) < 0)
		return -1;
	return set_url(m, err);
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
		"\"%s\" is no name for a droplet: at most %d letters, digits, \".\" and \"-\", and "
		"a letter or digit at the end",
		m->name, NAME_MAX_BYTES);
}

static int check_files(struct md_machine *m, struct err *err)
{
	const char *key = md_state_str(m, "SSHKey"), *data = md_state_str(m, "UserDataFile");

	if (*key && !*md_state_str(m, "SSHKeyFingerprint"))
		return err_set(err, ERR_USER,
			"--digitalocean-ssh-key-path needs --digitalocean-ssh-key-fingerprint, the "
			"fingerprint of that key in the account");
	if (*key && access(key, R_OK) < 0)
		return err_errno(err, errno, "--digitalocean-ssh-key-path %s", key);
	return md_cloud_check_user_data(data, "--digitalocean-userdata", DO_USER_DATA_MAX, err);
}

struct wanted {
	const char *slug;
	struct json *found;
};

static bool is_wanted(const struct json *region, void *arg)
{
	struct wanted *w = arg;

	if (!streq(json_str(json_get(region, "slug"), ""), w->slug))
		return false;
	w->found = json_copy(region);
	return true;
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
	struct wanted wanted = {.slug = slug};
	_cleanup_json_ struct json *region = NULL;
	const struct json *sizes;

	if (do_list(a, "/regions", "regions", "look up the region", is_wanted, &wanted, err) < 0)
		return -1;
	region = wanted.found;
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
	_cleanup_do_ struct do_api a = {0};

	if (do_open(&a, rq, m, err) < 0 || check_name(m, err) < 0 || check_files(m, err) < 0)
		return -1;
	return check_region(&a, m, err);
}
