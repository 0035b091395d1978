#include "ls_item.h"

#include "mem.h"

static void state_text(int64_t i, struct buf *out)
{
	buf_adds(out, machine_state_name((enum machine_state)i));
}

static const struct tmpl_type state_type = {
	.name = "state.State", .kind = TMPL_INT, .text = state_text};

/* The types of the members of EngineOptions and SwarmOptions; alias: the name that the original's
 * programs use, where the record's is another. */
static const struct tmpl_field engine_fields[] = {
	{"ArbitraryFlags", &tmpl_strings},
	{"Dns", &tmpl_strings, "DNS"},
	{"GraphDir", &tmpl_string},
	{"Env", &tmpl_strings},
	{"Ipv6", &tmpl_bool},
	{"InsecureRegistry", &tmpl_strings},
	{"Labels", &tmpl_strings},
	{"LogLevel", &tmpl_string},
	{"StorageDriver", &tmpl_string},
	{"SelinuxEnabled", &tmpl_bool},
	{"TlsVerify", &tmpl_bool, "TLSVerify"},
	{"RegistryMirror", &tmpl_strings},
	{"InstallURL", &tmpl_string},
};

static const struct tmpl_field swarm_fields[] = {
	{"IsSwarm", &tmpl_bool},
	{"Address", &tmpl_string},
	{"Discovery", &tmpl_string},
	{"Agent", &tmpl_bool},
	{"Master", &tmpl_bool},
	{"Host", &tmpl_string},
	{"Image", &tmpl_string},
	{"Strategy", &tmpl_string},
	{"Heartbeat", &tmpl_int},
	{"Overcommit", &tmpl_float},
	{"ArbitraryFlags", &tmpl_strings},
	{"ArbitraryJoinFlags", &tmpl_strings},
	{"Env", &tmpl_strings},
	{"IsExperimental", &tmpl_bool},
};

static void get_engine(const void *object, size_t i, struct tmpl_value *ret)
{
	*ret = tmpl_typed(engine_fields[i].type, json_get_fold(object, engine_fields[i].name));
}

static void get_swarm(const void *object, size_t i, struct tmpl_value *ret)
{
	*ret = tmpl_typed(swarm_fields[i].type, json_get_fold(object, swarm_fields[i].name));
}

static const struct tmpl_type engine_type = {
	.name = "*engine.Options",
	.kind = TMPL_STRUCT,
	.pointer = true,
	.fields = engine_fields,
	.n_fields = ARRAY_SIZE(engine_fields),
	.get = get_engine,
};

static const struct tmpl_type swarm_type = {
	.name = "*swarm.Options",
	.kind = TMPL_STRUCT,
	.pointer = true,
	.fields = swarm_fields,
	.n_fields = ARRAY_SIZE(swarm_fields),
	.get = get_swarm,
};

enum {
	NAME,
	ACTIVE,
	ACTIVE_HOST,
	ACTIVE_SWARM,
	DRIVER,
	STATE,
	URL,
	SWARM_OPTIONS,
	SWARM,
	ENGINE_OPTIONS,
	ERROR,
	DOCKER,
	RESPONSE
};

static const struct tmpl_field item_fields[] = {
	[NAME] = {"Name"},
	[ACTIVE] = {"Active"},
	[ACTIVE_HOST] = {"ActiveHost"},
	[ACTIVE_SWARM] = {"ActiveSwarm"},
	[DRIVER] = {"DriverName"},
	[STATE] = {"State"},
	[URL] = {"URL"},
	[SWARM_OPTIONS] = {"SwarmOptions"},
	[SWARM] = {"Swarm"},
	[ENGINE_OPTIONS] = {"EngineOptions"},
	[ERROR] = {"Error"},
	[DOCKER] = {"DockerVersion"},
	[RESPONSE] = {"ResponseTime"},
};

static void get_item(const void *object, size_t i, struct tmpl_value *ret)
{
	const struct ls_item *item = object;
	const char *const texts[] = {
		[NAME] = item->name,
		[ACTIVE] = item->active,
		[DRIVER] = item->driver,
		[URL] = item->url,
		[SWARM] = item->swarm,
		[ERROR] = item->error,
		[DOCKER] = item->version,
	};

	if (i == ACTIVE_HOST || i == ACTIVE_SWARM)
		*ret = tmpl_boolean(i == ACTIVE_HOST ? item->active_host : item->active_swarm);
	else if (i == STATE)
		*ret = tmpl_integer(&state_type, item->state);
	else if (i == RESPONSE)
		*ret = tmpl_integer(&tmpl_duration, item->response_ns);
	else if (i == ENGINE_OPTIONS)
		*ret = tmpl_object(&engine_type, item->engine_options);
	else if (i == SWARM_OPTIONS)
		*ret = tmpl_object(&swarm_type, item->swarm_options);
	else
		*ret = tmpl_str(texts[i]);
}

const struct tmpl_type ls_item_type = {
	.name = "commands.HostListItem",
	.kind = TMPL_STRUCT,
	.fields = item_fields,
	.n_fields = ARRAY_SIZE(item_fields),
	.get = get_item,
};

struct json *ls_item_headers(void)
{
	static const char *const texts[] = {
		[NAME] = "NAME",
		[ACTIVE] = "ACTIVE",
		[ACTIVE_HOST] = "ACTIVE_HOST",
		[ACTIVE_SWARM] = "ACTIVE_SWARM",
		[DRIVER] = "DRIVER",
		[STATE] = "STATE",
		[URL] = "URL",
		[SWARM_OPTIONS] = "SWARM_OPTIONS",
		[SWARM] = "SWARM",
		[ENGINE_OPTIONS] = "ENGINE_OPTIONS",
		[ERROR] = "ERRORS",
		[DOCKER] = "DOCKER",
		[RESPONSE] = "RESPONSE",
	};
	struct json *j = json_object();

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		json_set_str(j, item_fields[i].name, texts[i]);
	return j;
}
