/* Between the files of the SSH layer. */
#pragma once

#include "ssh.h"
#include "ssh_hostkey.h"
#include "strv.h"

#include <stdint.h>

#define SSH_LOGIN_MS 30000u       /* greeting, key exchange and authentication together */
#define SSH_KEEPALIVE_MS 15000u   /* of silence before the server is asked for a sign of life */
#define SSH_KEEPALIVE_MISSES 4u   /* unanswered ones before it counts as dead */
#define SSH_CLOSE_MS 1000u        /* for a polite goodbye */
#define LIBSSH2_RSA_SHA2 0x010b00 /* signs RSA with SHA-2 since 1.11 */
#define SSH_MAX_LINE 4096u        /* of ssh_on_line; longer ones come in parts */

struct ssh_ops {
	const char *name;
	int (*exec)(struct co *co, struct ssh *s, const char *command, const void *input,
		size_t n_input, struct ssh_result *ret, struct err *err);
	void (*close)(struct co *co, struct ssh *s); /* frees s; called masked */
};

struct ssh {
	const struct ssh_ops *ops;
	char *where; /* USER@HOST:PORT */
	bool dead;
	bool busy;
	void (*on_line)(void *userdata, const char *line);
	void *on_line_data;
};

/* What a backend's open function gets besides the target. */
struct ssh_place_info {
	const struct ssh_target *t;
	char *where;
	char *alias;
	int port;
	struct hostkeys known;
};

/* Puts the keys that are expected of the host into p->known, if it holds none. Connects where only
 * a fingerprint is given. */
int ssh_expect_keys(struct co *co, struct ssh_place_info *p, struct err *err);

int ssh_native_open(struct co *co, struct ssh_place_info *p, struct ssh **ret, struct err *err);
int ssh_external_open(struct co *co, struct ssh_place_info *p, struct ssh **ret, struct err *err);
/* An error of a backend's own time limit becomes ERR_UNAVAILABLE; the caller's stays ERR_TIMEOUT.
 */
int ssh_timeout_err(struct co *co, const char *where, const char *what, struct err *err);
/* Remembers an unknown host key once the login has shown that it is the right host. */
void ssh_remember_key(const struct ssh_place_info *p, const void *blob, size_t len);

int ssh_check_target(const struct ssh_target *t, struct err *err);
int ssh_place_info(const struct ssh_target *t, struct ssh_place_info *ret, struct err *err);
void ssh_place_info_finish(struct ssh_place_info *p);
#define _cleanup_place_info_ __attribute__((cleanup(ssh_place_info_finish)))

/* One output stream of a command: keeps up to SSH_MAX_OUTPUT bytes and cuts lines for on_line. */
struct ssh_sink {
	struct ssh *s;
	struct buf *out;
	struct buf line;
	bool cut;
};
void ssh_sink_add(struct ssh_sink *k, const char *data, size_t n);
void ssh_sink_end(struct ssh_sink *k); /* the last line; the mark of a cut; frees */

/* "-o IdentitiesOnly=yes -i KEY", or nothing without a key. */
void ssh_add_identity(struct strv *v, const char *key_path);
/* "-o", "NAME=VALUE" with the quoting and escapes of ssh_config. */
void ssh_add_option(struct strv *v, const char *name, const char *value);
/* What every client of a target gets, each as "-o", "NAME=VALUE": manners, and the host key pinned.
 */
void ssh_add_common(const struct ssh_target *t, struct strv *v);
