/* Would create fail? Nothing is changed. */
#include "openstack.h"

#include <string.h>

/* A group that the project lacks. By name or id, as nova takes them. */
static int check_groups(struct os_api *a, const struct md_machine *m, struct err *err)
{
	const struct json *names = json_get_fold(m->state, "SecurityGroups");
	_cleanup_json_ struct json *list = NULL;

	if (!json_at(names, 0))
		return 0;
	a->shared = true;
	if (os_list(a, OS_NETWORK, "/security-groups", NULL, "security_groups",
		    "look up the security groups", &list, err) < 0)
		return -1;
	for (size_t i = 0; json_at(names, i); i++) {
		const char *name = json_str(json_at(names, i), "");
		bool found = false;

		for (size_t k = 0; json_at(list, k) && !found; k++)
			found = streq(json_str(json_get(json_at(list, k), "name"), ""), name) ||
				streq(json_str(json_get(json_at(list, k), "id"), ""), name);
		if (!found)
			return err_set(err, ERR_USER,
				"--openstack-sec-groups: unable to find a security group named "
				"%s",
				name);
	}
	return 0;
}

static int check_volume(struct os_api *a, const struct md_machine *m, struct err *err)
{
	const char *id = md_state_str(m, "VolumeId");
	_cleanup_free_ char *path = os_path("/volumes", id);

	if (!*id)
		return 0;
	if (os_call(a, OS_VOLUME, "GET", path, NULL, "look up the volume", NULL, err) == 0)
		return 0;
	if (err->code == ERR_NOT_FOUND)
		err_set(err, ERR_USER, "--openstack-volume-id %s: there is no such volume", id);
	return -1;
}

/* nova takes a type's name or id, as cinder does. */
static int check_type(struct os_api *a, const char *type, struct err *err)
{
	_cleanup_json_ struct json *list = NULL;

	a->shared = true;
	if (os_list(a, OS_VOLUME, "/types", NULL, "volume_types", "look up the volume type", &list,
		    err) < 0)
		return -1;
	for (size_t i = 0; json_at(list, i); i++)
		if (streq(json_str(json_get(json_at(list, i), "name"), ""), type) ||
			streq(json_str(json_get(json_at(list, i), "id"), ""), type))
			return 0;
	return err_set(err, ERR_USER,
		"--openstack-volume-type: unable to find a volume type named %s", type);
}

/* A volume that is to be made. */
static int check_new_volume(struct os_api *a, const struct md_machine *m, struct err *err)
{
	const char *type = md_state_str(m, "VolumeType");
	bool root = md_state_bool(m, "BootFromVolume"); /* which nova makes */
	bool data = !root && md_state_int(m, "VolumeSize") && !*md_state_str(m, "VolumeId");
	_cleanup_free_ char *url = NULL;

	if (*type && (root || data))
		return check_type(a, type, err);
	return data ? os_endpoint(m, a->session, OS_VOLUME, &url, err) : 0;
}

int os_pre_create_check(struct md_request *rq, struct md_machine *m, struct err *err)
{
	_cleanup_os_ struct os_api a = {0};

	if (os_open(&a, rq, m, err) < 0 || os_login(&a, err) < 0)
		return -1;
	os_warn_regions(rq, m, a.session);
	os_choose_region(m, a.session);
	if (os_check_ids(&a, m, err) < 0 || os_resolve(&a, m, err) < 0 ||
		os_check_key(&a, m, err) < 0 || check_groups(&a, m, err) < 0)
		return -1;
	return check_volume(&a, m, err) < 0 ? -1 : check_new_volume(&a, m, err);
}
