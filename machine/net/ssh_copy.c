#include "ssh_copy.h"

#include "mem.h"
#include "ssh_priv.h"

#include <string.h>

#define FROM "from-"
#define TO "to-"

/* Bytes that mean nothing in an ssh_config value. */
static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
			    "_-+./,:@";

static void add_plain_option(struct strv *v, const char *name, const char *value)
{
	if (value[strspn(value, plain)] != '\0') {
		ssh_add_option(v, name, value);
		return;
	}
	strv_add(v, "-o");
	strv_addf(v, "%s=%s", name, value);
}

static bool has_key(const struct copy_end *e)
{
	return !e->target || (e->target->key_path && *e->target->key_path);
}

static void add_port_and_key(const struct ssh_target *t, struct strv *v)
{
	strv_add(v, "-o");
	strv_addf(v, "Port=%d", t->port ? t->port : 22);
	if (t->key_path && *t->key_path)
		add_plain_option(v, "IdentityFile", t->key_path);
}

static const struct ssh_target *machine_of(const struct copy *c)
{
	return c->from.target ? c->from.target : c->to.target;
}

bool copy_needs_config(const struct copy *c)
{
	return c->from.target && c->to.target &&
	       !streq(c->from.target->machine, c->to.target->machine);
}

static char *host_alias(const char *role, const struct ssh_target *t)
{
	_cleanup_free_ char *name = hostkey_alias(t->machine);

	return xasprintf("%s%s", role, name);
}

char *local_argument(const char *path)
{
	bool host = path[strcspn(path, ":/")] == ':';

	return xasprintf("%s%s", *path == '-' || host ? "./" : "", path);
}

/* [USER@]HOST:PATH; alias: how the configuration file calls the host, or NULL. */
static char *location(const struct copy_end *e, const char *alias)
{
	const struct ssh_target *t = e->target;

	if (!t)
		return local_argument(e->path);
	const char *host = alias ? alias : t->host;
	const char *user = t->user ? t->user : "";
	bool v6 = strchr(host, ':') != NULL;

	return xasprintf("%s%s%s%s%s:%s", user, *user ? "@" : "", v6 ? "[" : "", host,
		v6 ? "]" : "", e->path);
}

static void add_locations(const struct copy *c, bool aliases, struct strv *v)
{
	_cleanup_free_ char *from = aliases ? host_alias(FROM, c->from.target) : NULL;
	_cleanup_free_ char *to = aliases ? host_alias(TO, c->to.target) : NULL;

	strv_add_take(v, location(&c->from, from));
	strv_add_take(v, location(&c->to, to));
}

static bool one_line(const char *s)
{
	for (; s && *s; s++)
		if ((unsigned char)*s < ' ')
			return false;
	return true;
}

static int add_host(struct buf *b, const char *role, const struct copy_end *e, struct err *err)
{
	const struct ssh_target *t = e->target;
	_cleanup_free_ char *alias = host_alias(role, t);
	_cleanup_strv_ struct strv v = STRV_INIT;

	if (!one_line(t->key_path) || !one_line(t->known_hosts))
		return err_set(err, ERR_USER,
			"the path of the SSH key or of the store of \"%s\" holds a control "
			"character, which a configuration file of ssh cannot have",
			t->machine);
	ssh_add_option(&v, "HostName", t->host);
	ssh_add_common(t, &v);
	if (has_key(e)) {
		strv_add(&v, "-o");
		strv_add(&v, "IdentitiesOnly=yes");
	}
	add_port_and_key(t, &v);
	buf_addf(b, "Host %s\n", alias);
	for (size_t i = 1; i < v.n; i += 2) /* every other is "-o" */
		buf_addf(b, "\t%s\n", v.items[i]);
	return 0;
}

int copy_config(const struct copy *c, struct buf *ret, struct err *err)
{
	if (add_host(ret, FROM, &c->from, err) < 0 || add_host(ret, TO, &c->to, err) < 0)
		return -1;
	return 0;
}

/* Only keys that are named are tried, where every machine has one. */
static void add_identity(const struct copy *c, struct strv *v)
{
	if (has_key(&c->from) && has_key(&c->to)) {
		strv_add(v, "-o");
		strv_add(v, "IdentitiesOnly=yes");
	}
	if (machine_of(c))
		add_port_and_key(machine_of(c), v);
}

void scp_args(const struct copy *c, const char *config, struct strv *ret)
{
	strv_add(ret, "scp");
	strv_add(ret, "-F");
	strv_add(ret, config ? config : "/dev/null");
	if (!config && machine_of(c))
		ssh_add_common(machine_of(c), ret);
	strv_add(ret, "-3");
	if (c->recursive)
		strv_add(ret, "-r");
	if (c->quiet)
		strv_add(ret, "-q");
	if (!config)
		add_identity(c, ret);
	add_locations(c, config != NULL, ret);
}

/* rsync splits the command at blanks; quotes keep one, and a quote is doubled inside its like. */
static void add_rsync_word(struct buf *b, const char *word)
{
	if (b->len)
		buf_addc(b, ' ');
	if (*word && !strpbrk(word, " '\"")) {
		buf_adds(b, word);
		return;
	}
	buf_addc(b, '\'');
	for (const char *p = word; *p; p++) {
		if (*p == '\'')
			buf_addc(b, '\'');
		buf_addc(b, *p);
	}
	buf_addc(b, '\'');
}

void rsync_args(const struct copy *c, struct strv *ret)
{
	_cleanup_strv_ struct strv v = STRV_INIT;
	struct buf command = BUF_INIT;

	strv_add(&v, "ssh");
	strv_add(&v, "-F");
	strv_add(&v, "/dev/null");
	if (c->quiet)
		strv_add(&v, "-q");
	if (machine_of(c))
		ssh_add_common(machine_of(c), &v);
	add_identity(c, &v);
	strv_foreach (word, &v)
		add_rsync_word(&command, word);
	strv_add(ret, "rsync");
	if (!c->quiet)
		strv_add(ret, "--progress");
	strv_add(ret, "-e");
	strv_add_take(ret, buf_steal(&command));
	if (c->recursive)
		strv_add(ret, "-r");
	add_locations(c, false, ret);
}

/* The mount options of FUSE are separated by commas; a backslash keeps a byte as it is. */
static char *fuse_escape(const char *option)
{
	struct buf b = BUF_INIT;

	for (const char *p = option; *p; p++) {
		if (*p == ',' || *p == '\\')
			buf_addc(&b, '\\');
		buf_addc(&b, *p);
	}
	return buf_steal(&b);
}

void sshfs_args(const struct ssh_target *t, const char *path, const char *where, struct strv *ret)
{
	const struct copy_end end = {t, path};
	_cleanup_strv_ struct strv v = STRV_INIT;

	ssh_add_common(t, &v);
	if (has_key(&end)) {
		strv_add(&v, "-o");
		strv_add(&v, "IdentitiesOnly=yes");
	}
	add_port_and_key(t, &v);
	strv_add(ret, "sshfs");
	strv_add(ret, "-F");
	strv_add(ret, "/dev/null");
	strv_foreach (word, &v)
		strv_add_take(ret, fuse_escape(word));
	strv_add_take(ret, location(&end, NULL));
	strv_add_take(ret, local_argument(where));
}
