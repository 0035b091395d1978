/* Command lines for the system's ssh. */
#include "ssh_priv.h"

#include "mem.h"

#include <string.h>

/* ssh_config splits values at blanks, knows quotes, and expands %X. */
void ssh_add_option(struct strv *v, const char *name, const char *value)
{
	struct buf b = BUF_INIT;

	buf_addf(&b, "%s=\"", name);
	for (const char *p = value; *p; p++) {
		if (*p == '"' || *p == '\\')
			buf_addc(&b, '\\');
		else if (*p == '%')
			buf_addc(&b, '%');
		buf_addc(&b, *p);
	}
	buf_addc(&b, '"');
	strv_add(v, "-o");
	strv_add_take(v, buf_steal(&b));
}

static void add_pinning(const struct ssh_target *t, struct strv *v)
{
	_cleanup_err_ struct err e = ERR_INIT;
	_cleanup_hostkeys_ struct hostkeys known = {0};
	_cleanup_free_ char *alias = hostkey_alias(t->machine);

	if (!t->known_hosts) {
		ssh_add_option(v, "StrictHostKeyChecking", "no");
		ssh_add_option(v, "UserKnownHostsFile", "/dev/null");
		return;
	}
	bool only_known = hostkeys_load(t->known_hosts, &known, &e) < 0 || t->strict ||
			  hostkeys_usable(&known) > 0;
	ssh_add_option(v, "StrictHostKeyChecking", only_known ? "yes" : "accept-new");
	ssh_add_option(v, "UserKnownHostsFile", t->known_hosts);
	ssh_add_option(v, "HostKeyAlias", alias);
}

void ssh_add_identity(struct strv *v, const char *key_path)
{
	if (!key_path || !*key_path)
		return;
	strv_add(v, "-o");
	strv_add(v, "IdentitiesOnly=yes");
	if (*key_path == '~' || strpbrk(key_path, "%$")) {
		ssh_add_option(v, "IdentityFile", key_path);
	} else {
		strv_add(v, "-i");
		strv_add(v, key_path);
	}
}

/* sshfs takes these, too: it knows a list of ssh's options by name. */
static void add_base(struct strv *v)
{
	static const char *const base[] = {"ConnectionAttempts=3", "ConnectTimeout=10",
		"ControlMaster=no", "ControlPath=none", "LogLevel=ERROR",
		"PasswordAuthentication=no", "ServerAliveInterval=60",
		"GlobalKnownHostsFile=/dev/null", "UpdateHostKeys=no"};

	for (size_t i = 0; i < ARRAY_SIZE(base); i++) {
		strv_add(v, "-o");
		strv_add(v, base[i]);
	}
}

void ssh_add_common(const struct ssh_target *t, struct strv *v)
{
	add_base(v);
	add_pinning(t, v);
}

void ssh_client_args(const struct ssh_target *t, struct strv *ret)
{
	strv_add(ret, "ssh");
	strv_add(ret, "-F");
	strv_add(ret, "/dev/null");
	add_base(ret);
	strv_add(ret, "-o");
	strv_add(ret, "HashKnownHosts=no");
	add_pinning(t, ret);
	if (t->user && *t->user)
		strv_addf(ret, "%s@%s", t->user, t->host);
	else
		strv_add(ret, t->host);
	ssh_add_identity(ret, t->key_path);
	strv_add(ret, "-p");
	strv_addf(ret, "%d", t->port ? t->port : 22);
}

int ssh_client_check(const struct ssh_target *t, struct err *err)
{
	_cleanup_free_ char *alias = hostkey_alias(t->machine);

	if (ssh_check_target(t, err) < 0)
		return -1;
	return t->known_hosts ? hostkeys_align(t->known_hosts, alias, err) : 0;
}
