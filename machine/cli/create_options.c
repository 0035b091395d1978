#include "create_options.h"

#include "mem.h"
#include "record.h"

#include <string.h>

#define FILE_SCHEME "file:"

static void set_list(struct json *obj, const char *key, const struct cli *cli, const char *flag)
{
	json_set(obj, key, json_copy(parsed_value(&cli->args, flag)));
}

static void set_text(struct json *obj, const char *key, const struct cli *cli, const char *flag)
{
	json_set_str(obj, key, parsed_str(&cli->args, flag));
}

static void set_bool(struct json *obj, const char *key, const struct cli *cli, const char *flag)
{
	json_set(obj, key, json_bool(parsed_bool(&cli->args, flag)));
}

/* A path as it is recorded: later commands run in other folders. */
static int set_path(
	struct json *o, const char *key, const char *prefix, const char *path, struct err *err)
{
	_cleanup_free_ char *full = NULL;

	if (store_absolute(path, &full, err) < 0)
		return -1;
	_cleanup_free_ char *text = xasprintf("%s%s", prefix, full);
	json_set_str(o, key, text);
	return 0;
}

static int set_tls_paths(struct json *auth, const struct cli *cli, struct err *err)
{
	static const struct {
		const char *key, *flag;
	} paths[] = {
		{"CaCertPath", "tls-ca-cert"},
		{"CaPrivateKeyPath", "tls-ca-key"},
		{"ClientCertPath", "tls-client-cert"},
		{"ClientKeyPath", "tls-client-key"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		const char *path = parsed_str(&cli->globals, paths[i].flag);
		if (*path && set_path(auth, paths[i].key, "", path, err) < 0)
			return -1;
	}
	return 0;
}

static int set_install_url(struct json *engine, const struct cli *cli, struct err *err)
{
	const char *url = parsed_str(&cli->args, "engine-install-url");
	size_t len = strlen(FILE_SCHEME);

	if (strncmp(url, FILE_SCHEME, len) == 0 && url[len])
		return set_path(engine, "InstallURL", FILE_SCHEME, url + len, err);
	json_set_str(engine, "InstallURL", url);
	return 0;
}

int create_options(const struct cli *cli, const char *name, struct json **ret, struct err *err)
{
	struct json *o = record_default_host_options(cli->app.store, name);
	struct json *engine = json_get(o, "EngineOptions"), *swarm = json_get(o, "SwarmOptions");
	struct json *auth = json_get(o, "AuthOptions");

	set_list(engine, "ArbitraryFlags", cli, "engine-opt");
	set_list(engine, "Env", cli, "engine-env");
	set_list(engine, "InsecureRegistry", cli, "engine-insecure-registry");
	set_list(engine, "Labels", cli, "engine-label");
	set_list(engine, "RegistryMirror", cli, "engine-registry-mirror");
	set_text(engine, "StorageDriver", cli, "engine-storage-driver");
	set_text(swarm, "Address", cli, "swarm-addr");
	set_text(swarm, "Discovery", cli, "swarm-discovery");
	set_text(swarm, "Host", cli, "swarm-host");
	set_text(swarm, "Image", cli, "swarm-image");
	set_text(swarm, "Strategy", cli, "swarm-strategy");
	set_list(swarm, "ArbitraryFlags", cli, "swarm-opt");
	set_list(swarm, "ArbitraryJoinFlags", cli, "swarm-join-opt");
	set_bool(swarm, "IsExperimental", cli, "swarm-experimental");
	set_list(auth, "ServerCertSANs", cli, "tls-san");
	*ret = o;
	return set_install_url(engine, cli, err) < 0 || set_tls_paths(auth, cli, err) < 0 ? -1 : 0;
}
