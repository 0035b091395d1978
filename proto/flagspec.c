#include "flagspec.h"

#include "mem.h"

#include <string.h>

static const char *const type_names[] = {"string", "int", "bool", "list"};

const char *flag_type_name(enum flag_type type)
{
	return type_names[type];
}

bool env_name_valid(const char *name)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";
	static const char all[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";

	return *name && strchr(letters, *name) && !name[strspn(name, all)] &&
	       strncmp(name, "LD_", 3) != 0;
}

static bool flag_name_valid(const char *name)
{
	static const char all[] = "abcdefghijklmnopqrstuvwxyz0123456789-";

	return *name >= 'a' && *name <= 'z' && !name[strspn(name, all)] &&
	       strlen(name) <= FLAGSPEC_NAME_MAX;
}

struct json *flagspec_default(const struct flagspec *s)
{
	struct json *list;

	switch (s->type) {
	case FLAG_STRING:
		return json_string(s->def_str ? s->def_str : "");
	case FLAG_INT:
		return json_int(s->def_int);
	case FLAG_BOOL:
		return json_bool(false);
	case FLAG_LIST:
		break;
	}
	list = json_array();
	for (size_t i = 0; s->def_list && s->def_list[i]; i++)
		json_add(list, json_string(s->def_list[i]));
	return list;
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

bool flagspec_accepts(const struct flagspec *s, const struct json *v)
{
	int64_t i;

	switch (s->type) {
	case FLAG_STRING:
		return json_is(v, JSON_STRING);
	case FLAG_INT:
		return json_to_int(v, &i);
	case FLAG_BOOL:
		return json_is(v, JSON_BOOL);
	case FLAG_LIST:
		break;
	}
	for (size_t k = 0; json_at(v, k); k++)
		if (!json_is(json_at(v, k), JSON_STRING))
			return false;
	return json_is(v, JSON_ARRAY);
}

static void set_default(struct flagspec *s, const struct json *def)
{
	switch (s->type) {
	case FLAG_STRING:
		s->def_str = xstrdup(def->text);
		break;
	case FLAG_INT:
		s->def_int = json_int_or(def, 0);
		break;
	case FLAG_BOOL:
		break;
	case FLAG_LIST: {
		char **list = xcalloc(def->n + 1, sizeof(char *));
		for (size_t i = 0; i < def->n; i++)
			list[i] = xstrdup(json_str(json_at(def, i), ""));
		s->def_list = (const char *const *)list;
	}
	}
}

static bool absent(const struct json *j)
{
	return !j || j->type == JSON_NULL;
}

static int parse_one(const struct json *j, struct flagspec *s, struct err *err)
{
	const char *name = json_str(json_get(j, "name"), "");
	const char *type = json_str(json_get(j, "type"), "");
	const struct json *env = json_get(j, "env"), *def = json_get(j, "default");
	const char *usage = json_str(json_get(j, "usage"), "");
	size_t t = 0;

	if (!flag_name_valid(name))
		return err_set(
			err, ERR_PROTOCOL, "flag name \"%.80s\" is not [a-z][a-z0-9-]* (G1)", name);
	while (t < ARRAY_SIZE(type_names) && !streq(type, type_names[t]))
		t++;
	if (t == ARRAY_SIZE(type_names))
		return err_set(
			err, ERR_PROTOCOL, "flag %s: unknown type \"%.40s\" (G1)", name, type);
	s->type = (enum flag_type)t;
	if (!absent(env) && (!json_is(env, JSON_STRING) || (env->n && !env_name_valid(env->text))))
		return err_set(err, ERR_PROTOCOL, "flag %s: bad variable name (G2)", name);
	if (!absent(def) && !flagspec_accepts(s, def))
		return err_set(err, ERR_PROTOCOL, "flag %s: the default is no %s (G3)", name, type);
	if (s->type == FLAG_BOOL && json_bool_or(def, false))
		return err_set(err, ERR_PROTOCOL, "flag %s: a bool's default is false (G3)", name);
	if (strchr(usage, '\n'))
		return err_set(
			err, ERR_PROTOCOL, "flag %s: usage is more than one line (G4)", name);
	s->name = xstrdup(name);
	s->usage = xstrdup(usage);
	s->env = absent(env) || !env->n ? NULL : xstrdup(env->text);
	if (!absent(def))
		set_default(s, def);
	s->secret = json_bool_or(json_get(j, "secret"), false);
	s->required = json_bool_or(json_get(j, "required"), false);
	return 0;
}

int flagspec_from_json(const struct json *array, struct flagspecs *ret, struct err *err)
{
	struct flagspecs out = {0};

	if (absent(array)) {
		*ret = out;
		return 0;
	}
	if (!json_is(array, JSON_ARRAY))
		return err_set(err, ERR_PROTOCOL, "flags is not a list (I5)");
	if (array->n > FLAGSPEC_MAX)
		return err_set(
			err, ERR_PROTOCOL, "%zu flags are more than %d", array->n, FLAGSPEC_MAX);
	out.items = xcalloc(array->n + 1, sizeof(*out.items));
	for (size_t i = 0; i < array->n; i++) {
		struct flagspec *s = &out.items[out.n];
		int rc = parse_one(json_at(array, i), s, err);
		if (rc == 0 && flagspec_find(out.items, out.n, s->name))
			rc = err_set(err, ERR_PROTOCOL, "flag %s is declared twice (G1)", s->name);
		out.n++;
		if (rc < 0) {
			flagspecs_finish(&out);
			return -1;
		}
	}
	*ret = out;
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
		for (size_t k = 0; f->def_list && f->def_list[k]; k++)
			free((char *)f->def_list[k]);
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
