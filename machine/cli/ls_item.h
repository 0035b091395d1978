/* A row of `ls` as --format sees it: the original's types and names. */
#pragma once

#include "json.h"
#include "mstate.h"
#include "template.h"

struct ls_item {
	const char *name, *active, *driver, *url, *swarm, *error, *version;
	bool active_host, active_swarm;
	enum machine_state state;
	const struct json *swarm_options, *engine_options; /* NULL: all empty */
	int64_t response_ns;
};

extern const struct tmpl_type ls_item_type; /* of an object struct ls_item */
/* What the header's row has in each place: an object of strings. */
struct json *ls_item_headers(void);
