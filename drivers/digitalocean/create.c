/* Making a droplet and its key, each found again by what was written down before; and removing
 * them. */
#include "digitalocean.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TAG_PREFIX "docker-machine:"

/* The account's key that the user named. */
static int use_account_key(
	struct do_api *a, struct md_request *rq, struct md_machine *m, struct err *err)
{
	const char *print = md_state_str(m, "SSHKeyFingerprint"), *path = md_state_str(m, "SSHKey");
	_cleanup_free_ char *url = xasprintf("/account/keys/%s", print);
	_cleanup_json_ struct json *key = NULL;

	if (do_call(a, "GET", url, NULL, "look up the SSH key", &key, err) < 0) {
		if (err->code == ERR_NOT_FOUND)
			err_set(err, ERR_USER,
				"--digitalocean-ssh-key-fingerprint %s: there is no such key in "
				"the account",
				print);
		return -1;
	}
	if (*path && md_cloud_copy_key(m, path, "--digitalocean-ssh-key-path", NULL, err) < 0)
		return -1;
	if (do_take_id(m, "SSHKeyID", json_get(key, "ssh_key"), "look up the SSH key", err) < 0)
		return -1;
	return md_checkpoint(rq, m->state, err);
}

/* 1: the account has the key, and its id is in the state; 0: it has not. */
static int find_own_key(struct do_api *a, struct md_machine *m, struct err *err)
{
	_cleanup_free_ char *url =
		xasprintf("/account/keys/%s", md_state_str(m, "OwnKeyFingerprint"));
	_cleanup_json_ struct json *key = NULL;
	_cleanup_err_ struct err mine = ERR_INIT;

	if (do_call(a, "GET", url, NULL, "look up the SSH key", &key, &mine) < 0)
		return mine.code == ERR_NOT_FOUND ? 0 : err_move(err, &mine);
	return do_take_id(m, "SSHKeyID", json_get(key, "ssh_key"), "look up the SSH key", err) < 0
		       ? -1
		       : 1;
}

static int send_key(struct do_api *a, struct md_machine *m, const char *pub, struct err *err)
{
	static const char what[] = "import the SSH key";
	_cleanup_err_ struct err mine = ERR_INIT;
	_cleanup_json_ struct json *key = NULL;
	struct json *body = json_object();

	json_set_str(body, "name", m->name);
	json_set_str(body, "public_key", pub);
	if (do_call(a, "POST", "/account/keys", body, what, &key, &mine) == 0 &&
		do_take_id(m, "SSHKeyID", json_get(key, "ssh_key"), what, &mine) == 0)
		return 0;
	if (mine.may_exist && find_own_key(a, m, err) > 0)
		return 0;
	err_finish(err);
	return err_move(err, &mine);
}

static int import_key(
	struct do_api *a, struct md_request *rq, struct md_machine *m, struct err *err)
{
	_cleanup_free_ char *pub = NULL, *print = NULL;
	int found = 0;

	if (md_cloud_login_key(m, &pub, err) < 0)
		return -1;
	print = md_sshkey_md5(pub);
	if (*md_state_str(m, "OwnKeyFingerprint"))
		found = find_own_key(a, m, err);
	else if (md_state_note(rq, m, "OwnKeyFingerprint", print ? print : "", err) < 0)
		return -1;
	if (found < 0)
		return -1;
	if (found == 0) {
		md_progress(rq, "Importing the SSH key...");
		if (send_key(a, m, pub, err) < 0)
			return -1;
	}
	return md_checkpoint(rq, m->state, err);
}

static int make_key(struct do_api *a, struct md_request *rq, struct md_machine *m, struct err *err)
{
	if (md_state_int(m, "SSHKeyID"))
		return 0;
	return *md_state_str(m, "SSHKeyFingerprint") ? use_account_key(a, rq, m, err)
						     : import_key(a, rq, m, err);
}

static struct json *tags_of(const struct md_machine *m)
{
	_cleanup_strv_ struct strv parts = STRV_INIT;
	struct json *tags = json_array();

	strv_split(&parts, md_state_str(m, "Tags"), ',');
	strv_foreach (tag, &parts)
		json_add(tags, json_string(tag));
	json_add(tags, json_string(md_state_str(m, "MachineTag")));
	return tags;
}

/* A slug, or the number of an image of the account's. */
static struct json *image_of(const struct md_machine *m)
{
	const char *image = md_state_str(m, "Image");

	bool number = *image && *image != '0' && strspn(image, "0123456789") == strlen(image);

	return number ? json_number(image) : json_string(image);
}

static int droplet_body(struct do_api *a, struct md_request *rq, struct md_machine *m,
	struct json **ret, struct err *err)
{
	static const char *const copied[][2] = {{"region", "Region"}, {"size", "Size"},
		{"backups", "Backups"}, {"ipv6", "IPv6"}, {"monitoring", "Monitoring"}};
	_cleanup_secret_ char *data = NULL;
	struct json *body, *keys = json_array();

	if (md_cloud_user_data(rq, m, md_state_str(m, "UserDataFile"), "--digitalocean-userdata",
		    DO_USER_DATA_MAX, &data, err) < 0) {
		json_free(keys);
		return -1;
	}
	md_api_secret(&a->api, data); /* a host key is in it */
	body = json_object();
	json_set_str(body, "name", m->name);
	for (size_t i = 0; i < ARRAY_SIZE(copied); i++)
		json_set(body, copied[i][0], json_copy(json_get_fold(m->state, copied[i][1])));
	json_set(body, "image", image_of(m));
	json_add(keys, json_int(md_state_int(m, "SSHKeyID")));
	json_set(body, "ssh_keys", keys);
	json_set(body, "tags", tags_of(m));
	if (*md_state_str(m, "VPCUUID"))
		json_set_str(body, "vpc_uuid", md_state_str(m, "VPCUUID"));
	json_set_str(body, "user_data", data);
	*ret = body;
	return 0;
}

static bool take_first(const struct json *droplet, void *arg)
{
	struct json **first = arg;

	*first = json_copy(droplet);
	return true;
}

/* 1: it is there, and its id is in the state; 0: it is not. */
static int find_droplet(struct do_api *a, struct md_machine *m, struct err *err)
{
	static const char what[] = "look for the droplet";
	_cleanup_buf_ struct buf path = BUF_INIT;
	_cleanup_json_ struct json *droplet = NULL;

	buf_adds(&path, "/droplets?tag_name=");
	md_http_escape(&path, md_state_str(m, "MachineTag"));
	if (do_list(a, buf_str(&path), "droplets", what, take_first, &droplet, err) < 0)
		return -1;
	if (!droplet)
		return 0;
	return do_take_id(m, "DropletID", droplet, what, err) < 0 ? -1 : 1;
}

/* Nothing more will come of this key: the user need not remove it by hand. */
static void drop_key(struct do_api *a, struct md_request *rq, struct md_machine *m)
{
	_cleanup_free_ char *path =
		xasprintf("/account/keys/%lld", (long long)md_state_int(m, "SSHKeyID"));
	_cleanup_err_ struct err ignored = ERR_INIT;

	if (*md_state_str(m, "SSHKeyFingerprint"))
		return;
	if (do_call(a, "DELETE", path, NULL, "delete the SSH key", NULL, &ignored) < 0 &&
		ignored.code != ERR_NOT_FOUND)
		return;
	json_set(m->state, "SSHKeyID", json_int(0));
	(void)!md_checkpoint(rq, m->state, &ignored);
}

static int ask_for_droplet(
	struct do_api *a, struct md_request *rq, struct md_machine *m, struct err *err)
{
	static const char what[] = "create the droplet";
	_cleanup_err_ struct err mine = ERR_INIT;
	_cleanup_json_ struct json *answer = NULL;
	struct json *body;

	if (droplet_body(a, rq, m, &body, err) < 0)
		return -1;
	md_progress(rq, "Creating the droplet...");
	if (do_call(a, "POST", "/droplets", body, what, &answer, &mine) == 0 &&
		do_take_id(m, "DropletID", json_get(answer, "droplet"), what, &mine) == 0)
		return 0;
	if (mine.may_exist && find_droplet(a, m, err) > 0)
		return 0;
	if (a->status == DO_STATUS_UNPROCESSABLE)
		drop_key(a, rq, m);
	err_finish(err);
	return err_move(err, &mine);
}

static int make_droplet(
	struct do_api *a, struct md_request *rq, struct md_machine *m, struct err *err)
{
	int found = 0;

	if (!md_state_int(m, "DropletID")) {
		if (*md_state_str(m, "MachineTag")) {
			found = find_droplet(a, m, err);
		} else {
			_cleanup_free_ char *tag = xasprintf(TAG_PREFIX "%s", m->id);

			found = md_state_note(rq, m, "MachineTag", tag, err);
		}
		if (found < 0 || (found == 0 && ask_for_droplet(a, rq, m, err) < 0))
			return -1;
		json_set(m->state, "CreatedAt", json_int((int64_t)time(NULL)));
		if (md_checkpoint(rq, m->state, err) < 0)
			return -1;
	}
	md_cloud_made(m);
	return 0;
}

const char *do_address(const struct json *droplet, const char *type)
{
	const struct json *list = json_path(droplet, "networks", "v4", NULL);

	for (size_t i = 0; json_at(list, i); i++)
		if (streq(json_str(json_get(json_at(list, i), "type"), ""), type))
			return json_str(json_get(json_at(list, i), "ip_address"), "");
	return "";
}

static bool is_new(const struct md_machine *m)
{
	int64_t age = (int64_t)time(NULL) - md_state_int(m, "CreatedAt");

	return age >= 0 && age < DO_NEW_S;
}

int do_create(struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err)
{
	_cleanup_do_ struct do_api a = {0};
	_cleanup_json_ struct json *answer = NULL;
	_cleanup_err_ struct err mine = ERR_INIT;
	const struct json *droplet;

	if (*md_state_str(m, "IPAddress"))
		return 0;
	do_open(&a, rq, m);
	if (make_key(&a, rq, m, err) < 0 || make_droplet(&a, rq, m, err) < 0)
		return -1;
	_cleanup_free_ char *path =
		xasprintf("/droplets/%lld", (long long)md_state_int(m, "DropletID"));
	if (do_call(&a, "GET", path, NULL, "look at the droplet", &answer, &mine) < 0) {
		if (mine.code != ERR_NOT_FOUND || !is_new(m))
			return err_move(err, &mine);
		/* without a state to wait for: reports call a droplet gone that is not known */
		md_cloud_wait(out, STATE_NONE, DO_POLL_MS, "the droplet to be known");
		return 0;
	}
	droplet = json_get(answer, "droplet");
	if (streq(json_str(json_get(droplet, "status"), ""), "active") &&
		*do_address(droplet, "public")) {
		json_set_str(m->state, "IPAddress", do_address(droplet, "public"));
		return 0;
	}
	md_cloud_wait(out, STATE_RUNNING, DO_POLL_MS, "the droplet to get its address");
	return 0;
}

static int remove_key(struct do_api *a, const struct md_machine *m, struct err *err)
{
	const char *print = md_state_str(m, "OwnKeyFingerprint");
	int64_t id = md_state_int(m, "SSHKeyID");
	_cleanup_err_ struct err mine = ERR_INIT;
	_cleanup_free_ char *path = id ? xasprintf("/account/keys/%lld", (long long)id)
				       : xasprintf("/account/keys/%s", print);

	if (*md_state_str(m, "SSHKeyFingerprint") || (!id && !*print))
		return 0;
	if (do_call(a, "DELETE", path, NULL, "delete the SSH key", NULL, &mine) < 0 &&
		mine.code != ERR_NOT_FOUND)
		return err_move(err, &mine);
	return 0;
}

/* 1: there is none any more; 0: an event has to end first. */
static int remove_droplet(
	struct do_api *a, struct md_machine *m, struct md_outcome *out, struct err *err)
{
	_cleanup_err_ struct err mine = ERR_INIT;

	if (!md_state_int(m, "DropletID") && *md_state_str(m, "MachineTag") &&
		find_droplet(a, m, err) < 0)
		return -1;
	int64_t id = md_state_int(m, "DropletID");
	_cleanup_free_ char *path = xasprintf("/droplets/%lld", (long long)id);
	if (!id || do_call(a, "DELETE", path, NULL, "delete the droplet", NULL, &mine) == 0 ||
		mine.code == ERR_NOT_FOUND)
		return 1;
	if (a->status != DO_STATUS_UNPROCESSABLE)
		return err_move(err, &mine);
	md_cloud_wait(out, STATE_NONE, DO_POLL_MS, "%s", err_msg(&mine));
	return 0;
}

/* Tags stay when their droplets go. This one costs nothing, and a token may lack the right: no
 * error. */
static void remove_tag(struct do_api *a, struct md_request *rq, const struct md_machine *m)
{
	_cleanup_err_ struct err err = ERR_INIT;
	_cleanup_buf_ struct buf path = BUF_INIT;

	if (!*md_state_str(m, "MachineTag"))
		return;
	buf_adds(&path, "/tags/");
	md_http_escape(&path, md_state_str(m, "MachineTag"));
	if (do_call(a, "DELETE", buf_str(&path), NULL, "delete the tag", NULL, &err) < 0 &&
		err.code != ERR_NOT_FOUND)
		md_log(rq, LOG_LEVEL_WARN, "the tag %s stays in the account: %s",
			md_state_str(m, "MachineTag"), err_msg(&err));
}

/* The droplet costs money: a key that cannot be removed does not keep it. */
int do_remove(struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err)
{
	_cleanup_err_ struct err of_key = ERR_INIT;
	_cleanup_do_ struct do_api a = {0};
	int droplet, key;

	do_open(&a, rq, m);
	key = remove_key(&a, m, &of_key);
	droplet = remove_droplet(&a, m, out, err);
	if (droplet > 0)
		remove_tag(&a, rq, m);
	if (droplet < 0 && key < 0)
		return err_wrap(err, "%s; and", err_msg(&of_key));
	if (droplet > 0 && key < 0)
		return err_move(err, &of_key);
	return droplet < 0 ? -1 : 0;
}
