/*
 * SSH to machines: one connection for everything that a command does on a machine. Two backends
 * behind one interface: libssh2 in process, and the system's ssh through a ControlMaster socket.
 *
 * Choice (the reason goes to the debug log): `native` forces libssh2; otherwise libssh2 when there
 * is a key file that it can use (Ed25519, ECDSA; RSA from libssh2 1.11 on), else the external
 * client (RSA with an old libssh2, no key: agent and default keys). Without an ssh executable:
 * libssh2.
 *
 * Host keys are pinned in known_hosts (OpenSSH format, one machine per file). While that holds
 * none, the first contact must show one of host_keys, if there are any; else what it shows is
 * trusted, unless strict. It is recorded once the login has worked. A change is ERR_USER with both
 * fingerprints and how to accept the new key.
 */
#pragma once

#include "buf.h"
#include "co.h"
#include "err.h"

#include <stdbool.h>
#include <stddef.h>

#define SSH_CONNECT_MS 10000u
#define SSH_MAX_OUTPUT (4u << 20) /* of one command and stream; more is cut, with a mark */

struct ssh_target {
	const char *machine; /* for messages */
	const char *host;
	int port;                /* 0: 22 */
	const char *user;        /* "" or NULL: root for native, ssh's choice for external */
	const char *key_path;    /* "" or NULL: the agent and default keys (external only) */
	const char *known_hosts; /* file; NULL: accept anything, record nothing (tests only) */
	char *const
		*host_keys; /* known in advance, NULL-terminated: hostkeys_expect; may be NULL */
	bool native;
	bool strict; /* refuse an unknown host key */
};

struct ssh;

/* ERR_UNAVAILABLE: nothing listens or it hung up (worth retrying); ERR_AUTH: the server refused the
 * key; ERR_USER: host key changed, key file unusable ("permissions 0644 for 'KEY' are too open",
 * …). */
int ssh_open(struct co *co, const struct ssh_target *t, struct ssh **ret, struct err *err);
void ssh_close(struct co *co, struct ssh *s); /* NULL is fine; ignores cancellation, bounded */
const char *ssh_backend(const struct ssh *s); /* "libssh2" or "ssh" */

struct ssh_result {
	int exit_status; /* -1: ended by a signal */
	char *signal;    /* "KILL" or NULL */
	bool truncated;
	struct buf out, errout;
};
void ssh_result_finish(struct ssh_result *r);

/* Runs a command (interpreted by the user's remote shell), feeding input (may be NULL) to its
 * standard input, then end of file. 0 whatever the command's exit status is; -1 when the connection
 * failed (ERR_UNAVAILABLE, the connection is then dead) or was cancelled. */
int ssh_exec(struct co *co, struct ssh *s, const char *command, const void *input, size_t n_input,
	struct ssh_result *ret, struct err *err);
/* Called with each complete line of output while the command runs; NULL switches off. */
void ssh_on_line(struct ssh *s, void (*fn)(void *userdata, const char *line), void *userdata);

/* Before ssh_client_args: names and key file are fit for a command line, and known_hosts is in the
 * form in which OpenSSH finds the key. ERR_USER otherwise. */
int ssh_client_check(const struct ssh_target *t, struct err *err);
/* Where a key is expected and none is recorded yet: connects, so that it is checked and recorded.
 * The client knows nothing of expected keys. */
int ssh_first_contact(struct co *co, const struct ssh_target *t, struct err *err);
/* The argument vector of an interactive `ssh` to the machine, without the program's own name "ssh"
 * left out: argv[0] is "ssh". For exec. */
struct strv;
void ssh_client_args(const struct ssh_target *t, struct strv *ret);
/* A login shell (no words) or a command with the words joined by blanks over libssh2, on this
 * process's terminal; a pty is requested as Docker Machine's native client does. *ret_status: exit
 * status. */
int ssh_interactive_native(struct co *co, const struct ssh_target *t, const struct strv *words,
	int *ret_status, struct err *err);

/* Quotes a word for a POSIX shell; malloc'ed. */
char *shell_quote(const char *word);
