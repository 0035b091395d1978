#include "environment.h"

#include "mem.h"

#include <stdlib.h>
#include <string.h>

static const char *const passed[] = {"PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL",
	"LC_CTYPE", "TZ", "TMPDIR", "TERM", "XDG_CONFIG_HOME", "SSL_CERT_FILE", "SSL_CERT_DIR",
	"SSH_AUTH_SOCK", "http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy",
	"HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "ALL_PROXY", "NO_PROXY", "MACHINE_DEBUG"};

static bool is_passed(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(passed); i++)
		if (streq(passed[i], name))
			return true;
	return false;
}

/* Names that a driver declares, each once, in no order. */
static void declared(const struct driver_info *info, struct strv *ret)
{
	for (size_t i = 0; i < info->flags.n; i++) {
		const char *env = info->flags.items[i].env;

		if (env && *env && !is_passed(env) && !strv_contains(ret, env))
			strv_add(ret, env);
	}
	for (size_t i = 0; info->environment && i < info->environment->n; i++) {
		const char *env = json_str(json_at(info->environment, i), "");

		if (env_name_valid(env) && !is_passed(env) && !strv_contains(ret, env))
			strv_add(ret, env);
	}
}

static void add(struct strv *env, const char *name)
{
	const char *value = getenv(name);

	if (value)
		strv_addf(env, "%s=%s", name, value);
}

void environment_build(struct strv *ret, const struct driver_info *info)
{
	_cleanup_strv_ struct strv names = STRV_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(passed); i++)
		add(ret, passed[i]);
	if (info)
		declared(info, &names);
	for (size_t i = 0; i < names.n; i++)
		add(ret, names.items[i]);
	if (ret->n == 0) /* an empty list, not the host's own environment */
		strv_add(ret, "PATH=/usr/bin:/bin");
}

bool environment_declared_set(const struct driver_info *info)
{
	_cleanup_strv_ struct strv names = STRV_INIT;

	declared(info, &names);
	for (size_t i = 0; i < names.n; i++)
		if (getenv(names.items[i]))
			return true;
	return false;
}
