/* Where the services are. */
#include "openstack.h"

#include <string.h>

static const struct {
	const char *name;     /* in the member Endpoints */
	const char *types[5]; /* the first that the catalog has */
	const char *version;  /* what the address must have, … */
	const char *append;   /* … and is given, if it has none */
} services[OS_SERVICES] = {
	[OS_COMPUTE] = {"compute", {"compute"}, "/v2", "/v2.1"},
	[OS_NETWORK] = {"network", {"network", "networking"}, "/v2.0", "/v2.0"},
	[OS_IMAGE] = {"image", {"image"}, "/v2", "/v2"},
	[OS_VOLUME] = {"volume", {"block-storage", "volumev3", "block-store", "volume"}, "/v3",
		"/v3"},
};

static void add_endpoint(
	struct json *list, const char *interface, const char *region, const char *url)
{
	struct json *e;

	if (!*url)
		return;
	e = json_object();
	json_set_str(e, "interface", interface);
	json_set_str(e, "region", region);
	json_set_str(e, "url", url);
	json_add(list, e);
}

/* Version 2 has an endpoint's three addresses in one object. */
struct json *os_catalog_of_v2(const struct json *catalog)
{
	static const char *const interfaces[][2] = {
		{"public", "publicURL"}, {"internal", "internalURL"}, {"admin", "adminURL"}};
	struct json *all = json_array();

	for (size_t i = 0; json_at(catalog, i); i++) {
		const struct json *old = json_at(catalog, i), *list = json_get(old, "endpoints");
		struct json *service = json_object(), *endpoints = json_array();

		json_set_str(service, "type", json_str(json_get(old, "type"), ""));
		for (size_t k = 0; json_at(list, k); k++)
			for (size_t n = 0; n < ARRAY_SIZE(interfaces); n++)
				add_endpoint(endpoints, interfaces[n][0],
					json_str(json_get(json_at(list, k), "region"), ""),
					json_str(json_get(json_at(list, k), interfaces[n][1]), ""));
		json_set(service, "endpoints", endpoints);
		json_add(all, service);
	}
	return all;
}

static const char *region_of(const struct json *endpoint)
{
	const char *region = json_str(json_get(endpoint, "region"), "");

	return *region ? region : json_str(json_get(endpoint, "region_id"), "");
}

static bool fits(const struct md_machine *m, const struct json *endpoint)
{
	const char *region = md_state_str(m, "Region"), *type = md_state_str(m, "EndpointType");
	const char *interface = json_str(json_get(endpoint, "interface"), "");
	size_t n = strlen(interface);

	if (!*type)
		type = "public";
	if (!n || strncmp(type, interface, n) != 0 || (type[n] && !streq(type + n, "URL")))
		return false;
	return !*region || streq(region, json_str(json_get(endpoint, "region"), "")) ||
	       streq(region, json_str(json_get(endpoint, "region_id"), ""));
}

/* The endpoint number n of those that fit, of the first type that has one; NULL: there is none. */
static const struct json *nth(
	const struct md_machine *m, const struct json *catalog, enum os_service service, size_t n)
{
	for (size_t t = 0; services[service].types[t]; t++) {
		bool any = false;

		for (size_t i = 0; json_at(catalog, i); i++) {
			const struct json *s = json_at(catalog, i),
					  *list = json_get(s, "endpoints");

			if (!streq(json_str(json_get(s, "type"), ""), services[service].types[t]))
				continue;
			for (size_t k = 0; json_at(list, k); k++) {
				if (!fits(m, json_at(list, k)))
					continue;
				any = true;
				if (n-- == 0)
					return json_at(list, k);
			}
		}
		if (any)
			return NULL;
	}
	return NULL;
}

/* Is there "/v2", "/v2/…" or "/v2.1…" in the path? */
static bool has_version(const char *url, const char *version)
{
	size_t n = strlen(version);
	const char *slashes = strstr(url, "://"), *path = strchr(slashes ? slashes + 3 : url, '/');

	for (const char *p = path ? strstr(path, version) : NULL; p; p = strstr(p + 1, version))
		if (!p[n] || strchr("/.", p[n]))
			return true;
	return false;
}

static int complete(enum os_service service, const struct os_session *session, const char *url,
	char **ret, struct err *err)
{
	_cleanup_free_ char *base = xstrdup(url);

	for (size_t len = strlen(base); len && base[len - 1] == '/';)
		base[--len] = '\0';
	if (service == OS_VOLUME && (has_version(base, "/v1") || has_version(base, "/v2")))
		return err_set(err, ERR_NOT_SUPPORTED,
			"the cloud's volumes are of version 1 or 2 (%s); version 3 is needed",
			base);
	if (has_version(base, services[service].version))
		*ret = take(base);
	else if (service == OS_VOLUME)
		*ret = xasprintf("%s%s/%s", base, services[service].append, session->project);
	else
		*ret = xasprintf("%s%s", base, services[service].append);
	return 0;
}

int os_endpoint(const struct md_machine *m, const struct os_session *session,
	enum os_service service, char **ret, struct err *err)
{
	const char *set =
		json_str(json_path(m->state, "Endpoints", services[service].name, NULL), "");
	const char *region = md_state_str(m, "Region");
	const struct json *endpoint;

	if (*set)
		return complete(service, session, set, ret, err);
	endpoint = nth(m, session->catalog, service, 0);
	if (!endpoint)
		return err_set(err, ERR_USER,
			"the cloud's catalog has no %s service%s%s with an address of type %s "
			"(--openstack-region, --openstack-endpoint-type)",
			services[service].name, *region ? " in the region " : "", region,
			*md_state_str(m, "EndpointType") ? md_state_str(m, "EndpointType")
							 : "publicURL");
	return complete(service, session, json_str(json_get(endpoint, "url"), ""), ret, err);
}

/* Of several regions one is to be taken: none is given, nor where the servers are. */
static bool is_open(const struct md_machine *m)
{
	return !*md_state_str(m, "Region") &&
	       !*json_str(json_path(m->state, "Endpoints", "compute", NULL), "");
}

void os_choose_region(struct md_machine *m, const struct os_session *session)
{
	const struct json *first = nth(m, session->catalog, OS_COMPUTE, 0);

	if (first && is_open(m))
		json_set_str(m->state, "Region", region_of(first));
}

void os_warn_regions(
	struct md_request *rq, const struct md_machine *m, const struct os_session *session)
{
	_cleanup_strv_ struct strv regions = STRV_INIT;
	_cleanup_free_ char *list = NULL;
	const struct json *e;

	if (!is_open(m))
		return;
	for (size_t n = 0; (e = nth(m, session->catalog, OS_COMPUTE, n)); n++)
		if (!strv_contains(&regions, region_of(e)))
			strv_add(&regions, region_of(e));
	if (regions.n < 2)
		return;
	list = strv_join(&regions, ", ");
	md_log(rq, LOG_LEVEL_WARN,
		"the cloud has the regions %s; %s is taken (--openstack-region chooses)", list,
		regions.items[0]);
}
