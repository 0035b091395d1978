/*
 * The libssh2 backend: connecting, checking the host, logging in. Everything is non-blocking; where
 * libssh2 says EAGAIN, the coroutine waits for the socket in the direction that libssh2 names.
 */
#include "ssh_native.h"

#include "log.h"
#include "mem.h"
#include "ssh_lazy.h"
#include "tcp.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

bool native_send_pending(struct native *n)
{
	return libssh2_session_block_directions(n->session) & LIBSSH2_SESSION_BLOCK_OUTBOUND;
}

int native_keepalive(struct native *n, uint64_t now)
{
	uint64_t quiet = now - MAX(n->heard_ms, n->asked_ms);
	int next = 0;

	if (now - n->heard_ms >= (uint64_t)SSH_KEEPALIVE_MS * (SSH_KEEPALIVE_MISSES + 1))
		return -ENOTCONN;
	if (quiet < SSH_KEEPALIVE_MS)
		return (int)(SSH_KEEPALIVE_MS - quiet);
	n->asked_ms = now;
	/* Not in the middle of another packet; then the silence alone counts. */
	if (libssh2_userauth_authenticated(n->session) && !native_send_pending(n) &&
		libssh2_keepalive_send(n->session, &next) < 0)
		return -ENOTCONN;
	return SSH_KEEPALIVE_MS;
}

int native_await(struct co *co, struct native *n)
{
	struct loop *loop = co_loop(co);
	int events = native_send_pending(n) ? UV_WRITABLE : UV_READABLE, one = 1;

	/* sshd does not switch off Nagle's algorithm before the first command: a delayed
	 * acknowledgement would cost 40 ms. The kernel forgets this setting, hence each time. */
	setsockopt(n->fd, IPPROTO_TCP, TCP_QUICKACK, &one, sizeof(one));
	for (;;) {
		int got = 0, ms = native_keepalive(n, loop_now(loop));

		if (ms < 0)
			return ms;
		int r = co_fd(co, n->fd, events, (uint64_t)ms, &got);
		if (r == 0) {
			n->heard_ms = loop_now(loop);
			return 0;
		}
		if (r != -ETIMEDOUT || (co_deadline_left(co) == 0))
			return r;
	}
}

static bool broken(int rc)
{
	switch (rc) {
	case LIBSSH2_ERROR_CHANNEL_FAILURE:
	case LIBSSH2_ERROR_CHANNEL_REQUEST_DENIED:
		return false;
	default:
		return true;
	}
}

int native_err(struct native *n, int rc, const char *what, struct err *err)
{
	char *text = NULL;

	n->base.dead |= broken(rc);
	if (rc == LIBSSH2_ERROR_SOCKET_RECV || rc == LIBSSH2_ERROR_SOCKET_SEND ||
		rc == LIBSSH2_ERROR_SOCKET_DISCONNECT)
		return err_set(err, ERR_UNAVAILABLE, "ssh: %s: %s: the connection was lost",
			n->base.where, what);
	libssh2_session_last_error(n->session, &text, NULL, 0);
	return err_set(err, ERR_UNAVAILABLE, "ssh: %s: %s: %s (%d)", n->base.where, what,
		text && *text ? text : "failed", rc);
}

int native_wait_err(struct native *n, int rc, struct err *err)
{
	n->base.dead = true;
	if (rc == -ENOTCONN)
		return err_set(err, ERR_UNAVAILABLE, "ssh: %s: the server no longer answers",
			n->base.where);
	co_err(rc, err);
	return err_wrap(err, "ssh: %s", n->base.where);
}

static int wrong(struct native *n, int wait_rc, int rc, const char *what, struct err *err)
{
	return wait_rc < 0 ? native_wait_err(n, wait_rc, err) : native_err(n, rc, what, err);
}

/* Sets what the server may show: the wanted algorithms, then `others`. False: none is left. Only
 * names that libssh2 supports: 1.10 drops others from the list by a memcpy onto itself. */
static bool prefer(struct native *n, const char *algorithms, bool others)
{
	_cleanup_strv_ struct strv wanted = STRV_INIT, all = STRV_INIT, order = STRV_INIT;
	const char **names = NULL;
	int count = libssh2_session_supported_algs(n->session, LIBSSH2_METHOD_HOSTKEY, &names);
	for (int i = 0; i < count; i++)
		strv_add(&all, names[i]);
	if (count > 0)
		libssh2_free(n->session, (void *)names);
	strv_split(&wanted, algorithms, ',');
	strv_foreach (name, &wanted) {
		if (strv_contains(&all, name))
			strv_add(&order, name);
	}
	strv_foreach (name, &all) {
		if (others && !strv_contains(&order, name))
			strv_add(&order, name);
	}
	_cleanup_free_ char *list = strv_join(&order, ",");
	return *list && libssh2_session_method_pref(n->session, LIBSSH2_METHOD_HOSTKEY, list) == 0;
}

/* The recorded types first, so that the server shows the key that we know. */
static void prefer_recorded(struct native *n, const struct hostkeys *known)
{
	_cleanup_free_ char *recorded = hostkeys_algorithms(known);

	if (*recorded)
		prefer(n, recorded, true);
}

static int check_host(struct native *n, const struct ssh_place_info *p, struct err *err)
{
	size_t len = 0;
	int type;
	const char *blob = libssh2_session_hostkey(n->session, &len, &type);

	if (!blob)
		return err_set(err, ERR_UNAVAILABLE, "ssh: %s: the server showed no host key",
			n->base.where);
	if (!p->t->known_hosts)
		return 0;
	return hostkeys_judge(&p->known, blob, len, p->t->strict,
		p->t->machine ? p->t->machine : p->t->host, p->t->known_hosts, err);
}

static int auth_err(struct native *n, const struct ssh_target *t, int rc, struct err *err)
{
	switch (rc) {
	case LIBSSH2_ERROR_AUTHENTICATION_FAILED:
	case LIBSSH2_ERROR_PUBLICKEY_UNVERIFIED:
	case LIBSSH2_ERROR_METHOD_NOT_SUPPORTED:
		return err_set(err, ERR_AUTH, "ssh: %s: permission denied for the key %s",
			n->base.where, t->key_path);
	case LIBSSH2_ERROR_FILE:
	case LIBSSH2_ERROR_METHOD_NONE:
	case LIBSSH2_ERROR_PUBLICKEY_PROTOCOL:
	case LIBSSH2_ERROR_KEYFILE_AUTH_FAILED:
		return err_set(err, ERR_USER, "ssh: the key file %s cannot be used by libssh2",
			t->key_path);
	default:
		return native_err(n, rc, "log in", err);
	}
}

static int log_in(struct co *co, struct native *n, const struct ssh_target *t, struct err *err)
{
	const char *user = t->user && *t->user ? t->user : "root";
	int wait_rc, rc;

	if (!t->key_path || !*t->key_path)
		return err_set(err, ERR_USER,
			"ssh: no key file is set for \"%s\", and libssh2 uses neither the agent "
			"nor default keys",
			t->machine ? t->machine : t->host);
	rc = native_do(co, n, &wait_rc,
		libssh2_userauth_publickey_fromfile_ex(
			n->session, user, (unsigned)strlen(user), NULL, t->key_path, NULL));
	if (wait_rc < 0)
		return native_wait_err(n, wait_rc, err);
	return rc < 0 ? auth_err(n, t, rc, err) : 0;
}

static int greet(struct co *co, struct native *n, const struct ssh_place_info *p, struct err *err)
{
	int wait_rc;
	int rc = native_do(co, n, &wait_rc, libssh2_session_handshake(n->session, n->fd));

	if (rc < 0)
		return wrong(n, wait_rc, rc, "handshake", err);
	if (check_host(n, p, err) < 0 || log_in(co, n, p->t, err) < 0)
		return -1;
	size_t len = 0;
	int type;
	const char *blob = libssh2_session_hostkey(n->session, &len, &type);
	ssh_remember_key(p, blob, len);
	libssh2_keepalive_config(n->session, 1, 1);
	return 0;
}

static int start_session(struct native *n, struct err *err)
{
	static bool initialized;

	if (ssh_lazy_load(err) < 0)
		return -1;
	if (!initialized && libssh2_init(0) != 0)
		return err_set(err, ERR_INTERNAL, "libssh2 does not start");
	initialized = true;
	n->session = libssh2_session_init_ex(NULL, NULL, NULL, NULL);
	if (!n->session)
		return err_set(err, ERR_INTERNAL, "libssh2 opens no session");
	libssh2_session_set_blocking(n->session, 0);
	return 0;
}

static int dial(struct co *co, struct ssh_place_info *p, int *ret_fd, struct err *err)
{
	int one = 1;

	if (tcp_connect(co, p->t->host, p->port, SSH_CONNECT_MS, ret_fd, err) < 0) {
		if (err->code == ERR_TIMEOUT)
			return ssh_timeout_err(co, p->where, "connecting", err);
		return err_wrap(err, "ssh");
	}
	setsockopt(*ret_fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return 0;
}

static int open_session(
	struct co *co, struct ssh_place_info *p, struct native **ret, struct err *err)
{
	int fd;

	if (dial(co, p, &fd, err) < 0)
		return -1;
	struct native *n = xcalloc(1, sizeof(*n));
	n->fd = fd;
	n->base.where = p->where; /* borrowed until the connection stands */
	n->heard_ms = n->asked_ms = loop_now(co_loop(co));
	if (start_session(n, err) < 0) {
		native_disconnect(co, n);
		return -1;
	}
	*ret = n;
	return 0;
}

static void give_up(struct co *co, struct native *n)
{
	co_mask(co);
	native_disconnect(co, n);
	co_unmask(co);
}

int native_connect(struct co *co, struct ssh_place_info *p, struct native **ret, struct err *err)
{
	struct co_deadline d;
	struct native *n;

	if (open_session(co, p, &n, err) < 0)
		return -1;
	prefer_recorded(n, &p->known);
	co_deadline_begin(co, &d, SSH_LOGIN_MS);
	int rc = greet(co, n, p, err);
	co_deadline_end(co, &d);
	if (rc < 0) {
		if (err->code == ERR_TIMEOUT)
			ssh_timeout_err(co, p->where, "logging in", err);
		give_up(co, n);
		return -1;
	}
	*ret = n;
	return 0;
}

static int exchange_keys(struct co *co, struct native *n, struct buf *ret, struct err *err)
{
	const char *blob;
	size_t len = 0;
	int wait_rc, type;
	int rc = native_do(co, n, &wait_rc, libssh2_session_handshake(n->session, n->fd));

	if (wait_rc == 0 && rc == LIBSSH2_ERROR_KEX_FAILURE) {
		n->base.dead = true;
		return 0; /* nothing in common */
	}
	if (rc < 0)
		return wrong(n, wait_rc, rc, "handshake", err);
	blob = libssh2_session_hostkey(n->session, &len, &type);
	if (blob)
		buf_add(ret, blob, len);
	return blob != NULL;
}

int native_ask_key(struct co *co, struct ssh_place_info *p, const char *algorithms, struct buf *ret,
	struct err *err)
{
	struct co_deadline d;
	struct native *n;
	int rc = 0;

	if (open_session(co, p, &n, err) < 0)
		return -1;
	if (prefer(n, algorithms, false)) {
		co_deadline_begin(co, &d, SSH_LOGIN_MS);
		rc = exchange_keys(co, n, ret, err);
		co_deadline_end(co, &d);
		if (rc < 0 && err->code == ERR_TIMEOUT)
			ssh_timeout_err(co, p->where, "asking for its host key", err);
	}
	give_up(co, n);
	return rc;
}

/* Says goodbye when nothing is in the way; then the socket is shut, so that libssh2's own tidying
 * cannot wait for anything. */
void native_disconnect(struct co *co, struct native *n)
{
	if (n->session) {
		if (!n->base.dead && !native_send_pending(n)) {
			while (libssh2_session_disconnect(n->session, "done") ==
					LIBSSH2_ERROR_EAGAIN &&
				co_fd(co, n->fd, UV_WRITABLE, SSH_CLOSE_MS, NULL) == 0)
				;
		}
		shutdown(n->fd, SHUT_RDWR);
		libssh2_session_free(n->session);
	}
	close(n->fd);
	free(n);
}
