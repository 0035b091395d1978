#include "record.h"

#include "fault.h"
#include "host_options.h"
#include "mem.h"
#include "store_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BACKUPS_MAX 10u

void record_only_read(struct record *r)
{
	secret_free(r->saved);
	r->saved = NULL;
}

void record_free(struct record *r)
{
	if (!r)
		return;
	free(r->name);
	json_free(r->doc);
	json_free(r->auth);
	json_free(r->progress);
	/* a driver's state may hold the keys to an account */
	secret_free(r->saved);
	free(r->progress_saved);
	free(r);
}

struct json *record_default_host_options(const struct store *s, const char *name)
{
	return host_options_default(s, name);
}

struct record *record_new(const char *name, const char *driver_name, struct json *take_driver_state,
	struct json *take_host_options, const char *id)
{
	struct record *r = xcalloc(1, sizeof(*r));

	r->name = xstrdup(name);
	r->doc = json_object();
	json_set(r->doc, "ConfigVersion", json_int(CONFIG_VERSION));
	json_set(r->doc, "Driver", take_driver_state ? take_driver_state : json_object());
	json_set_str(r->doc, "DriverName", driver_name);
	json_set(r->doc, "HostOptions", take_host_options ? take_host_options : json_null());
	json_set_str(r->doc, "Name", name);
	r->progress = json_object();
	json_set_str(r->progress, "id", id);
	json_set(r->progress, "done", json_array());
	return r;
}

static int config_text(const struct record *r, char **ret, struct err *err)
{
	char *text = json_to_string(r->doc, JSON_STORE);

	if (strlen(text) > STORE_MAX_CONFIG) {
		secret_free(text);
		return err_set(err, ERR_USER,
			"the record of machine \"%s\" is larger than %u bytes", r->name,
			STORE_MAX_CONFIG);
	}
	*ret = text;
	return 0;
}

static void config_written(struct record *r, char *take_text)
{
	secret_free(r->saved);
	r->saved = take_text;
	r->migrated = false;
}

int record_claim(struct store *s, struct record *r, struct err *err)
{
	_cleanup_secret_ char *config = NULL;
	_cleanup_free_ char *progress = json_to_string(r->progress, JSON_STORE);

	if (config_text(r, &config, err) < 0)
		return -1;
	const struct store_file files[] = {
		{"config.json", config, strlen(config)},
		{PROGRESS_FILE, progress, strlen(progress)},
	};
	if (store_claim(s, r->name, files, r->progress ? 2 : 1, err) < 0)
		return -1;
	config_written(r, take(config));
	r->progress_saved = r->progress ? take(progress) : NULL;
	return 0;
}

/* 1: the file holds these bytes; 0: it holds others; -1: there is none. */
static int compare_file(const char *path, const char *text)
{
	_cleanup_secret_ char *have = NULL;
	_cleanup_err_ struct err e = ERR_INIT;
	size_t len;

	if (store_read_file(path, STORE_MAX_CONFIG, &have, &len, &e) < 0)
		return e.errnum == ENOENT ? -1 : 0;
	return len == strlen(text) && memcmp(have, text, len) == 0;
}

/* The bytes of the older version stay beside the new ones. An earlier backup is not overwritten. */
static int keep_old(struct store *s, const struct record *r, struct err *err)
{
	_cleanup_free_ char *path = store_machine_file(s, r->name, "config.json.bak");
	int same = compare_file(path, r->saved);

	for (unsigned i = 1; same == 0 && i < BACKUPS_MAX; i++) {
		free(path);
		_cleanup_free_ char *base = store_machine_file(s, r->name, "config.json.bak");
		path = xasprintf("%s.%u", base, i);
		same = compare_file(path, r->saved);
	}
	if (same > 0)
		return 0;
	if (store_write_file(path, r->saved, strlen(r->saved), STORE_FILE_MODE, err) < 0)
		return err_wrap(err, "Error attempting to save backup after migration");
	fault_point("store.save.backup");
	return 0;
}

static int save_config(struct store *s, struct record *r, struct err *err)
{
	_cleanup_free_ char *path = store_machine_file(s, r->name, "config.json");
	_cleanup_secret_ char *text = NULL, *unchanged = NULL;
	bool migrated = r->migrated && r->saved;

	if (config_text(r, &text, err) < 0)
		return -1;
	if (r->saved && !migrated)
		unchanged = record_unchanged(r);
	if (unchanged && streq(text, unchanged))
		return 0;
	if (migrated && keep_old(s, r, err) < 0)
		return -1;
	if (store_write_file(path, text, strlen(text), STORE_FILE_MODE, err) < 0)
		return migrated ? err_wrap(err, "Error saving config after migration was performed")
				: -1;
	config_written(r, take(text));
	fault_point("store.save.config");
	return 0;
}

static int drop_progress(struct store *s, const char *name, const char *path, struct err *err)
{
	_cleanup_free_ char *dir = store_machine_dir(s, name);

	if (unlink(path) < 0 && errno != ENOENT)
		return err_errno(err, errno, "remove %s", path);
	fault_point("store.save.completed");
	return store_sync_dir(dir, err);
}

static int save_progress(struct store *s, struct record *r, struct err *err)
{
	_cleanup_free_ char *path = store_machine_file(s, r->name, PROGRESS_FILE);
	_cleanup_free_ char *text = r->progress ? json_to_string(r->progress, JSON_STORE) : NULL;

	if (!text) {
		if (r->progress_saved && drop_progress(s, r->name, path, err) < 0)
			return -1;
	} else if (!r->progress_saved || !streq(text, r->progress_saved)) {
		if (store_write_file(path, text, strlen(text), STORE_FILE_MODE, err) < 0)
			return -1;
		fault_point("store.save.progress");
	}
	free(r->progress_saved);
	r->progress_saved = take(text);
	return 0;
}

/* The state first, then the step that made it: a kill in between repeats the step, which a driver
 * allows, but never loses what the step has made. */
int record_save(struct store *s, struct record *r, struct err *err)
{
	if (!machine_name_possible(r->name))
		return store_not_found(r->name, err);
	_cleanup_free_ char *dir = store_machine_dir(s, r->name);
	store_sweep_files(dir);
	if (save_config(s, r, err) < 0)
		return -1;
	return save_progress(s, r, err);
}

const char *record_driver_name(const struct record *r)
{
	return json_str(json_get(r->doc, "DriverName"), "");
}

struct json *record_driver_state(const struct record *r)
{
	return json_get(r->doc, "Driver");
}

void record_set_driver_state(struct record *r, struct json *take_state)
{
	json_set(r->doc, "Driver", take_state);
}

const char *record_id(const struct record *r)
{
	return json_str(json_get(r->progress, "id"), "");
}

static struct json *option(const struct record *r, const char *group, const char *key)
{
	return json_path(r->doc, "HostOptions", group, key, NULL);
}

const char *record_auth(const struct record *r, const char *key)
{
	const char *said = json_str(option(r, "AuthOptions", key), "");

	return *said ? said : json_str(json_get(r->auth, key), "");
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

void record_want_context(struct record *r)
{
	if (r->progress)
		json_set(r->progress, "context", json_bool(true));
}

bool record_wants_context(const struct record *r)
{
	return json_bool_or(json_get(r->progress, "context"), false);
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
