/* Names of things that are there already become ids. */
#include "openstack.h"

#include <string.h>

static const struct kind {
	const char *what, *flag, *name, *id; /* of the state */
	enum os_service service;
	const char *path, *key;
	const char *query; /* before the name; NULL: the service cannot look for names */
	const char *more;  /* behind it */
	const char *one;   /* path of one by id; NULL: not checked */
} kinds[] = {
	{"network", "net", "NetworkName", "NetworkId", OS_NETWORK, "/networks", "networks",
		"name=", "", "/networks/"},
	{"flavor", "flavor", "FlavorName", "FlavorId", OS_COMPUTE, "/flavors/detail", "flavors",
		NULL, "", "/flavors/"},
	{"image", "image", "ImageName", "ImageId", OS_IMAGE, "/images", "images",
		"name=", "&status=active", "/images/"},
	{"server group", "server-group", "ServerGroupName", "ServerGroupId", OS_COMPUTE,
		"/os-server-groups", "server_groups", NULL, "", "/os-server-groups/"},
	{"external network", "floatingip-pool", "FloatingIpPool", "FloatingIpPoolId", OS_NETWORK,
		"/networks", "networks", "router%3Aexternal=true&name=", "", NULL},
};

static int several(const struct kind *k, const char *name, const struct strv *ids, struct err *err)
{
	_cleanup_free_ char *list = strv_join(ids, ", ");

	return err_set(err, ERR_USER, "there are %zu %ss named %s: %s%s", ids->n, k->what, name,
		list, k->one ? "; say which one by its id" : "");
}

static int look_up(struct os_api *a, struct md_machine *m, const struct kind *k, struct err *err)
{
	const char *name = md_state_str(m, k->name);
	_cleanup_buf_ struct buf query = BUF_INIT;
	_cleanup_json_ struct json *list = NULL;
	_cleanup_strv_ struct strv ids = STRV_INIT;
	_cleanup_free_ char *what = xasprintf("look up the %s", k->what);

	if (k->query) {
		buf_adds(&query, k->query);
		md_http_escape(&query, name);
		buf_adds(&query, k->more);
	}
	a->shared = true;
	if (os_list(a, k->service, k->path, buf_str(&query), k->key, what, &list, err) < 0)
		return -1;
	for (size_t i = 0; json_at(list, i); i++) {
		const struct json *e = json_at(list, i);
		const char *id = json_str(json_get(e, "id"), "");

		if (streq(json_str(json_get(e, "name"), ""), name) && *id &&
			!strv_contains(&ids, id))
			strv_add(&ids, id);
	}
	if (!ids.n)
		return err_set(err, ERR_USER, "unable to find %s named %s (--openstack-%s%s)",
			k->what, name, k->flag, k->one ? "-name" : "");
	if (ids.n > 1)
		return several(k, name, &ids, err);
	json_set_str(m->state, k->id, ids.items[0]);
	return 0;
}

int os_resolve(struct os_api *a, struct md_machine *m, struct err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (*md_state_str(m, kinds[i].name) && !*md_state_str(m, kinds[i].id) &&
			look_up(a, m, &kinds[i], err) < 0)
			return -1;
	return 0;
}

int os_check_ids(struct os_api *a, const struct md_machine *m, struct err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		const char *id = md_state_str(m, kinds[i].id);
		_cleanup_buf_ struct buf path = BUF_INIT;
		_cleanup_free_ char *what = xasprintf("look up the %s", kinds[i].what);

		if (!*id || *md_state_str(m, kinds[i].name) || !kinds[i].one)
			continue;
		buf_adds(&path, kinds[i].one);
		md_http_escape(&path, id);
		a->shared = true;
		if (os_call(a, kinds[i].service, "GET", buf_str(&path), NULL, what, NULL, err) == 0)
			continue;
		if (err->code == ERR_NOT_FOUND)
			err_set(err, ERR_USER, "--openstack-%s-id %s: there is no such %s",
				kinds[i].flag, id, kinds[i].what);
		return -1;
	}
	return 0;
}
