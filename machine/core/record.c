#include "record.h"

#include "fault.h"
#include "log.h"
#include "mem.h"
#include "migrate.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PROGRESS_FILE ".create.json"

void record_free(struct record *r)
{
	if (!r)
		return;
	free(r->name);
	json_free(r->doc);
	json_free(r->progress);
	free(r->saved);
	free(r);
}

static void set_strings(struct json *o, const char *const keys[], size_t n, const char *value)
{
	for (size_t i = 0; i < n; i++)
		json_set_str(o, keys[i], value);
}

static struct json *default_engine(void)
{
	struct json *o = json_object();

	json_set(o, "ArbitraryFlags", json_array());
	json_set(o, "Dns", json_null());
	json_set_str(o, "GraphDir", "");
	json_set(o, "Env", json_array());
	json_set(o, "Ipv6", json_bool(false));
	json_set(o, "InsecureRegistry", json_array());
	json_set(o, "Labels", json_array());
	json_set_str(o, "LogLevel", "");
	json_set_str(o, "StorageDriver", "");
	json_set(o, "SelinuxEnabled", json_bool(false));
	json_set(o, "TlsVerify", json_bool(true));
	json_set(o, "RegistryMirror", json_array());
	json_set_str(o, "InstallURL", "https://get.docker.com");
	return o;
}

static struct json *default_swarm(void)
{
	static const char *const empty[] = {"Address", "Discovery"};
	struct json *o = json_object();

	json_set(o, "IsSwarm", json_bool(false));
	set_strings(o, empty, ARRAY_SIZE(empty), "");
	json_set(o, "Agent", json_bool(false));
	json_set(o, "Master", json_bool(false));
	json_set_str(o, "Host", "tcp://0.0.0.0:3376");
	json_set_str(o, "Image", "swarm:latest");
	json_set_str(o, "Strategy", "spread");
	json_set(o, "Heartbeat", json_int(0));
	json_set(o, "Overcommit", json_int(0));
	json_set(o, "ArbitraryFlags", json_array());
	json_set(o, "ArbitraryJoinFlags", json_array());
	json_set(o, "Env", json_null());
	json_set(o, "IsExperimental", json_bool(false));
	return o;
}

static void set_path(struct json *o, const char *key, const char *dir, const char *file)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", dir, file);

	json_set_str(o, key, path);
}

static struct json *default_auth(const struct store *s, const char *name)
{
	_cleanup_free_ char *dir = store_machine_dir(s, name);
	const char *certs = store_certs_dir(s);
	struct json *o = json_object();

	json_set_str(o, "CertDir", certs);
	set_path(o, "CaCertPath", certs, "ca.pem");
	set_path(o, "CaPrivateKeyPath", certs, "ca-key.pem");
	json_set_str(o, "CaCertRemotePath", "");
	set_path(o, "ServerCertPath", dir, "server.pem");
	set_path(o, "ServerKeyPath", dir, "server-key.pem");
	set_path(o, "ClientKeyPath", certs, "key.pem");
	json_set_str(o, "ServerCertRemotePath", "");
	json_set_str(o, "ServerKeyRemotePath", "");
	set_path(o, "ClientCertPath", certs, "cert.pem");
	json_set(o, "ServerCertSANs", json_array());
	json_set_str(o, "StorePath", dir);
	return o;
}

struct json *record_default_host_options(const struct store *s, const char *name)
{
	struct json *o = json_object();

	json_set_str(o, "Driver", "");
	json_set(o, "Memory", json_int(0));
	json_set(o, "Disk", json_int(0));
	json_set(o, "EngineOptions", default_engine());
	json_set(o, "SwarmOptions", default_swarm());
	json_set(o, "AuthOptions", default_auth(s, name));
	return o;
}

struct record *record_new(const char *name, const char *driver_name, struct json *take_driver_state,
	struct json *take_host_options, const char *id)
{
	struct record *r = xcalloc(1, sizeof(*r));

	r->name = xstrdup(name);
	r->doc = json_object();
	json_set(r->doc, "ConfigVersion", json_int(CONFIG_VERSION));
	json_set(r->doc, "Driver", take_driver_state);
	json_set_str(r->doc, "DriverName", driver_name);
	json_set(r->doc, "HostOptions", take_host_options);
	json_set_str(r->doc, "Name", name);
	r->progress = json_object();
	json_set_str(r->progress, "id", id);
	json_set(r->progress, "done", json_array());
	return r;
}

struct wanted {
	const char *section, *key; /* section NULL: at the top */
	enum json_type type;
	bool may_be_null;
};

/* What the program itself relies on. Everything else may be what it likes. */
static const struct wanted wanted[] = {
	{NULL, "Driver", JSON_OBJECT, false},
	{NULL, "DriverName", JSON_STRING, false},
	{NULL, "HostOptions", JSON_OBJECT, true},
	{"EngineOptions", "Labels", JSON_ARRAY, true},
	{"EngineOptions", "Env", JSON_ARRAY, true},
	{"EngineOptions", "ArbitraryFlags", JSON_ARRAY, true},
	{"EngineOptions", "InsecureRegistry", JSON_ARRAY, true},
	{"EngineOptions", "RegistryMirror", JSON_ARRAY, true},
	{"EngineOptions", "InstallURL", JSON_STRING, true},
	{"EngineOptions", "StorageDriver", JSON_STRING, true},
	{"SwarmOptions", "Host", JSON_STRING, true},
	{"SwarmOptions", "Master", JSON_BOOL, true},
	{"SwarmOptions", "Discovery", JSON_STRING, true},
	{"AuthOptions", "CertDir", JSON_STRING, true},
	{"AuthOptions", "CaCertPath", JSON_STRING, true},
	{"AuthOptions", "CaPrivateKeyPath", JSON_STRING, true},
	{"AuthOptions", "ServerCertPath", JSON_STRING, true},
	{"AuthOptions", "ServerKeyPath", JSON_STRING, true},
	{"AuthOptions", "ClientCertPath", JSON_STRING, true},
	{"AuthOptions", "ClientKeyPath", JSON_STRING, true},
	{"AuthOptions", "ServerCertSANs", JSON_ARRAY, true},
};

static int check_types(const struct json *doc, const char *path, struct err *err)
{
	static const char *const names[] = {
		"null", "a bool", "a number", "a string", "a list", "an object"};

	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
		const struct wanted *w = &wanted[i];
		const struct json *v =
			w->section ? json_path(doc, "HostOptions", w->section, w->key, NULL)
				   : json_get_fold(doc, w->key);
		if ((!v || v->type == JSON_NULL) && w->may_be_null)
			continue;
		if (!json_is(v, w->type))
			return err_set(err, ERR_USER,
				"Error getting migrated host: %s: %s%s%s%s: expected %s", path,
				w->section ? "HostOptions." : "", w->section ? w->section : "",
				w->section ? "." : "", w->key, names[w->type]);
	}
	return 0;
}

static int parse_config(struct store *s, const char *name, const char *path, const char *text,
	size_t len, struct json **ret, struct err *err)
{
	_cleanup_json_ struct json *doc = NULL;

	if (json_parse(text, len, &doc, err) < 0)
		return err_wrap(err, "Error getting migrated host: %s", path);
	if (!json_is(doc, JSON_OBJECT))
		return err_set(
			err, ERR_USER, "Error getting migrated host: %s: not an object", path);
	int64_t version = json_int_or(json_get_fold(doc, "ConfigVersion"), 0);
	if (version > CONFIG_VERSION)
		return err_set(err, ERR_USER,
			"Error getting migrated host: %s: config version is from the future -- you "
			"should "
			"upgrade your Docker Machine client",
			path);
	if (version < CONFIG_VERSION)
		migrate_config(s, name, &doc, (int)version);
	json_unset(doc, "RawDriver");
	if (check_types(doc, path, err) < 0)
		return -1;
	json_set_str(doc, "Name", name);
	relocate_config(s, doc);
	*ret = take(doc);
	return 0;
}

static int load_progress(struct store *s, struct record *r, struct err *err)
{
	_cleanup_free_ char *path = store_machine_file(s, r->name, PROGRESS_FILE);
	_cleanup_free_ char *text = NULL;
	size_t len;

	if (access(path, F_OK) != 0)
		return 0;
	if (store_read_file(path, STORE_MAX_CONFIG, &text, &len, err) < 0)
		return -1;
	if (json_parse(text, len, &r->progress, err) < 0 || !json_is(r->progress, JSON_OBJECT))
		return err_wrap(err, "%s", path);
	return 0;
}

int record_load(struct store *s, const char *name, struct record **ret, struct err *err)
{
	_cleanup_free_ char *path = NULL, *text = NULL;
	_cleanup_record_ struct record *r = NULL;
	size_t len;

	if (!store_exists(s, name))
		return store_not_found(name, err);
	path = store_machine_file(s, name, "config.json");
	if (store_read_file(path, STORE_MAX_CONFIG, &text, &len, err) < 0) {
		if (err->errnum == ENOENT) /* the machine is there: this is no "does not exist" */
			err_set(err, ERR_IO, "open %s: no such file or directory", path);
		return -1;
	}
	r = xcalloc(1, sizeof(*r));
	r->name = xstrdup(name);
	if (parse_config(s, name, path, text, len, &r->doc, err) < 0 ||
		load_progress(s, r, err) < 0)
		return -1;
	r->saved = take(text);
	*ret = take(r);
	return 0;
}

static char *config_text(const struct record *r)
{
	return json_to_string(r->doc, JSON_STORE);
}

int record_claim(struct store *s, struct record *r, struct err *err)
{
	_cleanup_free_ char *config = config_text(r);
	_cleanup_free_ char *progress = json_to_string(r->progress, JSON_STORE);
	const struct store_file files[] = {
		{"config.json", config, strlen(config)},
		{PROGRESS_FILE, progress, strlen(progress)},
	};

	if (store_claim(s, r->name, files, ARRAY_SIZE(files), err) < 0)
		return -1;
	r->saved = take(config);
	return 0;
}

/* The bytes of an older version stay beside the new ones. */
static int keep_old(struct store *s, const struct record *r, struct err *err)
{
	_cleanup_free_ char *path = store_machine_file(s, r->name, "config.json.bak");
	_cleanup_json_ struct json *old = NULL;
	_cleanup_err_ struct err ignored = ERR_INIT;

	if (!r->saved || json_parse(r->saved, strlen(r->saved), &old, &ignored) < 0 ||
		json_int_or(json_get_fold(old, "ConfigVersion"), 0) >= CONFIG_VERSION)
		return 0;
	if (store_write_file(path, r->saved, strlen(r->saved), 0600, err) < 0)
		return err_wrap(err, "Error attempting to save backup after migration");
	return 0;
}

static int save_progress(struct store *s, struct record *r, struct err *err)
{
	_cleanup_free_ char *path = store_machine_file(s, r->name, PROGRESS_FILE), *text = NULL;

	if (!r->progress) {
		if (unlink(path) < 0 && errno != ENOENT)
			return err_errno(err, errno, "delete %s", path);
		return 0;
	}
	text = json_to_string(r->progress, JSON_STORE);
	return store_write_file(path, text, strlen(text), 0600, err);
}

int record_save(struct store *s, struct record *r, struct err *err)
{
	_cleanup_free_ char *path = store_machine_file(s, r->name, "config.json");
	_cleanup_free_ char *text = config_text(r);

	if (!r->saved || !streq(text, r->saved)) {
		if (keep_old(s, r, err) < 0 ||
			store_write_file(path, text, strlen(text), 0600, err) < 0)
			return -1;
		free(r->saved);
		r->saved = take(text);
	}
	fault_point("store.save.config");
	return save_progress(s, r, err);
}

const char *record_driver_name(const struct record *r)
{
	return json_str(json_get_fold(r->doc, "DriverName"), "");
}

struct json *record_driver_state(const struct record *r)
{
	return json_get_fold(r->doc, "Driver");
}

void record_set_driver_state(struct record *r, struct json *take_state)
{
	json_set(r->doc, "Driver", take_state);
}

const char *record_id(const struct record *r)
{
	return json_str(json_get(r->progress, "id"), "");
}

static struct json *option(const struct record *r, const char *section, const char *key)
{
	return json_path(r->doc, "HostOptions", section, key, NULL);
}

const char *record_auth(const struct record *r, const char *key)
{
	return json_str(option(r, "AuthOptions", key), "");
}

struct json *record_engine(const struct record *r, const char *key)
{
	return option(r, "EngineOptions", key);
}

struct json *record_swarm(const struct record *r, const char *key)
{
	return option(r, "SwarmOptions", key);
}

bool record_step_done(const struct record *r, const char *step)
{
	const struct json *done = json_get(r->progress, "done");

	for (size_t i = 0; json_at(done, i); i++)
		if (streq(json_str(json_at(done, i), ""), step))
			return true;
	return false;
}

void record_step_mark(struct record *r, const char *step)
{
	if (!r->progress || record_step_done(r, step))
		return;
	if (!json_is(json_get(r->progress, "done"), JSON_ARRAY))
		json_set(r->progress, "done", json_array());
	json_add(json_get(r->progress, "done"), json_string(step));
}

void record_complete(struct record *r)
{
	json_free(take(r->progress));
}

bool record_is_complete(const struct record *r)
{
	return !r->progress;
}

struct machine_ref record_ref(const struct store *s, const struct record *r, char **ret_dir)
{
	*ret_dir = store_machine_dir(s, r->name);
	return (struct machine_ref){
		.name = r->name,
		.id = record_id(r),
		.dir = *ret_dir,
		.store_path = store_path(s),
		.state = record_driver_state(r),
	};
}
