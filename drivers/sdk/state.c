#include "machine-driver.h"

const char *md_state_str(const struct md_machine *m, const char *key)
{
	return json_str(json_get_fold(m->state, key), "");
}

int64_t md_state_int(const struct md_machine *m, const char *key)
{
	return json_int_or(json_get_fold(m->state, key), 0);
}

bool md_state_bool(const struct md_machine *m, const char *key)
{
	return json_bool_or(json_get_fold(m->state, key), false);
}

int md_state_note(struct md_request *rq, struct md_machine *m, const char *key, const char *value,
	struct err *err)
{
	json_set_str(m->state, key, value);
	return md_checkpoint(rq, m->state, err);
}

static struct json *field_value(const struct md_field *f, const struct json *flags)
{
	const struct json *list;

	switch (f->type) {
	case MD_PATH:
		if (f->flag) {
			_cleanup_free_ char *path = md_expand_path(md_flag_str(flags, f->flag));
			return json_string(path);
		}
		return json_string("");
	case MD_TEXT:
		return json_string(f->flag ? md_flag_str(flags, f->flag) : "");
	case MD_NUMBER:
		return json_int(f->flag ? md_flag_int(flags, f->flag) : 0);
	case MD_YES_NO:
		return json_bool(f->flag && md_flag_bool(flags, f->flag));
	case MD_LIST:
		list = f->flag ? md_flag_list(flags, f->flag) : NULL;
		return list && list->n ? json_copy(list) : json_null();
	}
	return json_null();
}

/* The flags are the program's, not the driver's: they need not be there. */
static void set_swarm(struct md_machine *m, const struct json *flags)
{
	static const char *const members[][2] = {{"SwarmMaster", "swarm-master"},
		{"SwarmHost", "swarm-host"}, {"SwarmDiscovery", "swarm-discovery"}};

	for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
		const struct json *value = json_get(flags, members[i][1]);

		if (json_is(value, i == 0 ? JSON_BOOL : JSON_STRING))
			json_set(m->state, members[i][0], json_copy(value));
	}
}

void md_fields_set(
	struct md_machine *m, const struct md_field *fields, size_t n, const struct json *flags)
{
	set_swarm(m, flags);
	for (size_t i = 0; i < n; i++)
		json_set(m->state, fields[i].key, field_value(&fields[i], flags));
}

static const char *type_of(const struct json *j)
{
	static const char *const names[] = {
		[JSON_NULL] = "null",
		[JSON_BOOL] = "true or false",
		[JSON_NUMBER] = "a number",
		[JSON_STRING] = "a text",
		[JSON_ARRAY] = "a list",
		[JSON_OBJECT] = "an object",
	};

	return names[j->type];
}

static int check_one(
	const struct md_machine *m, const char *key, enum md_field_type type, struct err *err)
{
	static const struct {
		enum json_type type;
		const char *name;
	} wanted[] = {
		[MD_TEXT] = {JSON_STRING, "a text"},
		[MD_PATH] = {JSON_STRING, "a text"},
		[MD_NUMBER] = {JSON_NUMBER, "a whole number"},
		[MD_YES_NO] = {JSON_BOOL, "true or false"},
		[MD_LIST] = {JSON_ARRAY, "a list"},
	};
	const struct json *j = json_get_fold(m->state, key);
	int64_t number;

	if (!j || json_is(j, JSON_NULL) ||
		(json_is(j, wanted[type].type) && (type != MD_NUMBER || json_to_int(j, &number))))
		return 0;
	return err_set(err, ERR_USER,
		"%s/config.json: the member \"%s\" of \"Driver\" is %s, not %s", m->dir, key,
		type_of(j), wanted[type].name);
}

int md_fields_check(
	const struct md_machine *m, const struct md_field *fields, size_t n, struct err *err)
{
	static const struct md_field base[] = {{"IPAddress", MD_TEXT, NULL},
		{"SSHUser", MD_TEXT, NULL}, {"SSHPort", MD_NUMBER, NULL},
		{"SSHKeyPath", MD_TEXT, NULL}};

	for (size_t i = 0; i < ARRAY_SIZE(base); i++)
		if (check_one(m, base[i].key, base[i].type, err) < 0)
			return -1;
	for (size_t i = 0; i < n; i++)
		if (check_one(m, fields[i].key, fields[i].type, err) < 0)
			return -1;
	return 0;
}

int md_flag_port(struct md_machine *m, const char *key, const struct json *flags, const char *flag,
	struct err *err)
{
	int64_t port = md_flag_int(flags, flag);

	if (port < 1 || port > MD_PORT_MAX)
		return err_set(err, ERR_USER, "--%s %lld: a port is a number from 1 to %d", flag,
			(long long)port, MD_PORT_MAX);
	json_set(m->state, key, json_int(port));
	return 0;
}
