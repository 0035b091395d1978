/* Keystone: which version, and what it is sent. */
#include "openstack.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DEFAULT_DOMAIN "default"

static bool ends_in(const char *s, const char *end)
{
	size_t n = strlen(s), k = strlen(end);

	return n >= k && streq(s + n - k, end);
}

static void cut_slashes(char *s)
{
	for (size_t len = strlen(s); len && s[len - 1] == '/';)
		s[--len] = '\0';
}

/* "http://host:5000": length of what names the server. */
static size_t server_len(const char *url)
{
	const char *slashes = strstr(url, "://");
	const char *host = slashes ? slashes + 3 : url;

	return (size_t)(host - url) + strcspn(host, "/?#");
}

static const char *self_link(const struct json *version)
{
	const struct json *links = json_get(version, "links");

	for (size_t i = 0; json_at(links, i); i++)
		if (streq(json_str(json_get(json_at(links, i), "rel"), ""), "self"))
			return json_str(json_get(json_at(links, i), "href"), "");
	return "";
}

/* The newest that may be used. */
static const struct json *best_version(const struct json *answer)
{
	static const char *const usable[] = {"current", "supported", "stable"};
	const struct json *list = json_path(answer, "versions", "values", NULL), *best = NULL;
	double of_best = 0;

	for (size_t i = 0; json_at(list, i); i++) {
		const struct json *v = json_at(list, i);
		const char *id = json_str(json_get(v, "id"), "");
		const char *status = json_str(json_get(v, "status"), "");
		double number = *id == 'v' ? strtod(id + 1, NULL) : 0;
		bool good = number >= 2 && number < 4;

		if (!good || number <= of_best)
			continue;
		for (size_t k = 0; k < ARRAY_SIZE(usable); k++)
			if (strcasecmp(status, usable[k]) == 0) {
				best = v;
				of_best = number;
			}
	}
	return best;
}

static int take_version(
	const char *base, const struct json *answer, struct os_identity *ret, struct err *err)
{
	const struct json *v = json_get(answer, "version"); /* of an address of one version */
	const char *link;
	size_t n = server_len(base);

	if (!v)
		v = best_version(answer);
	if (!v)
		return err_set(err, ERR_USER,
			"--openstack-auth-url: the identity service tells no version that is "
			"known here (v3, v2.0)");
	ret->v2 = strncmp(json_str(json_get(v, "id"), ""), "v2", 2) == 0;
	link = self_link(v);
	/* a service behind a proxy may know itself under another name only */
	if (server_len(link) == n && strncasecmp(link, base, n) == 0)
		ret->url = xstrdup(link);
	else
		ret->url = xasprintf("%s/%s", base, ret->v2 ? "v2.0" : "v3");
	cut_slashes(ret->url);
	return 0;
}

static int ask(struct md_api *api, const char *url, struct json **ret, struct err *err)
{
	return md_api_send_json(
		api, "GET", url, NULL, "ask the identity service for its versions", ret, err);
}

/* At the address that was given, else at the server's root: then *base becomes that. */
static int ask_about(struct md_api *api, char *base, struct json **ret, struct err *err)
{
	_cleanup_free_ char *own = xasprintf("%s/", base);
	_cleanup_free_ char *root = xasprintf("%.*s/", (int)server_len(base), base);
	_cleanup_err_ struct err mine = ERR_INIT;

	if (ask(api, own, ret, &mine) == 0)
		return 0;
	if (mine.code == ERR_NOT_FOUND && !streq(root, own)) {
		err_finish(&mine);
		base[server_len(base)] = '\0';
		if (ask(api, root, ret, &mine) == 0)
			return 0;
	}
	if (mine.code == ERR_NOT_FOUND) /* it would be taken for the machine's */
		mine.code = ERR_USER;
	return err_move(err, &mine);
}

bool os_identity_has_version(const char *auth_url)
{
	_cleanup_free_ char *base = xstrdup(auth_url);

	cut_slashes(base);
	return ends_in(base, "/v3") || ends_in(base, "/v2.0");
}

int os_identity_find(
	struct md_api *api, const char *auth_url, struct os_identity *ret, struct err *err)
{
	_cleanup_free_ char *base = xstrdup(auth_url);
	_cleanup_json_ struct json *answer = NULL;

	cut_slashes(base);
	if (os_identity_has_version(base)) {
		ret->v2 = ends_in(base, "/v2.0");
		ret->url = take(base);
		return 0;
	}
	if (ask_about(api, base, &answer, err) < 0)
		return -1;
	return take_version(base, answer, ret, err);
}

const char *os_token(const struct md_machine *m)
{
	const char *now = getenv("OS_TOKEN"), *stored = md_state_str(m, "Token");

	return *stored && now && *now ? now : stored;
}

static bool uses_credential(const struct md_machine *m)
{
	return *md_state_str(m, "ApplicationCredentialId") ||
	       *md_state_str(m, "ApplicationCredentialName");
}

bool os_uses_token(const struct md_machine *m)
{
	return !uses_credential(m) && !*md_state_str(m, "Password") && *os_token(m);
}

/* {id} or {name} of the first that is given. */
static struct json *domain_of(const struct md_machine *m, const char *id, const char *name)
{
	const char *const ways[][2] = {
		{"id", id}, {"name", name}, {"id", "DomainID"}, {"name", "DomainName"}};
	struct json *domain = json_object();

	for (size_t i = 0; i < ARRAY_SIZE(ways); i++)
		if (*md_state_str(m, ways[i][1])) {
			json_set_str(domain, ways[i][0], md_state_str(m, ways[i][1]));
			return domain;
		}
	json_set_str(domain, "id", DEFAULT_DOMAIN);
	return domain;
}

/* A thing by its id, or by name in a domain. */
static struct json *thing(const struct md_machine *m, const char *id, const char *name,
	const char *domain_id, const char *domain_name)
{
	struct json *j = json_object();

	if (*md_state_str(m, id)) {
		json_set_str(j, "id", md_state_str(m, id));
	} else {
		json_set_str(j, "name", md_state_str(m, name));
		json_set(j, "domain", domain_of(m, domain_id, domain_name));
	}
	return j;
}

static struct json *user_of(const struct md_machine *m)
{
	return thing(m, "UserId", "Username", "UserDomainId", "UserDomainName");
}

static struct json *credential_of(const struct md_machine *m)
{
	const char *id = md_state_str(m, "ApplicationCredentialId");
	struct json *j = json_object();

	if (*id) {
		json_set_str(j, "id", id);
	} else {
		json_set_str(j, "name", md_state_str(m, "ApplicationCredentialName"));
		json_set(j, "user", user_of(m));
	}
	json_set_str(j, "secret", md_state_str(m, "ApplicationCredentialSecret"));
	return j;
}

int os_auth_v3(const struct md_machine *m, struct json **ret, struct err *err)
{
	bool credential = uses_credential(m);
	const char *method = credential         ? "application_credential"
			     : os_uses_token(m) ? "token"
						: "password";
	struct json *auth = json_object(), *identity = json_object(), *methods = json_array();
	struct json *how = NULL;

	(void)err;
	json_add(methods, json_string(method));
	json_set(identity, "methods", methods);
	if (credential) {
		how = credential_of(m);
	} else if (os_uses_token(m)) {
		how = json_object();
		json_set_str(how, "id", os_token(m));
	} else {
		struct json *user = user_of(m);

		json_set_str(user, "password", md_state_str(m, "Password"));
		how = json_object();
		json_set(how, "user", user);
	}
	json_set(identity, method, how);
	json_set(auth, "identity", identity);
	if (!credential) { /* which is restricted to its project already */
		struct json *scope = json_object();

		json_set(scope, "project",
			thing(m, "TenantId", "TenantName", "TenantDomainId", "TenantDomainName"));
		json_set(auth, "scope", scope);
	}
	*ret = auth;
	return 0;
}

int os_auth_v2(const struct md_machine *m, struct json **ret, struct err *err)
{
	static const char *const domains[] = {"DomainID", "DomainName", "UserDomainId",
		"UserDomainName", "TenantDomainId", "TenantDomainName"};
	bool by_id = *md_state_str(m, "TenantId");
	struct json *auth, *who = NULL;

	if (uses_credential(m))
		return err_set(err, ERR_USER,
			"the identity service has version 2 only, which knows no application "
			"credentials");
	for (size_t i = 0; i < ARRAY_SIZE(domains); i++)
		if (*md_state_str(m, domains[i]))
			return err_set(err, ERR_USER,
				"the identity service has version 2 only, which knows no domains: "
				"leave out --openstack-domain-name and its like");
	auth = json_object();
	who = json_object();
	if (os_uses_token(m)) {
		json_set_str(who, "id", os_token(m));
		json_set(auth, "token", who);
	} else {
		json_set_str(who, "username", md_state_str(m, "Username"));
		json_set_str(who, "password", md_state_str(m, "Password"));
		json_set(auth, "passwordCredentials", who);
	}
	json_set_str(auth, by_id ? "tenantId" : "tenantName",
		md_state_str(m, by_id ? "TenantId" : "TenantName"));
	*ret = auth;
	return 0;
}
