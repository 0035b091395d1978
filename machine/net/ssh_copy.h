/*
 * Command lines of the programs that work through ssh: scp, rsync, sshfs. They reach a machine as
 * `machine ssh` does (ssh_client_args): the same options, and the host key pinned in the same file.
 */
#pragma once

#include "ssh.h"
#include "strv.h"

struct copy_end {
	const struct ssh_target *target; /* NULL: this computer */
	const char *path;
};

struct copy {
	struct copy_end from, to;
	bool recursive, quiet;
};

/*
 * Options are given on the command line where they are those of one machine, in the order of Docker
 * Machine's. Between two machines each needs its own port, key and host key: scp then wants a
 * configuration file with both. ERR_USER: a path that cannot stand in one.
 */
bool copy_needs_config(const struct copy *c);
int copy_config(const struct copy *c, struct buf *ret, struct err *err);

/* config: the path of that file, NULL without one. */
void scp_args(const struct copy *c, const char *config, struct strv *ret);
/* At most one end is a machine. */
void rsync_args(const struct copy *c, struct strv *ret);
/* Mounts the machine's path on the folder `where`. */
void sshfs_args(const struct ssh_target *t, const char *path, const char *where, struct strv *ret);

/* A local path as an argument: "./" goes in front of what would be taken for an option, and of
 * what scp and rsync would take for a host. malloc'ed. */
char *local_argument(const char *path);
