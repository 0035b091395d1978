/*
 * Version 0 is flat; version 1 has HostOptions, and names the CA's key PrivateKeyPath; version 2
 * differs from 3 by the missing Driver.StorePath. The result lists every member in version 3's
 * order. What refers to the store itself is taken from where the file was found, not from the file.
 */
#include "migrate.h"

#include "host_options.h"
#include "mem.h"
#include "record.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

/* Version 0's members and where they went. */
static const struct {
	const char *from, *group, *to;
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

static const char *const top_keys[] = {"ConfigVersion", "Driver", "DriverName", "HostOptions",
	"Name", "StorePath", "RawDriver", NULL};
static const char *const old_options[] = {"PrivateKeyPath", "TlsCaCert", "TlsCert", "TlsKey", NULL};

static struct json *options_v0(const struct json *old)
{
	_cleanup_json_ struct json *nested = json_object();

	json_set(nested, "EngineOptions", json_object());
	json_set(nested, "SwarmOptions", json_object());
	json_set(nested, "AuthOptions", json_object());
	json_set(json_get(nested, "EngineOptions"), "TlsVerify", json_bool(true));
	json_set_str(json_get(nested, "EngineOptions"), "InstallURL", "https://get.docker.com");
	for (size_t i = 0; i < ARRAY_SIZE(flat); i++) {
		const struct json *v = json_get_fold(old, flat[i].from);
		if (v)
			json_set(json_get(nested, flat[i].group), flat[i].to, json_copy(v));
	}
	return host_options_adopt(nested, NULL);
}

static struct json *options_v1(const struct json *old)
{
	const struct json *from = json_get_fold(old, "HostOptions");
	const struct json *key = json_path(from, "AuthOptions", "PrivateKeyPath", NULL);
	struct json *options = host_options_adopt(from, old_options);
	struct json *auth = json_get(options, "AuthOptions");

	if (key && json_is(auth, JSON_OBJECT) && !*json_str(json_get(auth, "CaPrivateKeyPath"), ""))
		json_set(auth, "CaPrivateKeyPath", json_copy(key));
	return options;
}

static struct json *migrate_options(
	const struct json *old, int64_t version, const struct store *s, const char *name)
{
	const struct json *from = json_get_fold(old, "HostOptions");

	if (version > 0 && !field_accepts(FIELD_OBJECT, from))
		return json_copy(from); /* the check of types names it */
	struct json *options = version == 0 ? options_v0(old) : options_v1(old);
	struct json *auth = json_get(options, "AuthOptions");
	if (!json_is(auth, JSON_OBJECT))
		return options;
	_cleanup_free_ char *dir = store_machine_dir(s, name);
	json_set_str(auth, "StorePath", dir);
	if (version < 2 || !*json_str(json_get(auth, "CertDir"), "x"))
		json_set_str(auth, "CertDir", store_certs_dir(s));
	return options;
}

static bool is_old_member(const char *key, int64_t version)
{
	for (const char *const *k = top_keys; *k; k++)
		if (strcasecmp(*k, key) == 0)
			return true;
	for (size_t i = 0; version == 0 && i < ARRAY_SIZE(flat); i++)
		if (strcasecmp(flat[i].from, key) == 0)
			return true;
	return false;
}

struct json *migrate_config(
	const struct json *old, int64_t version, const struct store *s, const char *name)
{
	const struct json *driver = json_get_fold(old, "Driver");
	const struct json *driver_name = json_get_fold(old, "DriverName");
	struct json *d = json_object();

	json_set(d, "ConfigVersion", json_int(CONFIG_VERSION));
	json_set(d, "Driver", json_is(driver, JSON_OBJECT) ? json_copy(driver) : json_object());
	json_set_str(json_get(d, "Driver"), "StorePath", store_path(s));
	json_set(d, "DriverName", driver_name ? json_copy(driver_name) : json_string(""));
	json_set(d, "HostOptions", migrate_options(old, version, s, name));
	json_set_str(d, "Name", name);
	json_foreach (m, old)
		if (!is_old_member(m->key, version))
			json_set(d, m->key, json_copy(m->value));
	return d;
}

/* path without suffix; NULL if it does not end so. */
static char *without(const char *path, const char *suffix)
{
	size_t len = strlen(path), tail = strlen(suffix);

	if (len <= tail || !streq(path + len - tail, suffix))
		return NULL;
	return xstrndup(path, len - tail);
}

char *recorded_store(const struct json *doc, const char *name)
{
	_cleanup_free_ char *machine = xasprintf("/machines/%s", name);
	const struct json *const told[] = {
		json_path(doc, "Driver", "StorePath", NULL),
		json_path(doc, "HostOptions", "AuthOptions", "StorePath", NULL),
		json_get_fold(doc, "StorePath"),
	};

	/* the store or the machine's folder, depending on the version */
	for (size_t i = 0; i < ARRAY_SIZE(told); i++) {
		/* as its user spelled it; the paths below it are tidy */
		_cleanup_free_ char *path = store_tidy_path(json_str(told[i], ""));
		if (!streq(path, ".")) {
			char *root = without(path, machine);
			return root ? root : take(path);
		}
	}
	return without(json_str(json_path(doc, "HostOptions", "AuthOptions", "CertDir", NULL), ""),
		"/certs");
}

static void replace_root(struct json *o, const char *key, const char *from, const char *to)
{
	_cleanup_free_ char *path = store_tidy_path(json_str(json_get(o, key), ""));
	size_t len = strlen(from);

	if (strncmp(path, from, len) != 0 || (path[len] != '/' && path[len] != '\0'))
		return;
	_cleanup_free_ char *moved = xasprintf("%s%s", to, path + len);
	json_set_str(o, key, moved);
}

static void replace_value(struct json *o, const char *key, const char *from, const char *to)
{
	if (streq(json_str(json_get(o, key), ""), from))
		json_set_str(o, key, to);
}

static bool is_gone(const char *path)
{
	struct stat st;

	return stat(path, &st) < 0 && (errno == ENOENT || errno == ENOTDIR);
}

static void move_paths(
	struct json *driver, struct json *auth, const char *from, const struct store *s)
{
	static const char *const driver_keys[] = {"StorePath", "SSHKeyPath"};

	for (size_t i = 0; i < ARRAY_SIZE(driver_keys); i++)
		replace_root(driver, driver_keys[i], from, store_path(s));
	json_foreach (m, auth)
		if (json_is(m->value, JSON_STRING))
			replace_root(auth, m->key, from, store_path(s));
}

void relocate_config(
	struct json *doc, const char *recorded, const struct store *s, const char *name)
{
	_cleanup_free_ char *dir = store_machine_dir(s, name);
	struct json *driver = json_path(doc, "Driver", NULL);
	struct json *auth = json_path(doc, "HostOptions", "AuthOptions", NULL);

	replace_value(driver, "StorePath", ".", store_path(s));
	replace_value(auth, "StorePath", ".", dir);
	replace_value(auth, "CertDir", "certs", store_certs_dir(s));
	if (recorded && !streq(recorded, store_path(s)) && is_gone(recorded) &&
		!is_gone(store_path(s)))
		move_paths(driver, auth, recorded, s);
	/* of a version 1: the store in the place of the machine's folder */
	replace_value(auth, "StorePath", store_path(s), dir);
}
