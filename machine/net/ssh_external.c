/*
 * The backend that uses the system's ssh: one master process holds the connection, and each command
 * is a short-lived client that hands its pipes to the master through a control socket.
 *
 * The master runs a small session of its own instead of `-N`: the word it prints says that the
 * login is complete, and since its `cat` ends with our end of the pipe, the master also ends when
 * this process is killed. ssh's own messages go to a file per command (-E), apart from what the
 * remote command says.
 *
 * Host keys: the master gets a copy of the known keys in its private directory. What it learns on
 * first contact is taken from there once the login worked.
 */
#include "ssh_priv.h"

#include "log.h"
#include "mem.h"
#include "ssh_child.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define READY "machine-ssh-ready"
#define DIR_PREFIX "machine-ssh."
#define STALE_S 60
#define MAX_DIR 64u            /* ssh adds a suffix of 17 while binding, and sun_path holds 108 */
#define MAX_DIAGNOSTICS 65536u /* of ssh's own messages */
#define EXIT_SSH 255           /* ssh's own failure, or the command's status */

struct external {
	struct ssh base;
	struct ssh_child *master;
	bool ready;
	char *dir; /* private: control socket, known_hosts, log */
	char *host;
};

static char *in_dir(const struct external *x, const char *name)
{
	return xasprintf("%s/%s", x->dir, name);
}

static bool fit_for_socket(const char *dir)
{
	static const char chars[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "_-+./";
	struct stat st;

	return dir && *dir == '/' && strlen(dir) <= MAX_DIR && !dir[strspn(dir, chars)] &&
	       stat(dir, &st) == 0 && S_ISDIR(st.st_mode) && access(dir, W_OK | X_OK) == 0;
}

static int empty_dir(const char *dir)
{
	static const char *const names[] = {"s", "known_hosts", "known_hosts.old", "log"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_free_ char *path = xasprintf("%s/%s", dir, names[i]);

		unlink(path);
	}
	return rmdir(dir);
}

/* A master that is logged in has its socket there; one that is logging in has not been at it for
 * longer than that may take. */
static bool is_stale(const char *dir)
{
	_cleanup_free_ char *socket = xasprintf("%s/s", dir);
	struct stat st;

	return lstat(dir, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid() &&
	       st.st_mtime + STALE_S < time(NULL) && access(socket, F_OK) != 0;
}

/* What a killed process left: its master has ended by itself, and taken its socket along. */
static void sweep(const char *base)
{
	_cleanup_free_ char *pattern = xasprintf("%s/" DIR_PREFIX "*", base);
	glob_t found;

	if (glob(pattern, GLOB_NOSORT, NULL, &found) != 0)
		return;
	for (size_t i = 0; i < found.gl_pathc; i++)
		if (is_stale(found.gl_pathv[i]))
			empty_dir(found.gl_pathv[i]);
	globfree(&found);
}

static int make_dir(struct external *x, struct err *err)
{
	const char *candidates[] = {getenv("XDG_RUNTIME_DIR"), getenv("TMPDIR"), "/tmp"};
	int saved = ENOENT;

	for (size_t i = 0; i < ARRAY_SIZE(candidates); i++) {
		if (!fit_for_socket(candidates[i]))
			continue;
		sweep(candidates[i]);
		x->dir = xasprintf("%s/" DIR_PREFIX "XXXXXX", candidates[i]);
		if (mkdtemp(x->dir)) /* 0700 */
			return 0;
		saved = errno;
		free(take(x->dir));
	}
	return err_errno(err, saved, "create a directory for ssh's control socket");
}

static void remove_dir(struct external *x)
{
	if (!x->dir)
		return;
	if (empty_dir(x->dir) < 0)
		log_debug("ssh: remove %s: %s", x->dir, strerror(errno));
	free(take(x->dir));
}

static void add_base(struct external *x, struct strv *v)
{
	_cleanup_free_ char *socket = in_dir(x, "s");
	static const char *const base[] = {
		"ssh", "-F", "/dev/null", "-T", "-a", "-x", "-o", "BatchMode=yes"};

	for (size_t i = 0; i < ARRAY_SIZE(base); i++)
		strv_add(v, base[i]);
	ssh_add_option(v, "ControlPath", socket);
}

static void add_host_key_options(struct external *x, const struct ssh_place_info *p, struct strv *v)
{
	_cleanup_free_ char *file = in_dir(x, "known_hosts");
	bool only_known = p->t->strict || hostkeys_usable(&p->known) > 0;

	if (!p->t->known_hosts) {
		ssh_add_option(v, "StrictHostKeyChecking", "no");
		ssh_add_option(v, "UserKnownHostsFile", "/dev/null");
		return;
	}
	ssh_add_option(v, "StrictHostKeyChecking", only_known ? "yes" : "accept-new");
	ssh_add_option(v, "UserKnownHostsFile", file);
	ssh_add_option(v, "HostKeyAlias", p->alias);
}

static void master_args(struct external *x, const struct ssh_place_info *p, struct strv *v)
{
	static const char *const options[] = {"ControlMaster=yes", "ControlPersist=no",
		"LogLevel=ERROR", "PasswordAuthentication=no", "KbdInteractiveAuthentication=no",
		"ConnectionAttempts=1", "GlobalKnownHostsFile=/dev/null", "UpdateHostKeys=no",
		"HashKnownHosts=no", "CheckHostIP=no"};

	add_base(x, v);
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		strv_add(v, "-o");
		strv_add(v, options[i]);
	}
	strv_addf(v, "-oConnectTimeout=%u", SSH_CONNECT_MS / 1000);
	strv_addf(v, "-oServerAliveInterval=%u", SSH_KEEPALIVE_MS / 1000);
	strv_addf(v, "-oServerAliveCountMax=%u", SSH_KEEPALIVE_MISSES);
	add_host_key_options(x, p, v);
	ssh_add_identity(v, p->t->key_path);
	strv_addf(v, "-p%d", p->port);
	if (p->t->user && *p->t->user) {
		strv_add(v, "-l");
		strv_add(v, p->t->user);
	}
	strv_add(v, "--");
	strv_add(v, p->t->host);
	strv_add(v, "echo " READY "; exec cat");
}

/* The part of ssh's talk that names the cause: its last line, without what pads it. */
static char *last_line(const char *text)
{
	_cleanup_strv_ struct strv lines = STRV_INIT;
	_cleanup_free_ char *copy = xstrdup(text);

	for (char *p = copy; *p; p++)
		if (*p == '\r')
			*p = ' ';
	strv_split(&lines, copy, '\n');
	return xstrdup(lines.n ? lines.items[lines.n - 1] : "the connection ended");
}

static char *seen_fingerprint(const char *text)
{
	const char *at = strstr(text, "SHA256:");

	return at ? xstrndup(at, strcspn(at, ". \r\n")) : xstrdup("another one");
}

static int explain(const struct ssh_place_info *p, const char *text, struct err *err)
{
	_cleanup_free_ char *line = last_line(text);
	_cleanup_free_ char *print = seen_fingerprint(text);
	const char *machine = p->t->machine ? p->t->machine : p->t->host;

	if (strstr(text, "IDENTIFICATION HAS CHANGED") || strstr(text, "REVOKED HOST KEY") ||
		(strstr(text, "host key is known for") && hostkeys_usable(&p->known)))
		return hostkeys_changed(&p->known, print, machine, p->t->known_hosts, err);
	if (strstr(text, "host key is known for") || strstr(text, "Host key verification failed"))
		return err_set(err, ERR_USER,
			"the host key of \"%s\" is not known, and only known keys are accepted",
			machine);
	if (strstr(text, "Permission denied") || strstr(text, "Too many authentication failures"))
		return err_set(err, ERR_AUTH, "ssh: %s: permission denied for %s%s", p->where,
			p->t->key_path && *p->t->key_path ? "the key "
							  : "the agent's and default keys",
			p->t->key_path ? p->t->key_path : "");
	return err_set(err, ERR_UNAVAILABLE, "ssh: %s: %s", p->where, line);
}

static int await_ready(
	struct co *co, struct external *x, const struct ssh_place_info *p, struct err *err)
{
	_cleanup_buf_ struct buf said = BUF_INIT, told = BUF_INIT;
	uint64_t until = loop_now(co_loop(co)) + SSH_CONNECT_MS + SSH_LOGIN_MS;

	for (;;) {
		uint64_t now = loop_now(co_loop(co));
		int r = now >= until ? -ETIMEDOUT : ssh_child_await(co, x->master, until - now);
		struct buf *out = ssh_child_output(x->master, 0);
		struct buf *errout = ssh_child_output(x->master, 1);

		buf_add(&told, buf_str(out), MIN(out->len, MAX_DIAGNOSTICS - told.len));
		buf_add(&said, buf_str(errout), MIN(errout->len, MAX_DIAGNOSTICS - said.len));
		ssh_child_taken(x->master, 0);
		ssh_child_taken(x->master, 1);
		if (strstr(buf_str(&told), READY))
			return 0;
		if (r == -ETIMEDOUT)
			return ssh_timeout_err(co, p->where, "logging in", err);
		if (r < 0)
			return co_err(r, err);
		if (ssh_child_done(x->master))
			return explain(p, said.len ? buf_str(&said) : buf_str(&told), err);
	}
}

/* Its -E file: what ssh itself had to say about a command. */
static void read_log(struct external *x, struct buf *ret)
{
	_cleanup_free_ char *path = in_dir(x, "log");
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	while (fd >= 0 && ret->len < MAX_DIAGNOSTICS &&
		(n = read(fd, buf_reserve(ret, 4096), 4096)) > 0)
		ret->len += (size_t)n;
	if (ret->data)
		ret->data[ret->len] = '\0';
	unlink(path);
}

/* The last line of ssh's messages that is no debug line; malloc'ed, NULL for none. */
static char *complaint(const char *text)
{
	_cleanup_strv_ struct strv lines = STRV_INIT;

	strv_split(&lines, text, '\n');
	for (size_t i = lines.n; i-- > 0;)
		if (strncmp(lines.items[i], "debug", 5) != 0)
			return xstrdup(lines.items[i]);
	return NULL;
}

static void client_args(struct external *x, const char *log, struct strv *v)
{
	static const char *const options[] = {"ControlMaster=no", "LogLevel=DEBUG2",
		"ProxyCommand=false"}; /* without a master it must not connect by itself */

	add_base(x, v);
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		strv_add(v, "-o");
		strv_add(v, options[i]);
	}
	strv_add(v, "-E");
	strv_add(v, log);
}

/* Runs a client to its end. */
static int run_client(struct co *co, const struct strv *argv, const void *input, size_t n_input,
	struct ssh_sink sinks[2], int *ret_status, struct err *err)
{
	struct ssh_child *c;
	int r;

	if (ssh_child_start(co, argv, &c, err) < 0)
		return -1;
	ssh_child_feed(c, input, n_input);
	for (;;) {
		r = ssh_child_await(co, c, 0);
		for (unsigned i = 0; i < 2; i++) {
			struct buf *b = ssh_child_output(c, i);

			if (sinks && b->len)
				ssh_sink_add(&sinks[i], b->data, b->len);
			ssh_child_taken(c, i);
		}
		if (r < 0 || ssh_child_done(c))
			break;
	}
	if (r == 0)
		*ret_status = ssh_child_status(c);
	co_mask(co);
	ssh_child_end(co, c, 0);
	co_unmask(co);
	return r < 0 ? co_err(r, err) : 0;
}

static bool master_alive(struct co *co, struct external *x)
{
	_cleanup_err_ struct err e = ERR_INIT;
	_cleanup_free_ char *log = in_dir(x, "log");
	_cleanup_strv_ struct strv argv = STRV_INIT;
	int status = -1;

	client_args(x, log, &argv);
	strv_add(&argv, "-O");
	strv_add(&argv, "check");
	strv_add(&argv, "--");
	strv_add(&argv, x->host);
	int rc = run_client(co, &argv, NULL, 0, NULL, &status, &e);
	unlink(log);
	return rc == 0 && status == 0 && !ssh_child_exited(x->master);
}

static int lost(struct external *x, struct err *err)
{
	const struct buf *said = ssh_child_output(x->master, 1);
	_cleanup_free_ char *why = last_line(said->len ? said->data : "the connection was lost");

	x->base.dead = true;
	return err_set(err, ERR_UNAVAILABLE, "ssh: %s: %s", x->base.where, why);
}

/* 255 is ssh's own failure, a command ended by a signal, or the command's honest status. */
static int judge_255(
	struct co *co, struct external *x, const char *log, struct ssh_result *ret, struct err *err)
{
	_cleanup_free_ char *why = complaint(log);

	ret->exit_status = EXIT_SSH;
	if (strstr(log, "exit status from master"))
		return 0;
	if (!master_alive(co, x))
		return lost(x, err);
	if (why)
		return err_set(err, ERR_UNAVAILABLE, "ssh: %s: %s", x->base.where, why);
	if (strstr(log, "terminated unexpectedly"))
		ret->exit_status = -1; /* the name of the signal is not told */
	return 0;
}

static int external_exec(struct co *co, struct ssh *s, const char *command, const void *input,
	size_t n_input, struct ssh_result *ret, struct err *err)
{
	struct external *x = (struct external *)s;
	struct ssh_sink sinks[2] = {{.s = s, .out = &ret->out}, {.s = s, .out = &ret->errout}};
	_cleanup_free_ char *log = in_dir(x, "log");
	_cleanup_strv_ struct strv argv = STRV_INIT;
	_cleanup_buf_ struct buf told = BUF_INIT;

	if (ssh_child_exited(x->master))
		return lost(x, err);
	client_args(x, log, &argv);
	strv_add(&argv, "--");
	strv_add(&argv, x->host);
	strv_add(&argv, command);
	int rc = run_client(co, &argv, input, n_input, sinks, &ret->exit_status, err);
	for (size_t i = 0; i < ARRAY_SIZE(sinks); i++) {
		ret->truncated |= sinks[i].cut;
		ssh_sink_end(&sinks[i]);
	}
	read_log(x, &told);
	if (rc < 0)
		return err_wrap(err, "ssh: %s", s->where);
	if (ret->exit_status < 0)
		return err_set(err, ERR_UNAVAILABLE, "ssh: %s: the client was killed", s->where);
	return ret->exit_status == EXIT_SSH ? judge_255(co, x, buf_str(&told), ret, err) : 0;
}

static void external_close(struct co *co, struct ssh *s)
{
	struct external *x = (struct external *)s;

	/* One that has logged in ends by itself: its `cat` reads the end of file. */
	ssh_child_end(co, x->master, x->ready && !s->dead ? SSH_CLOSE_MS : 0);
	remove_dir(x);
	free(x->host);
	free(x);
}

static const struct ssh_ops external_ops = {"ssh", external_exec, external_close};

/* A key learned on first contact is in the private file only; that has done its duty then. */
static void learn_key(struct external *x, const struct ssh_place_info *p)
{
	_cleanup_err_ struct err e = ERR_INIT;
	_cleanup_hostkeys_ struct hostkeys now = {0};
	_cleanup_free_ char *file = in_dir(x, "known_hosts");

	if (p->t->known_hosts && (p->known.expected || hostkeys_usable(&p->known) == 0) &&
		hostkeys_load(file, &now, &e) == 0)
		for (size_t i = 0; i < now.n; i++)
			if (!now.items[i].revoked)
				ssh_remember_key(p, now.items[i].blob, now.items[i].len);
	unlink(file);
}

static int start_master(
	struct co *co, struct external *x, const struct ssh_place_info *p, struct err *err)
{
	_cleanup_free_ char *file = NULL;
	_cleanup_strv_ struct strv argv = STRV_INIT;

	if (make_dir(x, err) < 0)
		return -1;
	file = in_dir(x, "known_hosts");
	if (hostkeys_write(&p->known, file, p->alias, err) < 0)
		return -1;
	master_args(x, p, &argv);
	if (ssh_child_start(co, &argv, &x->master, err) < 0 || await_ready(co, x, p, err) < 0)
		return -1;
	x->ready = true;
	learn_key(x, p);
	return 0;
}

int ssh_external_open(struct co *co, struct ssh_place_info *p, struct ssh **ret, struct err *err)
{
	struct external *x = xcalloc(1, sizeof(*x));

	x->base.ops = &external_ops;
	x->host = xstrdup(p->t->host);
	if (start_master(co, x, p, err) < 0) {
		co_mask(co);
		external_close(co, &x->base);
		co_unmask(co);
		return -1;
	}
	*ret = &x->base;
	return 0;
}
