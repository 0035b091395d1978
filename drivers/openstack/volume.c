/* The data volume: made for the machine, or one of the user's. */
#include "openstack.h"

#include <string.h>

#define AVAILABLE_S 200
#define DELETING "deleting" /* the status */

/* Does the user want one to be made? */
static bool wants_own(const struct md_machine *m)
{
	return md_state_int(m, "VolumeSize") > 0 && !md_state_bool(m, "BootFromVolume") &&
	       (!*md_state_str(m, "VolumeId") || md_state_bool(m, "VolumeCreated"));
}

static char *name_of(const struct md_machine *m)
{
	const char *name = md_state_str(m, "VolumeName");

	return *name ? xstrdup(name) : xasprintf("%s-data", m->name);
}

static void query_of(const struct os_api *a, const struct md_machine *m, struct buf *b)
{
	_cleanup_free_ char *name = name_of(m);

	(void)a;
	buf_adds(b, "name=");
	md_http_escape(b, name);
}

static bool has_failed(const char *status)
{
	return strncmp(status, "error", 5) == 0;
}

static enum os_worth worth_of(const struct json *volume)
{
	const char *status = json_str(json_get(volume, "status"), "");

	return streq(status, DELETING) ? OS_GOING : has_failed(status) ? OS_POOR : OS_GOOD;
}

const struct os_kind os_volume = {
	.name = "volume",
	.id = "VolumeId",
	.service = OS_VOLUME,
	.path = "/volumes",
	.answer = "volume",
	.list = "/volumes/detail",
	.key = "volumes",
	.busy = OS_STATUS_BAD_REQUEST,
	.query = query_of,
	.is_ours = os_has_mark,
	.worth = worth_of,
};

static struct json *body_of(const struct md_machine *m)
{
	_cleanup_free_ char *name = name_of(m);
	struct json *body = json_object(), *v = json_object(), *tags = json_object();
	const char *type = md_state_str(m, "VolumeType");
	const char *zone = md_state_str(m, "AvailabilityZone");

	json_set_str(v, "name", name);
	json_set(v, "size", json_int(md_state_int(m, "VolumeSize")));
	if (*type)
		json_set_str(v, "volume_type", type);
	if (*zone)
		json_set_str(v, "availability_zone", zone);
	json_set_str(tags, OS_ID_KEY, md_state_str(m, "ServerTag"));
	json_set(v, "metadata", tags);
	json_set(body, "volume", v);
	return body;
}

static int get_status(struct os_api *a, const struct md_machine *m, char **ret, struct err *err)
{
	_cleanup_free_ char *path = os_path("/volumes", md_state_str(m, "VolumeId"));
	_cleanup_json_ struct json *answer = NULL;

	if (os_call(a, OS_VOLUME, "GET", path, NULL, "look at the volume", &answer, err) < 0)
		return -1;
	*ret = xstrdup(json_str(json_path(answer, "volume", "status", NULL), ""));
	return 0;
}

/* It is of no use any more. Its id stays until it is gone: a deletion may be refused, or fail. */
static int give_up(struct os_api *a, struct md_machine *m, const char *status, struct err *err)
{
	const char *id = md_state_str(m, "VolumeId");
	_cleanup_free_ char *path = os_path("/volumes", id);
	_cleanup_err_ struct err none = ERR_INIT;

	json_set(m->state, OS_WAIT, json_int(0));
	if (os_delete(a, OS_VOLUME, path, "delete the volume", &none) < 0)
		md_log(a->api.rq, LOG_LEVEL_WARN, "%s", err_msg(&none));
	if (md_checkpoint(a->api.rq, m->state, err) < 0)
		return -1;
	return err_set(err, ERR_UNAVAILABLE,
		"the volume %s could not be made: it is in the status %s", id, status);
}

/* known: the status, if it was asked for already. */
static int wait_available(struct os_api *a, struct md_machine *m, const char *known,
	struct md_outcome *out, struct err *err)
{
	_cleanup_free_ char *asked = NULL;

	if (!known && get_status(a, m, &asked, err) < 0)
		return -1;
	const char *status = known ? known : asked;
	if (has_failed(status))
		return give_up(a, m, status, err);
	if (streq(status, "available") || streq(status, "in-use")) {
		json_set(m->state, OS_WAIT, json_int(0));
		return 0;
	}
	if (os_overdue(a->api.rq, m, OS_WAIT, AVAILABLE_S))
		return err_set(err, ERR_TIMEOUT,
			"the volume %s is not available after %d s, but %s",
			md_state_str(m, "VolumeId"), AVAILABLE_S, status);
	md_cloud_wait(out, STATE_NONE, OS_POLL_MS, "the volume to become available");
	return OS_BUSY;
}

/* The status of the one that an earlier call ordered. One that was deleted, or is being, is
 * forgotten: another takes its place. Should it stay after all it has the mark. */
static int look_again(struct os_api *a, struct md_machine *m, char **ret, struct err *err)
{
	_cleanup_err_ struct err mine = ERR_INIT;
	_cleanup_free_ char *status = NULL;

	if (get_status(a, m, &status, &mine) < 0 && mine.code != ERR_NOT_FOUND)
		return err_move(err, &mine);
	if (status && !streq(status, DELETING)) {
		*ret = take(status);
		return 0;
	}
	json_set_str(m->state, "VolumeId", "");
	json_set(m->state, OS_WAIT, json_int(0));
	return 0;
}

int os_make_volume(struct os_api *a, struct md_machine *m, struct md_outcome *out, struct err *err)
{
	_cleanup_free_ char *status = NULL;

	if (!wants_own(m))
		return 0;
	if (*md_state_str(m, "VolumeId") && look_again(a, m, &status, err) < 0)
		return -1;
	if (!*md_state_str(m, "VolumeId")) {
		json_set(m->state, "VolumeCreated", json_bool(true));
		md_progress(a->api.rq, "Creating the volume...");
		if (os_order(a, m, &os_volume, body_of(m), NULL, err) < 0)
			return -1;
	}
	return wait_available(a, m, status, out, err);
}

static int find_attachment(
	struct os_api *a, struct md_machine *m, const char *path, struct err *err)
{
	_cleanup_json_ struct json *answer = NULL;
	const struct json *list;

	if (os_call(a, OS_COMPUTE, "GET", path, NULL, "look at the server's volumes", &answer,
		    err) < 0)
		return -1;
	list = json_get(answer, "volumeAttachments");
	for (size_t i = 0; json_at(list, i); i++) {
		const struct json *v = json_at(list, i);

		if (!streq(json_str(json_get(v, "volumeId"), ""), md_state_str(m, "VolumeId")))
			continue;
		if (json_is(json_get(v, "device"), JSON_STRING))
			json_set(m->state, "VolumeDevicePath", json_copy(json_get(v, "device")));
		return 1;
	}
	return 0;
}

int os_attach_volume(struct os_api *a, struct md_machine *m, struct err *err)
{
	_cleanup_free_ char *server = os_path("/servers", md_state_str(m, "MachineId"));
	_cleanup_free_ char *path = xasprintf("%s/os-volume_attachments", server);
	_cleanup_json_ struct json *answer = NULL;
	_cleanup_err_ struct err mine = ERR_INIT;
	const char *device = md_state_str(m, "VolumeDevicePath");
	struct json *body, *v;
	int found;

	if (!*md_state_str(m, "VolumeId"))
		return 0;
	found = find_attachment(a, m, path, err);
	if (found != 0)
		return found < 0 ? -1 : 0;
	body = json_object();
	v = json_object();
	json_set_str(v, "volumeId", md_state_str(m, "VolumeId"));
	if (*device)
		json_set_str(v, "device", device);
	json_set(body, "volumeAttachment", v);
	if (os_call(a, OS_COMPUTE, "POST", path, body, "attach the volume", &answer, &mine) < 0) {
		if (mine.may_exist && find_attachment(a, m, path, err) > 0)
			return 0;
		err_finish(err);
		return err_move(err, &mine);
	}
	v = json_path(answer, "volumeAttachment", "device", NULL);
	if (json_is(v, JSON_STRING))
		json_set(m->state, "VolumeDevicePath", json_copy(v));
	return 0;
}

/* The server is gone. Until the volume knows, it is not deleted. */
int os_remove_volume(struct os_api *a, struct md_machine *m, struct err *err)
{
	return md_state_bool(m, "VolumeCreated") ? os_remove_kind(a, m, &os_volume, err) : 0;
}
