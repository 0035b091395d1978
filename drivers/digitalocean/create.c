/* Making a droplet and its key, each found again by what was written down before; and removing
 * them. */
#include "digitalocean.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TAG_PREFIX "docker-machine:"
#define LOOK "look for the droplet"

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
	if (!*path)
		md_log(rq, LOG_LEVEL_INFO,
			"ssh has to find the private key of %s itself, as "
			"--digitalocean-ssh-key-path names none",
			print);
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
	/* refused: as it is there, of an attempt that was not answered */
	if ((mine.may_exist || a->status == DO_STATUS_UNPROCESSABLE) && find_own_key(a, m, err) > 0)
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

/* Droplets that have the machine's tag. */
struct tagged {
	const char *tag;
	struct json *found; /* list */
};

static bool note_tagged(const struct json *droplet, void *arg)
{
	const struct json *tags = json_get(droplet, "tags");
	struct tagged *t = arg;
	bool has = false;

	/* they are deleted, too: that the query was understood is not taken for granted */
	for (size_t i = 0; json_at(tags, i); i++)
		has = has || strcasecmp(json_str(json_at(tags, i), ""), t->tag) == 0;
	if (has)
		json_add(t->found, json_copy(droplet));
	return false;
}

static int list_tagged(
	struct do_api *a, const struct md_machine *m, struct json **ret, struct err *err)
{
	struct tagged t = {md_state_str(m, "MachineTag"), json_array()};
	_cleanup_json_ struct json *found = t.found;
	_cleanup_buf_ struct buf path = BUF_INIT;

	buf_adds(&path, "/droplets?tag_name=");
	md_http_escape(&path, t.tag);
	if (do_list(a, buf_str(&path), "droplets", LOOK, note_tagged, &t, err) < 0)
		return -1;
	*ret = take(found);
	return 0;
}

/* 1: it is there, and its id is in the state; 0: it is not. */
static int find_droplet(struct do_api *a, struct md_machine *m, struct err *err)
{
	_cleanup_json_ struct json *found = NULL;

	if (list_tagged(a, m, &found, err) < 0)
		return -1;
	if (!json_at(found, 0))
		return 0;
	return do_take_id(m, "DropletID", json_at(found, 0), LOOK, err) < 0 ? -1 : 1;
}

/* Nothing more will come of this key: the user need not remove it by hand. */
static void drop_key(struct do_api *a, struct md_machine *m)
{
	_cleanup_free_ char *path =
		xasprintf("/account/keys/%lld", (long long)md_state_int(m, "SSHKeyID"));
	_cleanup_err_ struct err err = ERR_INIT;

	if (*md_state_str(m, "SSHKeyFingerprint"))
		return;
	if (do_call(a, "DELETE", path, NULL, "delete the SSH key", NULL, &err) < 0 &&
		err.code != ERR_NOT_FOUND)
		return;
	json_set(m->state, "SSHKeyID", json_int(0));
}

/* Surely nothing was made: nobody needs to look for it, which a token may lack the right to. */
static void not_made(struct do_api *a, struct md_request *rq, struct md_machine *m)
{
	_cleanup_err_ struct err ignored = ERR_INIT;

	if (a->status == DO_STATUS_UNPROCESSABLE)
		drop_key(a, m);
	md_cloud_order_over(m);
	if (!md_state_bool(m, "OrderedTwice"))
		json_set_str(m->state, "MachineTag", "");
	(void)!md_checkpoint(rq, m->state, &ignored);
}

static int wait_for_order(struct md_outcome *out, const char *why)
{
	md_cloud_wait(out, STATE_NONE, DO_POLL_MS, "the droplet that was asked for to show%s%s",
		why ? ": " : "", why ? why : "");
	return 0;
}

/* 1: it is there; 0: it may show yet. */
static int ask_for_droplet(struct do_api *a, struct md_request *rq, struct md_machine *m,
	struct md_outcome *out, struct err *err)
{
	static const char what[] = "create the droplet";
	bool again = md_state_int(m, MD_CLOUD_ORDERED) != 0;
	_cleanup_err_ struct err mine = ERR_INIT, ignored = ERR_INIT;
	_cleanup_json_ struct json *answer = NULL, *body = NULL;

	if (droplet_body(a, rq, m, &body, err) < 0)
		return -1;
	if (again)
		json_set(m->state, "OrderedTwice", json_bool(true));
	if (md_cloud_order(rq, m, err) < 0)
		return -1;
	md_progress(rq, "Creating the droplet...");
	if (do_call(a, "POST", "/droplets", take(body), what, &answer, &mine) == 0 &&
		do_take_id(m, "DropletID", json_get(answer, "droplet"), what, &mine) == 0)
		return 1;
	if (!mine.may_exist) {
		not_made(a, rq, m);
		return err_move(err, &mine);
	}
	if (find_droplet(a, m, &ignored) > 0)
		return 1;
	/* it may have taken long until it was clear that there is no answer */
	if (md_cloud_order(rq, m, &ignored) < 0)
		return err_move(err, &mine);
	/* not for ever: a service that fails would be asked for one a minute */
	if (again || mine.code == ERR_CANCELED || !md_cloud_order_open(m))
		return err_move(err, &mine);
	return wait_for_order(out, err_msg(&mine));
}

/* The same. */
static int make_droplet(struct do_api *a, struct md_request *rq, struct md_machine *m,
	struct md_outcome *out, struct err *err)
{
	int there = 0;

	if (!md_state_int(m, "DropletID")) {
		if (*md_state_str(m, "MachineTag")) {
			there = find_droplet(a, m, err);
		} else {
			_cleanup_free_ char *tag = xasprintf(TAG_PREFIX "%s", m->id);

			json_set_str(m->state, "MachineTag", tag);
		}
		if (there == 0)
			there = md_cloud_order_open(m) ? wait_for_order(out, NULL)
						       : ask_for_droplet(a, rq, m, out, err);
		if (there <= 0)
			return there;
		md_cloud_order_over(m);
		json_set(m->state, "CreatedAt", json_int((int64_t)time(NULL)));
		if (md_checkpoint(rq, m->state, err) < 0)
			return -1;
	}
	md_cloud_made(m);
	return 1;
}

const char *do_address(const struct json *droplet, const char *type)
{
	const struct json *list = json_path(droplet, "networks", "v4", NULL);

	for (size_t i = 0; json_at(list, i); i++)
		if (streq(json_str(json_get(json_at(list, i), "type"), ""), type))
			return json_str(json_get(json_at(list, i), "ip_address"), "");
	return "";
}

int do_create(struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err)
{
	_cleanup_do_ struct do_api a = {0};
	_cleanup_json_ struct json *answer = NULL;
	_cleanup_err_ struct err mine = ERR_INIT;
	const struct json *droplet;

	if (*md_state_str(m, "IPAddress"))
		return 0;
	if (do_open(&a, rq, m, err) < 0 || make_key(&a, rq, m, err) < 0)
		return -1;
	int there = make_droplet(&a, rq, m, out, err);
	if (there <= 0)
		return there;
	_cleanup_free_ char *path =
		xasprintf("/droplets/%lld", (long long)md_state_int(m, "DropletID"));
	if (do_call(&a, "GET", path, NULL, "look at the droplet", &answer, &mine) < 0) {
		if (mine.code != ERR_NOT_FOUND || !do_is_new(m))
			return err_move(err, &mine);
		/* without a state to wait for: what is asked for it may know it already */
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

static int remove_key(struct do_api *a, struct md_machine *m, struct err *err)
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
	json_set(m->state, "SSHKeyID", json_int(0));
	json_set_str(m->state, "OwnKeyFingerprint", "");
	return 0;
}

/* Not by this command, as far as is known; whoever pays should know. */
static void note_gone(struct md_request *rq, const struct md_machine *m, int64_t id, bool deleted)
{
	if (!deleted && id == md_state_int(m, "DropletID") && !md_state_bool(m, "OrderedTwice"))
		md_log(rq, LOG_LEVEL_WARN,
			"the droplet %lld is not in the token's account: it was removed before, or "
			"is in another account and still there",
			(long long)id);
}

/* 1: it is gone; 0: not yet. is_new: that it is not found need not mean that. */
static int delete_droplet(struct do_api *a, struct md_request *rq, struct md_machine *m, int64_t id,
	bool is_new, struct md_outcome *out, struct err *err)
{
	_cleanup_free_ char *path = xasprintf("/droplets/%lld", (long long)id);
	_cleanup_err_ struct err mine = ERR_INIT;

	if (do_call(a, "DELETE", path, NULL, "delete the droplet", NULL, &mine) == 0 ||
		(mine.code == ERR_NOT_FOUND && !is_new)) {
		note_gone(rq, m, id, !mine.code || mine.may_exist);
		do_not_refused(m);
		return 1;
	}
	if (mine.code == ERR_NOT_FOUND) {
		md_cloud_wait(out, STATE_NONE, DO_POLL_MS, "the droplet to be known");
		return 0;
	}
	return a->status == DO_STATUS_UNPROCESSABLE ? do_refused(rq, m, &mine, out, err)
						    : err_move(err, &mine);
}

/* Those of orders that were never answered. */
static int remove_tagged(struct do_api *a, struct md_request *rq, struct md_machine *m,
	struct md_outcome *out, struct err *err)
{
	_cleanup_json_ struct json *found = NULL;
	size_t gone = 0;

	if (list_tagged(a, m, &found, err) < 0)
		return -1;
	for (size_t i = 0; json_at(found, i); i++) {
		int64_t id = json_int_or(json_get(json_at(found, i), "id"), 0);
		int r;

		if (id <= 0)
			return err_set(err, ERR_PROTOCOL, LOOK ": DigitalOcean: one has no id");
		if (id == md_state_int(m, "DropletID")) /* lists lag behind */
			continue;
		r = delete_droplet(a, rq, m, id, md_cloud_order_open(m), out, err);
		if (r <= 0)
			return r;
		gone++;
	}
	return gone || !md_cloud_order_open(m) ? 1 : wait_for_order(out, NULL);
}

/* 1: there is none any more; 0: one may show, or an event has to end first. */
static int remove_droplets(struct do_api *a, struct md_request *rq, struct md_machine *m,
	struct md_outcome *out, struct err *err)
{
	int64_t id = md_state_int(m, "DropletID");

	if (id) {
		int r = delete_droplet(a, rq, m, id, do_is_new(m), out, err);

		if (r <= 0)
			return r;
		json_set(m->state, "CreatedAt", json_int(0)); /* it is not on its way */
	}
	if (!*md_state_str(m, "MachineTag") || (id && !md_state_bool(m, "OrderedTwice")))
		return 1;
	return remove_tagged(a, rq, m, out, err);
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

	if (do_open(&a, rq, m, err) < 0)
		return -1;
	key = remove_key(&a, m, &of_key);
	droplet = remove_droplets(&a, rq, m, out, err);
	if (droplet > 0)
		remove_tag(&a, rq, m);
	if (droplet < 0 && key < 0)
		return err_wrap(err, "%s; and", err_msg(&of_key));
	if (droplet > 0 && key < 0)
		return err_move(err, &of_key);
	return droplet < 0 ? -1 : 0;
}
