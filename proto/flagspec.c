#include "flagspec.h"

#include "mem.h"
#include "strv.h"

#include <string.h>

static const char *const type_names[] = {
	[FLAG_STRING] = "string",
	[FLAG_INT] = "int",
	[FLAG_BOOL] = "bool",
	[FLAG_LIST] = "list",
};

const char *flag_type_name(enum flag_type type)
{
	return (unsigned)type < ARRAY_SIZE(type_names) ? type_names[type] : "unknown";
}

struct json *flagspec_default(const struct flagspec *spec)
{
	struct json *list;

	switch (spec->type) {
	case FLAG_STRING:
		return json_string(spec->def_str ? spec->def_str : "");
	case FLAG_INT:
		return json_int(spec->def_int);
	case FLAG_BOOL:
		return json_bool(false);
	case FLAG_LIST:
		break;
	}
	list = json_array();
	for (const char *const *s = spec->def_list; s && *s; s++)
		json_add(list, json_string(*s));
	return list;
}

bool flagspec_accepts(const struct flagspec *spec, const struct json *value)
{
	int64_t i;

	switch (spec->type) {
	case FLAG_STRING:
		return json_is(value, JSON_STRING);
	case FLAG_INT:
		return json_to_int(value, &i);
	case FLAG_BOOL:
		return json_is(value, JSON_BOOL);
	case FLAG_LIST:
		break;
	}
	if (!json_is(value, JSON_ARRAY))
		return false;
	for (size_t k = 0; k < value->n; k++)
		if (!json_is(value->items[k], JSON_STRING))
			return false;
	return true;
}

struct json *flagspec_to_json(const struct flagspec *specs, size_t n)
{
	struct json *array = json_array();

	for (size_t i = 0; i < n; i++) {
		const struct flagspec *s = &specs[i];
		struct json *j = json_object();

		json_set_str(j, "name", s->name);
		json_set_str(j, "type", flag_type_name(s->type));
		json_set_str(j, "env", s->env ? s->env : "");
		json_set(j, "default", flagspec_default(s));
		json_set_str(j, "usage", s->usage ? s->usage : "");
		json_set(j, "secret", json_bool(s->secret));
		json_set(j, "required", json_bool(s->required));
		json_add(array, j);
	}
	return array;
}

static bool name_valid(const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || len > FLAGSPEC_NAME_MAX || name[0] < 'a' || name[0] > 'z')
		return false;
	return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == len;
}

bool env_name_valid(const char *name)
{
	static const char allowed[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";

	if (*name == '\0' || (*name >= '0' && *name <= '9') || strncmp(name, "LD_", 3) == 0)
		return false;
	return name[strspn(name, allowed)] == '\0';
}

static bool one_line(const char *s)
{
	for (; *s; s++)
		if (((unsigned char)*s < 0x20 && *s != '\t') || *s == 0x7f)
			return false;
	return true;
}

static bool absent(const struct json *j)
{
	return !j || json_is(j, JSON_NULL);
}

/* A string member: absent gives "", another type NULL. */
static const char *text_member(const struct json *j, const char *key)
{
	const struct json *value = json_get(j, key);

	return absent(value) ? "" : json_str(value, NULL);
}

static bool read_bool(const struct json *j, const char *key, bool *ret)
{
	const struct json *value = json_get(j, key);

	*ret = json_bool_or(value, false);
	return absent(value) || json_is(value, JSON_BOOL);
}

static bool read_type(const struct json *j, enum flag_type *ret)
{
	const char *name = json_str(json_get(j, "type"), "");

	for (unsigned i = 0; i < ARRAY_SIZE(type_names); i++) {
		if (streq(name, type_names[i])) {
			*ret = (enum flag_type)i;
			return true;
		}
	}
	return false;
}

static const char *read_default(const struct json *value, struct flagspec *ret)
{
	int64_t i = 0;
	struct strv list = STRV_INIT;

	if (absent(value))
		return NULL;
	if (!flagspec_accepts(ret, value))
		return "the default has another type than the flag (G3)";
	switch (ret->type) {
	case FLAG_STRING:
		ret->def_str = xstrdup(json_str(value, ""));
		break;
	case FLAG_INT:
		json_to_int(value, &i);
		ret->def_int = i;
		break;
	case FLAG_BOOL:
		if (json_bool_or(value, false))
			return "the default of a bool is true (G3)";
		break;
	case FLAG_LIST:
		for (size_t k = 0; k < value->n; k++)
			strv_add(&list, json_str(value->items[k], ""));
		ret->def_list = (const char *const *)list.items;
		break;
	}
	return NULL;
}

/* Fills ret, whose strings are its own; returns what is wrong, or NULL. */
static const char *read_spec(const struct json *j, struct flagspec *ret)
{
	const char *env = text_member(j, "env");
	const char *usage = text_member(j, "usage");

	if (!read_type(j, &ret->type))
		return "the type is none of string, int, bool, list (G1)";
	if (!env || (*env && !env_name_valid(env)))
		return "\"env\" is not a variable's name that may be used (G2)";
	if (!usage || !one_line(usage))
		return "\"usage\" is not one line of text (G4)";
	if (!read_bool(j, "secret", &ret->secret) || !read_bool(j, "required", &ret->required))
		return "\"secret\" or \"required\" is not a bool (G4)";
	ret->env = *env ? xstrdup(env) : NULL;
	ret->usage = xstrdup(usage);
	return read_default(json_get(j, "default"), ret);
}

static int read_item(const struct json *j, struct flagspecs *to, size_t place, struct err *err)
{
	const char *name = json_str(json_get(j, "name"), NULL);
	struct flagspec *spec = &to->items[to->n];
	const char *problem;

	if (!name || !name_valid(name))
		return err_set(err, ERR_PROTOCOL,
			"flag %zu: the name is missing or not allowed (G1)", place + 1);
	if (flagspec_find(to->items, to->n, name))
		return err_set(err, ERR_PROTOCOL, "flag \"%s\": declared twice (G1)", name);
	spec->name = xstrdup(name);
	to->n++;
	problem = read_spec(j, spec);
	if (problem)
		return err_set(err, ERR_PROTOCOL, "flag \"%s\": %s", name, problem);
	return 0;
}

int flagspec_from_json(const struct json *array, struct flagspecs *ret, struct err *err)
{
	struct flagspecs specs = {0};

	if (absent(array)) {
		*ret = specs;
		return 0;
	}
	if (!json_is(array, JSON_ARRAY))
		return err_set(err, ERR_PROTOCOL, "flags: not an array (I5)");
	if (array->n > FLAGSPEC_MAX)
		return err_set(err, ERR_PROTOCOL, "flags: %u are declared; at most %d", array->n,
			FLAGSPEC_MAX);
	specs.items = xcalloc(array->n, sizeof(*specs.items));
	for (size_t i = 0; i < array->n; i++) {
		if (read_item(array->items[i], &specs, i, err) < 0) {
			flagspecs_finish(&specs);
			return -1;
		}
	}
	*ret = specs;
	return 0;
}

void flagspecs_finish(struct flagspecs *s)
{
	for (size_t i = 0; i < s->n; i++) {
		struct flagspec *f = &s->items[i];

		free((char *)f->name);
		free((char *)f->env);
		free((char *)f->usage);
		free((char *)f->def_str);
		for (const char *const *p = f->def_list; p && *p; p++)
			free((char *)*p);
		free((void *)f->def_list);
	}
	free(s->items);
	*s = (struct flagspecs){0};
}

const struct flagspec *flagspec_find(const struct flagspec *specs, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (streq(specs[i].name, name))
			return &specs[i];
	return NULL;
}
