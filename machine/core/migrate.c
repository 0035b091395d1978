/*
 * Version 0 is flat; version 1 has HostOptions and names the CA's key PrivateKeyPath; version 2
 * differs from 3 by the missing Driver.StorePath. All become: the defaults of today, overlaid with
 * what the old file says, with the store's own paths as they are now.
 */
#include "migrate.h"

#include "mem.h"
#include "record.h"

#include <string.h>
#include <sys/stat.h>

static const struct {
	const char *from, *section, *to;
} flat[] = {
	{"CaCertPath", "AuthOptions", "CaCertPath"},
	{"PrivateKeyPath", "AuthOptions", "CaPrivateKeyPath"},
	{"ServerCertPath", "AuthOptions", "ServerCertPath"},
	{"ServerKeyPath", "AuthOptions", "ServerKeyPath"},
	{"ClientCertPath", "AuthOptions", "ClientCertPath"},
	{"ClientKeyPath", "AuthOptions", "ClientKeyPath"},
	{"SwarmHost", "SwarmOptions", "Host"},
	{"SwarmMaster", "SwarmOptions", "Master"},
	{"SwarmDiscovery", "SwarmOptions", "Discovery"},
};

static void from_flat(const struct json *old, struct json *options)
{
	for (size_t i = 0; i < ARRAY_SIZE(flat); i++) {
		const struct json *v = json_get_fold(old, flat[i].from);
		if (v && v->type != JSON_NULL)
			json_set(json_get(options, flat[i].section), flat[i].to, json_copy(v));
	}
}

static void overlay(struct json *onto, const struct json *old)
{
	json_foreach (m, old) {
		const char *key = streq(m->key, "PrivateKeyPath") ? "CaPrivateKeyPath" : m->key;
		struct json *have = json_get(onto, key);
		if (json_is(have, JSON_OBJECT) && json_is(m->value, JSON_OBJECT))
			overlay(have, m->value);
		else if (m->value->type != JSON_NULL || !have)
			json_set(onto, key, json_copy(m->value));
	}
}

void migrate_config(const struct store *s, const char *name, struct json **doc, int version)
{
	const struct json *old = *doc, *driver = json_get_fold(old, "Driver");
	struct json *options = record_default_host_options(s, name), *auth;
	struct json *d = json_object();

	if (version == 0)
		from_flat(old, options);
	else
		overlay(options, json_get_fold(old, "HostOptions"));
	auth = json_get(options, "AuthOptions");
	_cleanup_free_ char *dir = store_machine_dir(s, name);
	json_set_str(auth, "CertDir", store_certs_dir(s));
	json_set_str(auth, "StorePath", dir);
	json_set(d, "ConfigVersion", json_int(CONFIG_VERSION));
	json_set(d, "Driver", driver ? json_copy(driver) : json_object());
	if (json_is(json_get(d, "Driver"), JSON_OBJECT))
		json_set_str(json_get(d, "Driver"), "StorePath", store_path(s));
	json_set_str(d, "DriverName", json_str(json_get_fold(old, "DriverName"), ""));
	json_set(d, "HostOptions", options);
	json_set_str(d, "Name", name);
	json_free(*doc);
	*doc = d;
}

static void replace_prefix(struct json *o, const char *from, const char *to)
{
	size_t n = strlen(from);

	for (size_t i = 0; json_is(o, JSON_OBJECT) && i < o->n; i++) {
		const char *v = json_str(o->members[i].value, NULL);
		if (!v || strncmp(v, from, n) != 0 || (v[n] != '\0' && v[n] != '/'))
			continue;
		_cleanup_free_ char *moved = xasprintf("%s%s", to, v + n);
		json_set_str(o, o->members[i].key, moved);
	}
}

void relocate_config(const struct store *s, struct json *doc)
{
	struct json *driver = json_get_fold(doc, "Driver");
	_cleanup_free_ char *root = xstrdup(json_str(json_get_fold(driver, "StorePath"), ""));
	struct stat st;

	if (root[0] != '/' || streq(root, store_path(s)) || lstat(root, &st) == 0)
		return;
	replace_prefix(driver, root, store_path(s));
	replace_prefix(json_path(doc, "HostOptions", "AuthOptions", NULL), root, store_path(s));
}
