/* ls --json; --format json is the same. */
#include "ls.h"
#include "query_json.h"

#include "mem.h"

#include <string.h>

int ls_wants_json(const struct cli *cli, const char *format, bool *ret, struct err *err)
{
	bool json = parsed_bool(&cli->args, "json");

	if (json && *format && !streq(format, "json"))
		return err_set(err, ERR_USER, "Error: --format and --json exclude each other");
	if (json && parsed_bool(&cli->args, "quiet"))
		return err_set(err, ERR_USER, "Error: --quiet and --json exclude each other");
	*ret = json || (streq(format, "json") && !parsed_bool(&cli->args, "quiet"));
	return 0;
}

static const char *error_of(const struct row *r)
{
	if (!r->rec)
		return err_msg(&r->load_error);
	return r->timed_out ? "no answer within the time of --timeout" : r->error;
}

static struct json *row_json(const struct row *r)
{
	struct json *o = json_object();
	bool known = r->reported && !r->report.failed && !r->timed_out;

	json_set_str(o, "name", r->name);
	json_set(o, "driver", json_string(r->rec ? record_driver_name(r->rec) : NULL));
	json_set_str(o, "state", row_state_text(r));
	json_set(o, "active", json_bool(*row_active_text(r) == '*'));
	json_set(o, "url", json_text(known && row_url_known(r) ? r->report.url : NULL));
	json_set(o, "ip", json_text(known ? r->report.ip : NULL));
	json_set(o, "swarmMaster", json_text(r->swarm_master));
	json_set(o, "dockerVersion", json_text(r->version));
	json_set(o, "error", json_text(error_of(r)));
	return o;
}

void rows_print_json(const struct rows *rows)
{
	_cleanup_json_ struct json *list = json_array();

	for (size_t i = 0; i < rows->n; i++)
		json_add(list, row_json(&rows->items[i]));
	json_print(list);
}
