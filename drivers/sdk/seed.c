/* The texts of a NoCloud seed. */
#include "seed.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define BOUNDARY "==machine-seed-"
#define CARD "machine0" /* what the network card is called in network-config; any name will do */

static const char *or_empty(const char *s)
{
	return s ? s : "";
}

static bool given(const char *s)
{
	return s && *s;
}

static struct json *list_of(const char *item)
{
	struct json *list = json_array();

	json_add(list, json_string(item));
	return list;
}

char *md_seed_meta_data(const struct md_seed *s)
{
	_cleanup_json_ struct json *j = json_object();
	_cleanup_free_ char *text = NULL;

	json_set_str(j, "instance-id", or_empty(s->instance_id));
	json_set_str(j, "local-hostname", or_empty(s->hostname));
	text = json_to_string(j, JSON_INDENT);
	return xasprintf("%s\n", text);
}

static struct json *keys_of(const struct md_seed *s)
{
	struct json *keys = json_array();

	strv_foreach (key, &s->authorized_keys)
		json_add(keys, json_string(key));
	return keys;
}

static struct json *user_of(const struct md_seed *s)
{
	struct json *user = json_object(), *groups = json_array();

	json_add(groups, json_string("docker"));
	json_add(groups, json_string("sudo"));
	json_set_str(user, "name", s->user);
	json_set(user, "groups", groups);
	json_set_str(user, "sudo", "ALL=(ALL) NOPASSWD:ALL");
	json_set_str(user, "shell", "/bin/bash");
	json_set(user, "lock_passwd", json_bool(true));
	json_set(user, "ssh_authorized_keys", keys_of(s));
	return user;
}

/* With a key given, cloud-init makes no others; those of the image go. */
static void set_host_key(struct json *config, const struct md_seed *s)
{
	struct json *keys;

	if (!given(s->host_key_private)) {
		if (given(s->host_key_public))
			json_set(config, "ssh_deletekeys", json_bool(false));
		return;
	}
	keys = json_object();
	json_set_str(keys, "ed25519_private", s->host_key_private);
	json_set_str(keys, "ed25519_public", or_empty(s->host_key_public));
	json_set(config, "ssh_deletekeys", json_bool(true));
	json_set(config, "ssh_genkeytypes", list_of("ed25519"));
	json_set(config, "ssh_keys", keys);
}

/* What images may have set otherwise. A boot needs no network, and the disk is used whole. */
static void set_usual(struct json *config, const struct md_seed *s)
{
	struct json *grow = json_object();

	json_set_str(grow, "mode", "auto");
	json_set(grow, "devices", list_of("/"));
	json_set(config, "growpart", grow);
	if (!s->lean)
		json_set(config, "resize_rootfs", json_bool(true));
	json_set(config, "package_update", json_bool(false));
	json_set(config, "ssh_pwauth", json_bool(false));
	json_set(config, "disable_root", json_bool(given(s->user) && !streq(s->user, "root")));
}

static char *cloud_config(const struct md_seed *s)
{
	_cleanup_json_ struct json *j = json_object();
	_cleanup_secret_ char *text = NULL;
	struct json *users;

	if (given(s->hostname))
		json_set_str(j, "hostname", s->hostname);
	if (!s->cloud)
		set_usual(j, s);
	if (given(s->user)) {
		users = json_array();
		json_add(users, user_of(s));
		json_set(j, "users", users);
	} else if (s->authorized_keys.n) {
		json_set(j, "ssh_authorized_keys", keys_of(s));
	}
	set_host_key(j, s);
	if (s->mounts && s->mounts->n)
		json_set(j, "mounts", json_copy(s->mounts));
	text = json_to_string(j, JSON_INDENT);
	return xasprintf("#cloud-config\n%s\n", text);
}

#define PART_TYPE(type) "Content-Type: text/" type "; charset=\"utf-8\"\n"
#define PART_MERGE "Merge-Type: dict(no_replace,recurse_list)+list(append)+str()\n"

/* The header of the user's part; "" for a file that brings its own; NULL: it is of no kind. The
 * kinds are cloud-init's; what begins with another's beginning stands before that. */
static const char *part_header(const char *text)
{
	static const struct {
		const char *begin, *header;
	} kinds[] = {
		{"#cloud-config-archive", PART_TYPE("cloud-config-archive") "\n"},
		{"#cloud-config-jsonp", PART_TYPE("cloud-config-jsonp") "\n"},
		{"#cloud-config", PART_TYPE("cloud-config") PART_MERGE "\n"},
		{"#!", PART_TYPE("x-shellscript") "\n"},
		{"## template: jinja", PART_TYPE("jinja2") PART_MERGE "\n"},
		{"#cloud-boothook", PART_TYPE("cloud-boothook") "\n"},
		{"#include-once", PART_TYPE("x-include-once-url") "\n"},
		{"#include", PART_TYPE("x-include-url") "\n"},
		{"#part-handler", PART_TYPE("part-handler") "\n"},
		{"Content-Type:", ""},
		{"MIME-Version:", ""},
	};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (strncasecmp(text, kinds[i].begin, strlen(kinds[i].begin)) == 0)
			return kinds[i].header;
	return NULL;
}

/* A line that occurs in neither part. */
static char *choose_boundary(const char *ours, const char *theirs)
{
	for (unsigned i = 0;; i++) {
		char *boundary = xasprintf(BOUNDARY "%u==", i);

		if (!strstr(ours, boundary) && !strstr(theirs, boundary))
			return boundary;
		free(boundary);
	}
}

int md_seed_user_data(const struct md_seed *s, char **ret, struct err *err)
{
	_cleanup_secret_ char *ours = cloud_config(s);
	_cleanup_free_ char *boundary = NULL;
	const char *header;

	if (!given(s->user_data)) {
		*ret = take(ours);
		return 0;
	}
	header = part_header(s->user_data);
	if (!header)
		return err_set(err, ERR_USER,
			"the user data does not begin as cloud-init's kinds do (#cloud-config, #! "
			"of a script, a MIME message and others)");
	boundary = choose_boundary(ours, s->user_data);
	*ret = xasprintf("Content-Type: multipart/mixed; boundary=\"%s\"\n"
			 "MIME-Version: 1.0\n\n"
			 "--%s\n"
			 "Content-Type: text/cloud-config; charset=\"utf-8\"\n\n"
			 "%s\n"
			 "--%s\n"
			 "%s%s\n"
			 "--%s--\n",
		boundary, boundary, ours, boundary, header, s->user_data, boundary);
	return 0;
}

static struct json *network_card(const struct md_seed *s)
{
	struct json *card = json_object(), *match = json_object(), *servers;

	json_set_str(match, given(s->mac) ? "macaddress" : "name", given(s->mac) ? s->mac : "e*");
	json_set(card, "match", match);
	json_set(card, "dhcp4", json_bool(!given(s->address)));
	if (!given(s->address)) {
		json_set_str(card, "dhcp-identifier", "mac");
		return card;
	}
	json_set(card, "addresses", list_of(s->address));
	if (given(s->gateway))
		json_set_str(card, "gateway4", s->gateway);
	if (given(s->dns)) {
		servers = json_object();
		json_set(servers, "addresses", list_of(s->dns));
		json_set(card, "nameservers", servers);
	}
	return card;
}

char *md_seed_network_config(const struct md_seed *s)
{
	_cleanup_json_ struct json *j = json_object();
	_cleanup_free_ char *text = NULL;
	struct json *cards = json_object();

	json_set(j, "version", json_int(2));
	json_set(cards, CARD, network_card(s));
	json_set(j, "ethernets", cards);
	text = json_to_string(j, JSON_INDENT);
	return xasprintf("%s\n", text);
}

int md_seed_write_iso(const char *path, const struct md_seed *s, struct err *err)
{
	_cleanup_free_ char *meta = md_seed_meta_data(s), *network = md_seed_network_config(s);
	_cleanup_secret_ char *user = NULL;
	_cleanup_(seed_iso_finish) struct seed_iso iso = {0};

	if (md_seed_user_data(s, &user, err) < 0)
		return -1;
	struct seed_file files[] = {
		{"METADATA.;1", "meta-data", meta, strlen(meta)},
		{"NETWORK.;1", "network-config", network, strlen(network)},
		{"USERDATA.;1", "user-data", user, strlen(user)},
	};
	if (seed_iso_make(files, ARRAY_SIZE(files), &iso, err) < 0 ||
		md_write_file(path, iso.data, iso.len, 0600, err) < 0)
		return err_wrap(err, "write the seed %s", path);
	return 0;
}
