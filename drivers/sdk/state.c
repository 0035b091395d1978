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

void md_fields_set(
	struct md_machine *m, const struct md_field *fields, size_t n, const struct json *flags)
{
	for (size_t i = 0; i < n; i++)
		json_set(m->state, fields[i].key, field_value(&fields[i], flags));
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
