/* From config.json's bytes to a record. */
#include "record.h"

#include "host_options.h"
#include "log.h"
#include "mem.h"
#include "migrate.h"

#include <errno.h>
#include <string.h>

static int check_version(const struct json *doc, int64_t *ret, struct err *err)
{
	const struct json *version = json_get_fold(doc, "ConfigVersion");

	*ret = 0;
	if (version && version->type != JSON_NULL && !json_to_int(version, ret))
		return err_set(err, ERR_USER, "ConfigVersion: expected an integer");
	if (*ret < 0)
		return err_set(err, ERR_USER, "ConfigVersion: expected 0 or more");
	if (*ret > CONFIG_VERSION)
		return err_set(err, ERR_USER,
			"config version is from the future -- you should upgrade your Docker "
			"Machine client");
	return 0;
}

/* What the program itself relies on; the members of Driver are the driver's business. */
static int check_types(const struct json *doc, struct err *err)
{
	static const struct {
		const char *key;
		enum field_kind kind;
	} top[] = {
		{"Driver", FIELD_OBJECT},
		{"DriverName", FIELD_STRING},
		{"Name", FIELD_STRING},
	};

	for (size_t i = 0; i < ARRAY_SIZE(top); i++)
		if (!field_accepts(top[i].kind, json_get_fold(doc, top[i].key)))
			return err_set(err, ERR_USER, "%s: expected %s", top[i].key,
				field_kind_name(top[i].kind));
	return 0;
}

static int parse_doc(
	const char *text, size_t len, struct json **ret, int64_t *ret_version, struct err *err)
{
	_cleanup_json_ struct json *doc = NULL;

	if (json_parse(text, len, &doc, err) < 0)
		return -1;
	if (!json_is(doc, JSON_OBJECT))
		return err_set(err, ERR_USER, "expected an object");
	if (check_version(doc, ret_version, err) < 0 || check_types(doc, err) < 0)
		return -1;
	*ret = take(doc);
	return 0;
}

/* Every member is written, in this order and spelling: one that is missing, or that another program
 * spelled differently, has the document put together anew. What nobody knows follows. */
static struct json *in_form(struct json *take_doc)
{
	static const char *const keys[] = {
		"ConfigVersion", "Driver", "DriverName", "HostOptions", "Name"};
	size_t n = 0;

	while (n < ARRAY_SIZE(keys) && json_get(take_doc, keys[n]))
		n++;
	if (n == ARRAY_SIZE(keys))
		return take_doc;
	struct json *doc = json_object();
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		json_set(doc, keys[i], json_copy(json_get_fold(take_doc, keys[i])));
	json_foreach (m, take_doc)
		if (!json_get_fold(doc, m->key))
			json_set(doc, m->key, json_copy(m->value));
	json_free(take_doc);
	return doc;
}

/* As record_save would write a document that nobody changes. */
static struct json *tidy(struct json *take_doc, const char *name)
{
	struct json *doc = in_form(take_doc);
	struct json *options = host_options_complete(json_get(doc, "HostOptions"));

	json_set_str(doc, "Name", name); /* the folder's name is right */
	if (!json_is(json_get(doc, "Driver"), JSON_OBJECT))
		json_set(doc, "Driver", json_object());
	if (!json_is(json_get(doc, "DriverName"), JSON_STRING))
		json_set_str(doc, "DriverName", "");
	if (options)
		json_set(doc, "HostOptions", options);
	json_unset(doc, "RawDriver");
	return doc;
}

char *record_unchanged(const struct record *r)
{
	_cleanup_json_ struct json *doc = NULL;
	_cleanup_err_ struct err err = ERR_INIT;
	int64_t version;

	if (parse_doc(r->saved, strlen(r->saved), &doc, &version, &err) < 0)
		return NULL;
	doc = tidy(doc, r->name);
	return json_to_string(doc, JSON_STORE);
}

int record_parse(struct store *s, const char *name, const char *text, size_t len,
	struct record **ret, struct err *err)
{
	_cleanup_free_ char *path = store_machine_file(s, name, "config.json");
	_cleanup_json_ struct json *doc = NULL;
	int64_t version = 0;

	int rc = parse_doc(text, len, &doc, &version, err);
	_cleanup_free_ char *recorded = rc == 0 ? recorded_store(doc, name) : NULL;
	if (rc == 0 && version < CONFIG_VERSION) {
		struct json *migrated = migrate_config(doc, version, s, name);
		json_free(doc);
		doc = migrated;
	}
	if (rc < 0 || host_options_check(json_get_fold(doc, "HostOptions"), err) < 0)
		return err_wrap(err, "Error getting migrated host: %s", path);

	struct record *r = xcalloc(1, sizeof(*r));
	r->name = xstrdup(name);
	r->saved = xstrndup(text, len);
	r->migrated = version < CONFIG_VERSION;
	doc = tidy(doc, name);
	relocate_config(doc, recorded, s, name);
	r->doc = take(doc);
	r->auth = host_options_auth_missing(json_get(r->doc, "HostOptions"), s, name);
	*ret = r;
	return 0;
}

/* A machine whose progress cannot be understood is one of which no step is known to be done: that
 * is all `create --resume` needs to know, and it keeps nobody from removing it. */
static int load_progress(struct store *s, struct record *r, struct err *err)
{
	_cleanup_free_ char *path = store_machine_file(s, r->name, PROGRESS_FILE);
	_cleanup_free_ char *text = NULL;
	_cleanup_err_ struct err e = ERR_INIT;
	size_t len;

	if (store_read_file(path, PROGRESS_MAX, &text, &len, &e) < 0) {
		if (e.errnum == ENOENT)
			return 0;
		if (e.errnum)
			return err_move(err, &e);
	} else if (json_parse(text, len, &r->progress, &e) == 0) {
		r->progress_saved = take(text);
		if (json_is(r->progress, JSON_OBJECT))
			return 0;
	}
	log_warn("%s is not readable; no step of the create counts as done", path);
	json_free(r->progress);
	r->progress = json_object();
	return 0;
}

int record_load(struct store *s, const char *name, struct record **ret, struct err *err)
{
	_cleanup_record_ struct record *r = NULL;
	_cleanup_secret_ char *text = NULL;
	_cleanup_err_ struct err e = ERR_INIT;
	size_t len;

	if (store_check(s, name, err) < 0)
		return -1;
	_cleanup_free_ char *path = store_machine_file(s, name, "config.json");
	if (store_read_file(path, STORE_MAX_CONFIG, &text, &len, &e) < 0) {
		if (e.code != ERR_NOT_FOUND)
			return err_move(err, &e);
		if (!store_exists(s, name)) /* removed meanwhile */
			return store_not_found(name, err);
		e.code = ERR_IO; /* the machine is there; its record is not */
		return err_move(err, &e);
	}
	if (record_parse(s, name, text, len, &r, err) < 0 || load_progress(s, r, err) < 0)
		return -1;
	*ret = take(r);
	return 0;
}
