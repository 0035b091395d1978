/* What both SSH backends share, and the choice between them. */
#include "ssh.h"

#include "find_program.h"
#include "log.h"
#include "mem.h"
#include "ssh_lazy.h"
#include "ssh_priv.h"
#include "sshkey.h"
#include "tcp.h"

#include <errno.h>
#include <libssh2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int check_key_file(const char *path, struct err *err)
{
	struct stat st;

	if (!path || !*path)
		return 0;
	if (stat(path, &st) < 0) {
		if (errno == ENOENT)
			return err_set(err, ERR_USER, "stat %s: no such file or directory", path);
		return err_errno(err, errno, "stat %s", path);
	}
	if (!(st.st_mode & S_IRUSR))
		return err_set(err, ERR_USER, "'%s' is not readable", path);
	if (st.st_mode & (S_IRWXG | S_IRWXO))
		return err_set(err, ERR_USER, "permissions %#o for '%s' are too open",
			(unsigned)(st.st_mode & 0777), path);
	return 0;
}

/* Names go to the command line of ssh: nothing there may be taken for an option. */
static bool safe_name(const char *s)
{
	if (*s == '-')
		return false;
	for (; *s; s++)
		if ((unsigned char)*s <= ' ' || *s == 0x7f)
			return false;
	return true;
}

int ssh_check_target(const struct ssh_target *t, struct err *err)
{
	if (!t->host || !*t->host || !safe_name(t->host))
		return err_set(
			err, ERR_USER, "\"%s\" is no host name for SSH", t->host ? t->host : "");
	if (t->user && !safe_name(t->user))
		return err_set(err, ERR_USER, "\"%s\" is no user name for SSH", t->user);
	if (t->port < 0 || t->port > 65535)
		return err_set(err, ERR_USER, "%d is no port for SSH", t->port);
	return check_key_file(t->key_path, err);
}

int ssh_place_info(const struct ssh_target *t, struct ssh_place_info *ret, struct err *err)
{
	_cleanup_free_ char *address = NULL;
	struct ssh_place_info p = {.t = t, .port = t->port ? t->port : 22};

	if (ssh_check_target(t, err) < 0 || hostkeys_load(t->known_hosts, &p.known, err) < 0)
		return -1;
	address = tcp_join(t->host, p.port);
	p.where = t->user && *t->user ? xasprintf("%s@%s", t->user, address) : take(address);
	p.alias = hostkey_alias(t->machine);
	*ret = p;
	return 0;
}

void ssh_place_info_finish(struct ssh_place_info *p)
{
	free(p->where);
	free(p->alias);
	hostkeys_finish(&p->known);
}

int ssh_timeout_err(struct co *co, const char *where, const char *what, struct err *err)
{
	bool callers = co_deadline_left(co) == 0;

	return err_set(
		err, callers ? ERR_TIMEOUT : ERR_UNAVAILABLE, "ssh: %s: timed out %s", where, what);
}

void ssh_remember_key(const struct ssh_place_info *p, const void *blob, size_t len)
{
	_cleanup_err_ struct err e = ERR_INIT;
	const char *path = p->t->known_hosts;

	enum hostkey_verdict verdict = hostkeys_check(&p->known, blob, len);
	bool fresh = verdict == HOSTKEY_UNKNOWN || (verdict == HOSTKEY_KNOWN && p->known.expected);

	if (!path || !fresh)
		return;
	if (hostkeys_record(path, p->alias, blob, len, &e) < 0)
		log_warn("the host key of %s could not be recorded: %s", p->where, err_msg(&e));
}

/* Why libssh2 cannot serve this target, or NULL. */
static const char *native_obstacle(const struct ssh_place_info *p)
{
	_cleanup_err_ struct err e = ERR_INIT;
	struct sshkey_info key = {0};

	if (!p->t->key_path || !*p->t->key_path)
		return "no key file is set: the agent and default keys are for the client";
	if (sshkey_inspect(p->t->key_path, &key, &e) < 0)
		return "the key file is of an unknown kind";
	if (key.encrypted)
		return "the key is encrypted: the agent may hold it";
	if (key.type != SSHKEY_RSA && key.type != SSHKEY_ED25519 && key.type != SSHKEY_ECDSA)
		return "libssh2 does not know this type of key";
	if (ssh_lazy_load(&e) < 0)
		return "there is no libssh2";
	bool old = libssh2_version(LIBSSH2_RSA_SHA2) == NULL;
	if (key.type == SSHKEY_RSA && old)
		return "the key is RSA, which this libssh2 signs with SHA-1 only";
	if (old && hostkeys_only_rsa(&p->known))
		return "the recorded host key is RSA, which this libssh2 checks with SHA-1 only";
	return NULL;
}

static bool choose_native(const struct ssh_place_info *p)
{
	const char *obstacle = native_obstacle(p);
	const char *why = p->t->native           ? "asked for"
			  : !obstacle            ? "it can use the key"
			  : !find_program("ssh") ? "there is no ssh executable"
						 : NULL;

	log_debug("ssh: %s: using %s: %s", p->where, why ? "libssh2" : "the system's ssh",
		why ? why : obstacle);
	return why != NULL;
}

int ssh_open(struct co *co, const struct ssh_target *t, struct ssh **ret, struct err *err)
{
	_cleanup_place_info_ struct ssh_place_info p = {0};
	struct ssh *s = NULL;

	if (ssh_place_info(t, &p, err) < 0 || ssh_expect_keys(co, &p, err) < 0)
		return -1;
	int rc = choose_native(&p) ? ssh_native_open(co, &p, &s, err)
				   : ssh_external_open(co, &p, &s, err);
	if (rc < 0)
		return -1;
	s->where = take(p.where);
	*ret = s;
	return 0;
}

int ssh_first_contact(struct co *co, const struct ssh_target *t, struct err *err)
{
	_cleanup_hostkeys_ struct hostkeys known = {0};
	struct ssh *s;

	if (!t->known_hosts || !t->host_keys || !*t->host_keys)
		return 0;
	if (hostkeys_load(t->known_hosts, &known, err) < 0)
		return -1;
	if (hostkeys_usable(&known) > 0)
		return 0;
	if (ssh_open(co, t, &s, err) < 0)
		return -1;
	ssh_close(co, s);
	return 0;
}

void ssh_close(struct co *co, struct ssh *s)
{
	if (!s)
		return;
	char *where = s->where;
	co_mask(co);
	s->ops->close(co, s);
	co_unmask(co);
	free(where);
}

const char *ssh_backend(const struct ssh *s)
{
	return s->ops->name;
}

void ssh_on_line(struct ssh *s, void (*fn)(void *userdata, const char *line), void *userdata)
{
	s->on_line = fn;
	s->on_line_data = userdata;
}

void ssh_result_finish(struct ssh_result *r)
{
	free(r->signal);
	buf_finish(&r->out);
	buf_finish(&r->errout);
	*r = (struct ssh_result){0};
}

int ssh_exec(struct co *co, struct ssh *s, const char *command, const void *input, size_t n_input,
	struct ssh_result *ret, struct err *err)
{
	struct ssh_result r = {0};

	if (s->dead)
		return err_set(err, ERR_UNAVAILABLE, "ssh: %s: the connection is closed", s->where);
	if (s->busy)
		return err_set(err, ERR_INTERNAL, "ssh: %s: two commands at once", s->where);
	s->busy = true;
	int rc = s->ops->exec(co, s, command, input, n_input, &r, err);
	s->busy = false;
	if (rc < 0) {
		ssh_result_finish(&r);
		return -1;
	}
	*ret = r;
	return 0;
}
