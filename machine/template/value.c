#include "format.h"

#include "mem.h"

#include <string.h>

const struct tmpl_type tmpl_bool = {.name = "bool", .kind = TMPL_BOOL},
		       tmpl_int = {.name = "int", .kind = TMPL_INT},
		       tmpl_uint8 = {.name = "uint8", .kind = TMPL_UINT},
		       tmpl_float = {.name = "float64", .kind = TMPL_FLOAT},
		       tmpl_string = {.name = "string", .kind = TMPL_STRING},
		       tmpl_list = {.name = "[]interface {}", .kind = TMPL_LIST},
		       tmpl_strings = {.name = "[]string", .kind = TMPL_LIST, .elem = &tmpl_string},
		       tmpl_map = {.name = "map[string]interface {}", .kind = TMPL_MAP},
		       tmpl_string_map = {.name = "map[string]string",
			       .kind = TMPL_MAP,
			       .elem = &tmpl_string},
		       tmpl_nil = {.name = "interface {}", .kind = TMPL_NIL};

struct tmpl_value value_string(const char *s, size_t n)
{
	return (struct tmpl_value){.type = &tmpl_string, .s = s, .n = n};
}

struct tmpl_value tmpl_str(const char *s)
{
	return value_string(s ? s : "", s ? strlen(s) : 0);
}

struct tmpl_value tmpl_integer(const struct tmpl_type *type, int64_t i)
{
	return (struct tmpl_value){.type = type, .i = i};
}

struct tmpl_value tmpl_boolean(bool b)
{
	return (struct tmpl_value){.type = &tmpl_bool, .b = b};
}

struct tmpl_value tmpl_object(const struct tmpl_type *type, const void *object)
{
	return (struct tmpl_value){.type = type, .object = object};
}

struct tmpl_value tmpl_json(const struct json *j)
{
	static const struct tmpl_type *const types[] = {
		[JSON_NULL] = &tmpl_nil,
		[JSON_BOOL] = &tmpl_bool,
		[JSON_NUMBER] = &tmpl_float,
		[JSON_STRING] = &tmpl_string,
		[JSON_ARRAY] = &tmpl_list,
		[JSON_OBJECT] = &tmpl_map,
	};

	if (!j)
		return (struct tmpl_value){0};
	return tmpl_typed(types[j->type], j);
}

struct tmpl_value tmpl_typed(const struct tmpl_type *type, const struct json *j)
{
	static struct json *const none[] = {NULL}; /* an empty list is not a nil one */
	struct tmpl_value v = {.type = type};
	int64_t i;

	switch (type->kind) {
	case TMPL_BOOL:
		v.b = json_bool_or(j, false);
		break;
	case TMPL_INT:
		v.i = json_to_int(j, &i) ? i : 0;
		break;
	case TMPL_FLOAT:
		v.digits = json_is(j, JSON_NUMBER) ? j->text : NULL;
		v.f = v.digits ? strtod(v.digits, NULL) : 0;
		break;
	case TMPL_STRING:
		v.s = json_is(j, JSON_STRING) ? j->text : "";
		v.n = json_is(j, JSON_STRING) ? j->n : 0;
		break;
	case TMPL_LIST:
		v.items = !json_is(j, JSON_ARRAY) ? NULL : j->n ? j->items : none;
		v.n = json_is(j, JSON_ARRAY) ? j->n : 0;
		break;
	case TMPL_MAP:
		v.map = json_is(j, JSON_OBJECT) ? j : NULL;
		break;
	default:
		break;
	}
	return v;
}

struct tmpl_value value_element(const struct tmpl_value *of, const struct json *j)
{
	const struct tmpl_type *elem = of->type->elem;
	struct tmpl_value v = elem ? tmpl_typed(elem, j) : tmpl_json(j);

	v.boxed = !elem;
	return v;
}

struct tmpl_value value_item(const struct tmpl_value *list, size_t i)
{
	return value_element(list, list->items[i]);
}

struct tmpl_value value_field(const struct tmpl_value *object, size_t i)
{
	struct tmpl_value v = {0};

	object->type->get(object->object, i, &v);
	return v;
}

struct tmpl_value value_member(const struct tmpl_value *map, const char *key, size_t len)
{
	json_foreach (m, map->map)
		if (strncmp(m->key, key, len) == 0 && !m->key[len])
			return value_element(map, m->value);
	return (struct tmpl_value){0};
}

static int by_key(const void *a, const void *b)
{
	const struct json_member *const *x = a, *const *y = b;

	return strcmp((*x)->key, (*y)->key);
}

const struct json_member **value_sorted(const struct tmpl_value *map)
{
	size_t n = value_len(map);
	const struct json_member **order = xcalloc(n + 1, sizeof(struct json_member *));

	for (size_t i = 0; i < n; i++)
		order[i] = &map->map->members[i];
	qsort(order, n, sizeof(struct json_member *), by_key);
	return order;
}

struct tmpl_value value_unbox(struct tmpl_value v)
{
	v.boxed = false;
	return value_kind(&v) == TMPL_NIL ? (struct tmpl_value){0} : v;
}

size_t value_len(const struct tmpl_value *v)
{
	if (v->type->kind == TMPL_MAP)
		return v->map ? v->map->n : 0;
	return v->n;
}

bool value_truth(const struct tmpl_value *v)
{
	switch (value_kind(v)) {
	case TMPL_BOOL:
		return v->b;
	case TMPL_INT:
		return v->i != 0;
	case TMPL_UINT:
		return v->u != 0;
	case TMPL_FLOAT:
		return v->f != 0;
	case TMPL_STRING:
	case TMPL_LIST:
	case TMPL_MAP:
		return value_len(v) > 0;
	case TMPL_STRUCT:
		return true;
	default:
		return false;
	}
}

const char *value_type_name(const struct tmpl_value *v)
{
	return !v->type || v->boxed ? "interface {}" : v->type->name;
}

static struct json *struct_to_json(const struct tmpl_value *v)
{
	struct json *j = json_object();

	for (size_t i = 0; i < v->type->n_fields; i++) {
		struct tmpl_value field = value_field(v, i);
		json_set(j, v->type->fields[i].name, value_to_json(&field));
	}
	return j;
}

static struct json *list_to_json(const struct tmpl_value *v)
{
	struct json *j = json_array();

	for (size_t i = 0; i < v->n; i++)
		json_add(j, json_copy(v->items[i]));
	return j;
}

static struct json *float_to_json(const struct tmpl_value *v)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	if (v->digits)
		return json_number(v->digits);
	if (v->f - v->f != 0) /* JSON has no infinity */
		return json_null();
	format_plain(v, &b);
	return json_number(buf_str(&b));
}

struct json *value_to_json(const struct tmpl_value *v)
{
	switch (value_kind(v)) {
	case TMPL_BOOL:
		return json_bool(v->b);
	case TMPL_INT:
		return json_int(v->i);
	case TMPL_UINT:
		return json_int((int64_t)v->u);
	case TMPL_FLOAT:
		return float_to_json(v);
	case TMPL_STRING:
		return json_stringn(v->s, v->n);
	case TMPL_LIST:
		return v->items ? list_to_json(v) : json_null();
	case TMPL_MAP:
		return v->map ? json_copy(v->map) : json_object();
	case TMPL_STRUCT:
		return struct_to_json(v);
	default:
		return json_null();
	}
}
