/* Flag values as `machine create` finds them: command line, else variable, else default. */
#include "kit.h"

#include "mem.h"

#include <errno.h>
#include <string.h>

static const char *const host_flags[] = {"driver", "engine-env", "engine-insecure-registry",
	"engine-install-url", "engine-label", "engine-opt", "engine-registry-mirror",
	"engine-storage-driver", "help", "resume", "swarm", "swarm-addr", "swarm-discovery",
	"swarm-experimental", "swarm-host", "swarm-image", "swarm-join-opt", "swarm-master",
	"swarm-opt", "swarm-strategy", "tls-san"};

const char *forbidden_flag(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(host_flags); i++)
		if (streq(name, host_flags[i]))
			return host_flags[i];
	return NULL;
}

static bool parse_bool(const char *text, bool *ret)
{
	static const struct {
		const char *text;
		bool value;
	} words[] = {{"1", true}, {"t", true}, {"T", true}, {"true", true}, {"TRUE", true},
		{"True", true}, {"0", false}, {"f", false}, {"F", false}, {"false", false},
		{"FALSE", false}, {"False", false}};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (streq(text, words[i].text)) {
			*ret = words[i].value;
			return true;
		}
	}
	return false;
}

static struct json *parse_value(const struct flagspec *f, const char *text)
{
	bool b = false;
	long long n;
	char *end;

	switch (f->type) {
	case FLAG_STRING:
	case FLAG_LIST: /* one item */
		return json_string(text);
	case FLAG_INT:
		errno = 0;
		n = strtoll(text, &end, 0);
		return errno || end == text || *end ? NULL : json_int(n);
	case FLAG_BOOL:
		return parse_bool(text, &b) ? json_bool(b) : NULL;
	}
	return NULL;
}

/* The variable or the default. What a variable holds and cannot be read counts as unset. */
static struct json *initial(const struct flagspec *f)
{
	const char *env = f->env ? getenv(f->env) : NULL;
	_cleanup_strv_ struct strv parts = STRV_INIT;
	struct json *value = NULL;

	if (env && *env && f->type == FLAG_LIST) {
		value = json_array();
		strv_split(&parts, env, ',');
		for (size_t i = 0; i < parts.n; i++)
			json_add(value, json_string(parts.items[i]));
	} else if (env && *env) {
		value = parse_value(f, env);
	}
	return value ? value : flagspec_default(f);
}

static int set_flag(struct kit *k, const struct flagspec *f, const char *text, struct strv *seen,
	struct err *err)
{
	struct json *value = parse_value(f, text);
	bool again = strv_contains(seen, f->name);

	if (!value)
		return err_set(err, ERR_USER, "invalid value for --%s: it is of type %s", f->name,
			flag_type_name(f->type));
	if (f->type != FLAG_LIST) {
		json_set(k->flags, f->name, value);
		return 0;
	}
	if (!again) {
		strv_add(seen, f->name);
		const char *env = f->env ? getenv(f->env) : NULL;
		if (!env || !*env)
			json_set(k->flags, f->name, json_array());
	}
	json_add(json_get(k->flags, f->name), value);
	return 0;
}

static void add_secret(struct kit *k, const struct json *value)
{
	for (size_t i = 0; json_at(value, i); i++)
		add_secret(k, json_at(value, i));
	if (strlen(json_str(value, "")) >= MIN_SECRET)
		strv_add(&k->secrets, json_str(value, ""));
}

static int read_arguments(struct kit *k, struct err *err)
{
	_cleanup_strv_ struct strv seen = STRV_INIT;

	for (size_t i = 0; i < k->args->n; i++) {
		const char *arg = k->args->items[i], *name = arg + strspn(arg, "-"), *value;
		_cleanup_free_ char *bare = xstrndup(name, strcspn(name, "="));
		const struct flagspec *f = flagspec_find(k->specs.items, k->specs.n, bare);

		if (name == arg || name > arg + 2 || !f)
			return err_set(err, ERR_USER, "the driver has no flag \"%s\"", bare);
		value = strchr(name, '=') ? strchr(name, '=') + 1 : NULL;
		if (!value && f->type == FLAG_BOOL)
			value = "true";
		if (!value && i + 1 == k->args->n)
			return err_set(err, ERR_USER, "flag needs an argument: --%s", bare);
		if (!value)
			value = k->args->items[++i];
		if (set_flag(k, f, value, &seen, err) < 0)
			return -1;
	}
	return 0;
}

int resolve_flags(struct kit *k, struct err *err)
{
	k->flags = json_object();
	for (size_t i = 0; i < k->specs.n; i++)
		json_set(k->flags, k->specs.items[i].name, initial(&k->specs.items[i]));
	if (read_arguments(k, err) < 0)
		return -1;
	for (size_t i = 0; i < k->specs.n; i++)
		if (k->specs.items[i].secret)
			add_secret(k, json_get(k->flags, k->specs.items[i].name));
	return 0;
}
