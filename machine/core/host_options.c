#include "host_options.h"

#include "mem.h"

#include <string.h>
#include <strings.h>

struct field {
	const char *key;
	enum field_kind kind;
	const char *preset; /* a create's value if it is not the empty one; of lists: "" is [] */
};

static const struct field engine_fields[] = {
	{"ArbitraryFlags", FIELD_STRINGS, ""},
	{"Dns", FIELD_STRINGS},
	{"GraphDir", FIELD_STRING},
	{"Env", FIELD_STRINGS, ""},
	{"Ipv6", FIELD_BOOL},
	{"InsecureRegistry", FIELD_STRINGS, ""},
	{"Labels", FIELD_STRINGS, ""},
	{"LogLevel", FIELD_STRING},
	{"StorageDriver", FIELD_STRING},
	{"SelinuxEnabled", FIELD_BOOL},
	{"TlsVerify", FIELD_BOOL, "true"},
	{"RegistryMirror", FIELD_STRINGS, ""},
	{"InstallURL", FIELD_STRING, "https://get.docker.com"},
};

static const struct field swarm_fields[] = {
	{"IsSwarm", FIELD_BOOL},
	{"Address", FIELD_STRING},
	{"Discovery", FIELD_STRING},
	{"Agent", FIELD_BOOL},
	{"Master", FIELD_BOOL},
	{"Host", FIELD_STRING, "tcp://0.0.0.0:3376"},
	{"Image", FIELD_STRING, "swarm:latest"},
	{"Strategy", FIELD_STRING, "spread"},
	{"Heartbeat", FIELD_INT},
	{"Overcommit", FIELD_NUMBER},
	{"ArbitraryFlags", FIELD_STRINGS, ""},
	{"ArbitraryJoinFlags", FIELD_STRINGS, ""},
	{"Env", FIELD_STRINGS},
	{"IsExperimental", FIELD_BOOL},
};

static const struct field auth_fields[] = {
	{"CertDir", FIELD_STRING},
	{"CaCertPath", FIELD_STRING},
	{"CaPrivateKeyPath", FIELD_STRING},
	{"CaCertRemotePath", FIELD_STRING},
	{"ServerCertPath", FIELD_STRING},
	{"ServerKeyPath", FIELD_STRING},
	{"ClientKeyPath", FIELD_STRING},
	{"ServerCertRemotePath", FIELD_STRING},
	{"ServerKeyRemotePath", FIELD_STRING},
	{"ClientCertPath", FIELD_STRING},
	{"ServerCertSANs", FIELD_STRINGS, ""},
	{"StorePath", FIELD_STRING},
};

static const struct field top_fields[] = {
	{"Driver", FIELD_STRING},
	{"Memory", FIELD_INT},
	{"Disk", FIELD_INT},
};

static const struct group {
	const char *key;
	const struct field *fields;
	size_t n;
} groups[] = {
	{"EngineOptions", engine_fields, ARRAY_SIZE(engine_fields)},
	{"SwarmOptions", swarm_fields, ARRAY_SIZE(swarm_fields)},
	{"AuthOptions", auth_fields, ARRAY_SIZE(auth_fields)},
};

static struct json *empty_value(enum field_kind kind)
{
	switch (kind) {
	case FIELD_STRING:
		return json_string("");
	case FIELD_BOOL:
		return json_bool(false);
	case FIELD_INT:
	case FIELD_NUMBER:
		return json_int(0);
	default:
		return json_null();
	}
}

static struct json *preset_value(const struct field *f)
{
	if (!f->preset)
		return empty_value(f->kind);
	switch (f->kind) {
	case FIELD_STRINGS:
		return json_array();
	case FIELD_BOOL:
		return json_bool(true);
	default:
		return json_string(f->preset);
	}
}

static struct json *preset_group(const struct field *fields, size_t n)
{
	struct json *o = json_object();

	for (size_t i = 0; i < n; i++)
		json_set(o, fields[i].key, preset_value(&fields[i]));
	return o;
}

static void set_path(struct json *auth, const char *key, const char *dir, const char *file)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", dir, file);

	json_set_str(auth, key, path);
}

static void set_paths(struct json *auth, const struct store *s, const char *name)
{
	_cleanup_free_ char *dir = store_machine_dir(s, name);
	const char *certs = store_certs_dir(s);

	json_set_str(auth, "CertDir", certs);
	set_path(auth, "CaCertPath", certs, "ca.pem");
	set_path(auth, "CaPrivateKeyPath", certs, "ca-key.pem");
	set_path(auth, "ServerCertPath", dir, "server.pem");
	set_path(auth, "ServerKeyPath", dir, "server-key.pem");
	set_path(auth, "ClientKeyPath", certs, "key.pem");
	set_path(auth, "ClientCertPath", certs, "cert.pem");
	json_set_str(auth, "StorePath", dir);
}

struct json *host_options_default(const struct store *s, const char *name)
{
	struct json *o = preset_group(top_fields, ARRAY_SIZE(top_fields));

	for (size_t i = 0; i < ARRAY_SIZE(groups); i++)
		json_set(o, groups[i].key, preset_group(groups[i].fields, groups[i].n));
	set_paths(json_get(o, "AuthOptions"), s, name);
	return o;
}

struct json *host_options_auth_missing(
	const struct json *options, const struct store *s, const char *name)
{
	static const char *const keys[] = {"CertDir", "CaCertPath", "CaPrivateKeyPath",
		"ServerCertPath", "ServerKeyPath", "ClientKeyPath", "ClientCertPath", "StorePath"};
	const struct json *auth = json_get_fold(options, "AuthOptions");
	size_t n = 0;

	while (n < ARRAY_SIZE(keys) && *json_str(json_get_fold(auth, keys[n]), ""))
		n++;
	if (n == ARRAY_SIZE(keys))
		return NULL;
	struct json *paths = json_object();
	set_paths(paths, s, name);
	return paths;
}

static bool on_list(const char *const *list, const char *key)
{
	for (; list && *list; list++)
		if (strcasecmp(*list, key) == 0)
			return true;
	return false;
}

static void adopt_fields(
	struct json *onto, const struct json *old, const struct field *fields, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct json *v = json_get_fold(old, fields[i].key);
		json_set(onto, fields[i].key,
			v && v->type != JSON_NULL ? json_copy(v) : empty_value(fields[i].kind));
	}
}

static void adopt_rest(struct json *onto, const struct json *old, const char *const *drop)
{
	json_foreach (m, old)
		if (!json_get_fold(onto, m->key) && !on_list(drop, m->key))
			json_set(onto, m->key, json_copy(m->value));
}

static struct json *adopt(const struct json *old, const char *const *drop, bool keep_null)
{
	struct json *o = json_object();

	adopt_fields(o, old, top_fields, ARRAY_SIZE(top_fields));
	for (size_t i = 0; i < ARRAY_SIZE(groups); i++) {
		const struct json *from = json_get_fold(old, groups[i].key);
		bool none = !from || json_is(from, JSON_NULL);
		if (none ? keep_null : !json_is(from, JSON_OBJECT)) {
			json_set(o, groups[i].key, json_copy(from)); /* the check names it */
			continue;
		}
		struct json *group = json_object();
		adopt_fields(group, from, groups[i].fields, groups[i].n);
		adopt_rest(group, from, drop);
		json_set(o, groups[i].key, group);
	}
	adopt_rest(o, old, drop);
	return o;
}

struct json *host_options_adopt(const struct json *old, const char *const *drop)
{
	return adopt(old, drop, false);
}

static bool has_all(const struct json *o, const struct field *fields, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!json_get(o, fields[i].key))
			return false;
	return true;
}

static bool is_complete(const struct json *options)
{
	if (!has_all(options, top_fields, ARRAY_SIZE(top_fields)))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(groups); i++) {
		const struct json *group = json_get(options, groups[i].key);
		if (!group || (json_is(group, JSON_OBJECT) &&
				      !has_all(group, groups[i].fields, groups[i].n)))
			return false;
	}
	return true;
}

struct json *host_options_complete(const struct json *old)
{
	return !json_is(old, JSON_OBJECT) || is_complete(old) ? NULL : adopt(old, NULL, true);
}

bool field_accepts(enum field_kind kind, const struct json *value)
{
	static const enum json_type types[] = {
		[FIELD_STRING] = JSON_STRING,
		[FIELD_BOOL] = JSON_BOOL,
		[FIELD_INT] = JSON_NUMBER,
		[FIELD_NUMBER] = JSON_NUMBER,
		[FIELD_STRINGS] = JSON_ARRAY,
		[FIELD_OBJECT] = JSON_OBJECT,
	};
	int64_t i;

	if (!value || value->type == JSON_NULL)
		return true;
	if (value->type != types[kind])
		return false;
	if (kind == FIELD_INT)
		return json_to_int(value, &i);
	for (size_t k = 0; kind == FIELD_STRINGS && k < value->n; k++)
		if (!json_is(value->items[k], JSON_STRING) && !json_is(value->items[k], JSON_NULL))
			return false;
	return true;
}

const char *field_kind_name(enum field_kind kind)
{
	static const char *const names[] = {
		[FIELD_STRING] = "a string",
		[FIELD_BOOL] = "true or false",
		[FIELD_INT] = "an integer",
		[FIELD_NUMBER] = "a number",
		[FIELD_STRINGS] = "a list of strings",
		[FIELD_OBJECT] = "an object",
	};
	return names[kind];
}

static int check_fields(const struct json *o, const char *where, const struct field *fields,
	size_t n, struct err *err)
{
	for (size_t i = 0; i < n; i++)
		if (!field_accepts(fields[i].kind, json_get_fold(o, fields[i].key)))
			return err_set(err, ERR_USER, "HostOptions%s.%s: expected %s", where,
				fields[i].key, field_kind_name(fields[i].kind));
	return 0;
}

int host_options_check(const struct json *options, struct err *err)
{
	if (!field_accepts(FIELD_OBJECT, options))
		return err_set(err, ERR_USER, "HostOptions: expected an object");
	if (check_fields(options, "", top_fields, ARRAY_SIZE(top_fields), err) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(groups); i++) {
		const struct json *group = json_get_fold(options, groups[i].key);
		_cleanup_free_ char *where = xasprintf(".%s", groups[i].key);
		if (!field_accepts(FIELD_OBJECT, group))
			return err_set(err, ERR_USER, "HostOptions%s: expected an object", where);
		if (check_fields(group, where, groups[i].fields, groups[i].n, err) < 0)
			return -1;
	}
	return 0;
}
