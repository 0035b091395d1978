/* The server itself. */
#include "openstack.h"

#include <string.h>

#define VOLUME_TYPE_VERSION "2.67" /* from which on a root volume may have a type */

static const struct {
	const char *name;
	enum machine_state state;
} statuses[] =
	{
		{"ACTIVE", STATE_RUNNING},
		{"VERIFY_RESIZE", STATE_RUNNING},
		{"PASSWORD", STATE_RUNNING},
		{"MIGRATING", STATE_RUNNING},
		{"BUILD", STATE_STARTING},
		{"REBUILD", STATE_STARTING},
		{"REBOOT", STATE_STARTING},
		{"HARD_REBOOT", STATE_STARTING},
		{"PAUSED", STATE_PAUSED},
		{"SUSPENDED", STATE_SAVED},
		{"SHELVED", STATE_SAVED},
		{"SHELVED_OFFLOADED", STATE_SAVED},
		{"SHUTOFF", STATE_STOPPED},
		{"ERROR", STATE_ERROR},
		{"DELETED", STATE_ERROR},
		{"SOFT_DELETED", STATE_ERROR},
},
  tasks[] = {
	  {"powering-off", STATE_STOPPING},
	  {"deleting", STATE_STOPPING},
	  {"powering-on", STATE_STARTING},
	  {"resuming", STATE_STARTING},
	  {"unpausing", STATE_STARTING},
	  {"unshelving", STATE_STARTING},
};

enum machine_state os_state(const struct json *server)
{
	const char *task = json_str(json_get(server, "OS-EXT-STS:task_state"), "");

	for (size_t i = 0; i < ARRAY_SIZE(tasks); i++)
		if (streq(tasks[i].name, task))
			return tasks[i].state;
	for (size_t i = 0; i < ARRAY_SIZE(statuses); i++)
		if (streq(statuses[i].name, os_status(server)))
			return statuses[i].state;
	return STATE_NONE;
}

const char *os_status(const struct json *server)
{
	return json_str(json_get(server, "status"), "");
}

char *os_fault(const struct json *server)
{
	const char *said = json_str(json_path(server, "fault", "message", NULL), "");

	return xasprintf("the server %s is in the status %s%s%s",
		json_str(json_get(server, "id"), ""), os_status(server), *said ? ": " : "", said);
}

int os_get_server(struct os_api *a, const struct md_machine *m, struct json **ret, struct err *err)
{
	const char *id = md_state_str(m, "MachineId");
	_cleanup_free_ char *path = os_path("/servers", id);
	_cleanup_json_ struct json *answer = NULL;

	if (!*id)
		return err_set(err, ERR_NOT_FOUND, "the server has not been created");
	if (os_call(a, OS_COMPUTE, "GET", path, NULL, "look at the server", &answer, err) < 0) {
		if (err->code == ERR_NOT_FOUND)
			err_set(err, ERR_NOT_FOUND,
				"the server %s does not exist in the cloud (any more)", id);
		return -1;
	}
	if (!json_is(json_get(answer, "server"), JSON_OBJECT))
		return err_set(err, ERR_PROTOCOL,
			"look at the server: OpenStack: the answer has no server");
	*ret = json_copy(json_get(answer, "server"));
	return 0;
}

static void query_of(const struct os_api *a, const struct md_machine *m, struct buf *b)
{
	(void)a;
	buf_adds(b, "name=%5E"); /* it is a regular expression */
	for (const char *p = m->name; *p; p++) {
		const char c[] = {*p, '\0'};

		if (*p == '.')
			buf_adds(b, "%5C");
		md_http_escape(b, c);
	}
	buf_adds(b, "%24");
}

/* One in ERROR may have been replaced by another. */
static enum os_worth worth_of(const struct json *server)
{
	if (strstr(json_str(json_get(server, "OS-EXT-STS:task_state"), ""), "deleting") ||
		strstr(os_status(server), "DELETED"))
		return OS_GOING;
	return streq(os_status(server), "ERROR") ? OS_POOR : OS_GOOD;
}

const struct os_kind os_server = {
	.name = "server",
	.id = "MachineId",
	.service = OS_COMPUTE,
	.path = "/servers",
	.answer = "server",
	.list = "/servers/detail",
	.key = "servers",
	.query = query_of,
	.is_ours = os_has_mark,
	.worth = worth_of,
};

/* The user's own, with a host key where cloud-init can take one; base64. What is no text (it may
 * be compressed) is sent as it is. */
static int user_data(struct md_request *rq, struct md_machine *m, char **ret, struct err *err)
{
	const char *stored = md_state_str(m, "UserData");
	_cleanup_secret_ char *own = NULL, *all = NULL;
	size_t len = 0;

	if (*stored && md_unbase64(stored, strlen(stored), &own, &len) < 0)
		return err_set(err, ERR_USER, "UserData in the machine's config.json: no base64");
	if (own && strlen(own) != len) {
		json_set_str(m->state, "HostKey", "");
		*ret = xstrdup(stored);
		return 0;
	}
	if (md_cloud_user_text(
		    rq, m, own, "--openstack-user-data-file", OS_USER_DATA_MAX, &all, err) < 0)
		return -1;
	*ret = md_base64(all, strlen(all));
	return 0;
}

static struct json *one_of(const char *key, const char *value)
{
	struct json *list = json_array(), *one = json_object();

	json_set_str(one, key, value);
	json_add(list, one);
	return list;
}

static struct json *groups_of(const struct md_machine *m)
{
	const struct json *names = json_get_fold(m->state, "SecurityGroups");
	const char *own = md_state_str(m, "OwnSecurityGroupId");
	struct json *list = json_array();

	for (size_t i = 0; json_at(names, i); i++) {
		struct json *one = json_object();

		json_set_str(one, "name", json_str(json_at(names, i), ""));
		json_add(list, one);
	}
	if (*own) { /* nova takes an id for a name */
		struct json *one = json_object();

		json_set_str(one, "name", own);
		json_add(list, one);
	}
	return list;
}

static struct json *metadata_of(const struct md_machine *m)
{
	struct json *all = json_copy(json_get_fold(m->state, "Metadata"));

	if (!json_is(all, JSON_OBJECT)) {
		json_free(all);
		all = json_object();
	}
	json_set_str(all, OS_ID_KEY, md_state_str(m, "ServerTag"));
	return all;
}

static struct json *root_volume(const struct md_machine *m)
{
	const char *type = md_state_str(m, "VolumeType");
	struct json *list = one_of("uuid", md_state_str(m, "ImageId")), *v = json_at(list, 0);

	json_set(v, "boot_index", json_int(0));
	json_set_str(v, "source_type", "image");
	json_set_str(v, "destination_type", "volume");
	json_set(v, "volume_size", json_int(md_state_int(m, "VolumeSize")));
	if (*type)
		json_set_str(v, "volume_type", type);
	json_set(v, "delete_on_termination", json_bool(true));
	return list;
}

static void add_disk_and_network(struct os_api *a, const struct md_machine *m, struct json *s)
{
	const char *network = md_state_str(m, "NetworkId");
	bool typed = false;

	if (md_state_bool(m, "BootFromVolume")) {
		json_set(s, "block_device_mapping_v2", root_volume(m));
		typed = *md_state_str(m, "VolumeType") != '\0';
	} else {
		json_set_str(s, "imageRef", md_state_str(m, "ImageId"));
	}
	if (typed)
		a->microversion = VOLUME_TYPE_VERSION;
	if (*network)
		json_set(s, "networks", one_of("uuid", network));
	else if (typed) /* in this version it must be said */
		json_set_str(s, "networks", "auto");
}

static int body_of(struct os_api *a, struct md_machine *m, struct json **ret, struct err *err)
{
	static const char *const copied[][2] = {{"flavorRef", "FlavorId"},
		{"key_name", "KeyPairName"}, {"availability_zone", "AvailabilityZone"}};
	_cleanup_secret_ char *data = NULL;
	struct json *body, *s, *groups;

	if (user_data(a->api.rq, m, &data, err) < 0)
		return -1;
	md_api_secret(&a->api, data); /* nova repeats what it does not like */
	body = json_object();
	s = json_object();
	json_set_str(s, "name", m->name);
	for (size_t i = 0; i < ARRAY_SIZE(copied); i++)
		if (*md_state_str(m, copied[i][1]))
			json_set_str(s, copied[i][0], md_state_str(m, copied[i][1]));
	add_disk_and_network(a, m, s);
	json_set_str(s, "user_data", data);
	if (md_state_bool(m, "ConfigDrive"))
		json_set(s, "config_drive", json_bool(true));
	groups = groups_of(m);
	if (groups->n)
		json_set(s, "security_groups", json_copy(groups));
	json_free(groups);
	json_set(s, "metadata", metadata_of(m));
	json_set(body, "server", s);
	if (*md_state_str(m, "ServerGroupId")) {
		struct json *hints = json_object();

		json_set_str(hints, "group", md_state_str(m, "ServerGroupId"));
		json_set(body, "os:scheduler_hints", hints);
	}
	*ret = body;
	return 0;
}

int os_make_server(struct os_api *a, struct md_machine *m, struct err *err)
{
	struct json *body = NULL;

	if (body_of(a, m, &body, err) < 0)
		return -1;
	md_progress(a->api.rq, "Creating the server...");
	a->secret = true; /* there is a private key in it, and a password in the answer */
	return os_order(a, m, &os_server, body, NULL, err);
}

int os_delete_server(struct os_api *a, const char *id, struct err *err)
{
	_cleanup_free_ char *path = os_path("/servers", id);

	return os_delete(a, OS_COMPUTE, path, "delete the server", err);
}
