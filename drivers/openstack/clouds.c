/* clouds.yaml: the entry of a cloud, with secure.yaml laid over it, and a profile of
 * clouds-public.yaml below. */
#include "openstack.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const suffixes[] = {"yaml", "yml", "json"};

/* Where files may be, in this order; ends of paths without suffix. */
static void places(struct strv *ret, const char *base)
{
	const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");

	strv_addf(ret, "./%s", base);
	if (config && *config)
		strv_addf(ret, "%s/openstack/%s", config, base);
	else if (home && *home)
		strv_addf(ret, "%s/.config/openstack/%s", home, base);
	strv_addf(ret, "/etc/openstack/%s", base);
}

/* The first that is there; NULL: none. Malloc'ed. */
static char *find_file(const char *base, struct strv *looked)
{
	_cleanup_strv_ struct strv ends = STRV_INIT;

	places(&ends, base);
	strv_foreach (end, &ends) {
		for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
			_cleanup_free_ char *path = xasprintf("%s.%s", end, suffixes[i]);

			if (access(path, F_OK) == 0)
				return take(path);
			if (i == 0)
				strv_add(looked, path);
		}
	}
	return NULL;
}

/* In the folder of a file. */
static char *find_beside(const char *file, const char *base)
{
	const char *slash = strrchr(file, '/');
	int n = slash ? (int)(slash - file + 1) : 0;

	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
		_cleanup_free_ char *path = xasprintf("%.*s%s.%s", n, file, base, suffixes[i]);

		if (access(path, F_OK) == 0)
			return take(path);
	}
	return NULL;
}

static int read_file(const char *path, struct json **ret, struct err *err)
{
	_cleanup_secret_ char *text = NULL;
	size_t len;

	if (md_read_file(path, MD_YAML_MAX, &text, &len, err) < 0 ||
		md_yaml_parse(text, len, ret, err) < 0) {
		err->code = ERR_USER;
		return err_wrap(err, "%s", path);
	}
	return 0;
}

/* `over` wins; mappings are merged. */
static void lay_over(struct json *base, const struct json *over)
{
	json_foreach (m, over) {
		struct json *there = json_get(base, m->key);

		if (json_is(there, JSON_OBJECT) && json_is(m->value, JSON_OBJECT))
			lay_over(there, m->value);
		else
			json_set(base, m->key, json_copy(m->value));
	}
}

/* Reads the entry KIND.NAME of a file beside; none is no error. */
static int read_entry(const char *clouds, const char *base, const char *kind, const char *name,
	struct json **ret, struct err *err)
{
	_cleanup_strv_ struct strv looked = STRV_INIT;
	_cleanup_free_ char *beside = find_beside(clouds, base);
	_cleanup_free_ char *path = beside ? take(beside) : find_file(base, &looked);
	_cleanup_json_ struct json *all = NULL;

	*ret = NULL;
	if (!path)
		return 0;
	if (read_file(path, &all, err) < 0)
		return -1;
	*ret = json_copy(json_get(json_get(all, kind), name));
	return 0;
}

static int complete(struct md_request *rq, const char *file, const char *name,
	const struct json *entry, struct json **ret, struct err *err)
{
	_cleanup_json_ struct json *all = json_object(), *public = NULL, *secure = NULL;
	const char *profile = md_yaml_text(json_get(entry, "profile"));

	if (!*profile)
		profile = md_yaml_text(json_get(entry, "cloud"));
	if (*profile &&
		read_entry(file, "clouds-public", "public-clouds", profile, &public, err) < 0)
		return -1;
	if (*profile && !public)
		md_log(rq, LOG_LEVEL_WARN, "%s: cloud %s: clouds-public.yaml has no profile \"%s\"",
			file, name, profile);
	lay_over(all, public);
	lay_over(all, entry);
	if (read_entry(file, "secure", "clouds", name, &secure, err) < 0)
		return -1;
	lay_over(all, secure);
	*ret = take(all);
	return 0;
}

int os_cloud_read(struct md_request *rq, const char *name, struct json **ret, struct err *err)
{
	_cleanup_strv_ struct strv looked = STRV_INIT;
	const char *set = getenv("OS_CLIENT_CONFIG_FILE");
	_cleanup_free_ char *file =
		set && *set && access(set, F_OK) == 0 ? xstrdup(set) : find_file("clouds", &looked);
	_cleanup_json_ struct json *all = NULL;
	const struct json *entry;

	if (!file) {
		_cleanup_free_ char *list = strv_join(&looked, ", ");

		return err_set(err, ERR_USER,
			"--openstack-cloud %s: there is no clouds.yaml (looked for %s%s%s; "
			"OS_CLIENT_CONFIG_FILE may name another)",
			name, set && *set ? set : "", set && *set ? ", " : "", list);
	}
	if (read_file(file, &all, err) < 0)
		return -1;
	entry = json_get(json_get(all, "clouds"), name);
	if (!json_is(entry, JSON_OBJECT))
		return err_set(
			err, ERR_USER, "--openstack-cloud %s: %s has no such cloud", name, file);
	return complete(rq, file, name, entry, ret, err);
}
