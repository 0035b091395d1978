#include "query_json.h"

#include "mem.h"

#include <stdio.h>

struct answers {
	struct cli *cli;
	const struct strv *names;
	query_fn fn;
	char **texts;
	struct err *errs;
};

struct json *json_text(const char *s)
{
	return s && *s ? json_string(s) : json_null();
}

struct json *json_entry(
	const char *name, const char *key, struct json *take_value, const struct err *e)
{
	struct json *o = json_object();

	json_set_str(o, "name", name);
	json_set(o, key, take_value);
	json_set(o, "error", e->code ? json_string(err_msg(e)) : json_null());
	return o;
}

void json_print(const struct json *list)
{
	_cleanup_free_ char *text = json_to_string(list, JSON_INDENT);

	puts(text);
}

static void answer_one(struct co *co, size_t i, void *arg)
{
	struct answers *a = arg;
	struct host *h;

	if (cli_open_host(co, a->cli, a->names->items[i], &h, &a->errs[i]) < 0)
		return;
	a->fn(co, h, &a->texts[i], &a->errs[i]);
	host_close(co, h);
}

int query_json(struct co *co, struct cli *cli, const char *key, query_fn fn, struct err *err)
{
	_cleanup_json_ struct json *list = json_array();
	_cleanup_strv_ struct strv names = STRV_INIT;

	if (cli_names(cli, &names, err) < 0)
		return -1;
	struct answers a = {cli, &names, fn, xcalloc(names.n, sizeof(char *)),
		xcalloc(names.n, sizeof(struct err))};
	int r = co_each(co, names.n, CLI_AT_ONCE, answer_one, &a);
	int rc = cli_join_errors(a.errs, &names, err);
	if (rc == 0 && r < 0)
		rc = co_err(r, err);
	for (size_t i = 0; i < names.n; i++) {
		json_add(list, json_entry(names.items[i], key, json_text(a.texts[i]), &a.errs[i]));
		free(a.texts[i]);
		err_finish(&a.errs[i]);
	}
	free(a.texts);
	free(a.errs);
	if (r >= 0 && !co_cancelled(co))
		json_print(list);
	return rc;
}

int inspect_json(struct cli *cli, struct err *err)
{
	_cleanup_json_ struct json *list = json_array();
	_cleanup_strv_ struct strv names = STRV_INIT;

	if (cli_names(cli, &names, err) < 0)
		return -1;
	struct err *errs = xcalloc(names.n, sizeof(*errs));
	for (size_t i = 0; i < names.n; i++) {
		_cleanup_record_ struct record *rec = NULL;
		if (record_load(cli->app.store, names.items[i], &rec, &errs[i]) < 0)
			rec = NULL;
		json_add(list, json_entry(names.items[i], "config",
				       rec ? json_copy(rec->doc) : NULL, &errs[i]));
	}
	int rc = cli_join_errors(errs, &names, err);
	for (size_t i = 0; i < names.n; i++)
		err_finish(&errs[i]);
	free(errs);
	json_print(list);
	return rc;
}
