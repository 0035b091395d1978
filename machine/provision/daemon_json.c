#include "engine_options.h"
#include "json.h"
#include "mem.h"

#include <stdlib.h>
#include <string.h>

#define FILE_NAME "/etc/docker/daemon.json"
#define FLAG_MAX 64
#define FIRST_TO_TAKE_NOTHING 23 /* the first version for which an empty file is none */

/* Flags whose name in daemon.json is another one, and what a user gives instead of the key. */
static const struct {
	const char *flag, *key, *instead;
} renamed[] = {
	{"-H", "hosts", "the machine's URL decides it"},
	{"--host", "hosts", "the machine's URL decides it"},
	{"--label", "labels", "use --engine-label"},
	{"--insecure-registry", "insecure-registries", "use --engine-insecure-registry"},
	{"--registry-mirror", "registry-mirrors", "use --engine-registry-mirror"},
	{"--storage-driver", "storage-driver", "or leave out --engine-storage-driver"},
	{"--tlsverify", "tlsverify", "the machine's own certificates are used"},
	{"--tlscacert", "tlscacert", "the machine's own certificates are used"},
	{"--tlscert", "tlscert", "the machine's own certificates are used"},
	{"--tlskey", "tlskey", "the machine's own certificates are used"},
	{"--add-runtime", NULL, NULL}, /* merged by the engine */
	{"--authorization-plugin", "authorization-plugins", NULL},
	{"--cdi-spec-dir", "cdi-spec-dirs", NULL},
	{"--default-address-pool", "default-address-pools", NULL},
	{"--default-network-opt", "default-network-opts", NULL},
	{"--default-ulimit", "default-ulimits", NULL},
	{"--dns-opt", "dns-opts", NULL},
	{"--exec-opt", "exec-opts", NULL},
	{"--feature", "features", NULL},
	{"--log-opt", "log-opts", NULL},
	{"--node-generic-resource", "node-generic-resources", NULL},
	{"--storage-opt", "storage-opts", NULL},
};

/* The key in daemon.json of a flag; NULL: the word is no flag, or one that cannot conflict. */
static const char *key_of(const char *flag, const char **ret_instead)
{
	*ret_instead = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(renamed); i++)
		if (streq(renamed[i].flag, flag)) {
			*ret_instead = renamed[i].instead;
			return renamed[i].key;
		}
	return strncmp(flag, "--", 2) == 0 ? flag + 2 : NULL;
}

/* The engine counts what is within "proxies" as if it were beside it. */
static bool sets(const struct json *doc, const char *key)
{
	return json_get(doc, key) || json_path(doc, "proxies", key, NULL);
}

static int check_empty(const char *version, struct err *err)
{
	if (!version || strtol(version, NULL, 10) >= FIRST_TO_TAKE_NOTHING)
		return 0;
	return err_set(err, ERR_USER,
		"%s on the host is empty, and the engine (version %s) refuses to start with that: "
		"remove it, or put {} into it",
		FILE_NAME, version);
}

int daemon_json_check(
	const char *text, const char *version, const struct strv *argv, struct err *err)
{
	_cleanup_json_ struct json *doc = NULL;

	if (!text)
		return 0;
	if (!text[strspn(text, " \t\r\n")])
		return check_empty(version, err);
	if (json_parse(text, strlen(text), &doc, err) < 0) {
		err->code = ERR_USER;
		return err_wrap(err, "%s on the host is not valid JSON", FILE_NAME);
	}
	if (!json_is(doc, JSON_OBJECT))
		return err_set(err, ERR_USER, "%s on the host is not a JSON object", FILE_NAME);
	for (size_t i = 1; i < argv->n; i++) {
		char flag[FLAG_MAX] = "";
		const char *word = argv->items[i], *instead, *key;
		size_t n = strcspn(word, "=");

		memcpy(flag, word, MIN(n, sizeof(flag) - 1));
		key = key_of(flag, &instead);
		if (key && sets(doc, key))
			return err_set(err, ERR_USER,
				"%s on the host sets \"%s\", which is also set by %s on the "
				"engine's command line, and the engine refuses to start with both: "
				"remove \"%s\" from that file (%s)",
				FILE_NAME, key, flag, key,
				instead ? instead : "or leave out the --engine-opt");
	}
	return 0;
}
