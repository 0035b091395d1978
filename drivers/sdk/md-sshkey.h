/* Part of machine-driver.h: SSH key pairs, Ed25519 in OpenSSH's format. */
#pragma once

#include "err.h"

/* DIR/NAME (0600) and DIR/NAME.pub (0644), whole or not at all. An existing key is kept. With
 * ret_pub the public line "ssh-ed25519 BASE64 COMMENT", malloc'ed, without line break. */
int md_sshkey(
	const char *dir, const char *name, const char *comment, char **ret_pub, struct err *err);
/* The machine's own login key: DIR/id_ed25519, and id_rsa and id_rsa.pub as further names of its
 * files, for programs that know the old one. */
int md_sshkey_login(const char *dir, const char *comment, char **ret_pub, struct err *err);
/* Of a public line ("ssh-ed25519 BASE64 …"), in the form that providers name keys by: 16 pairs of
 * hex digits with colons between them; malloc'ed. NULL: it is no key. */
char *md_sshkey_md5(const char *pub);
/* Where a copy of a user's key goes: DIR and the key's own name, but "ssh_key" where that is one of
 * the host's own (M3); malloc'ed. */
struct md_machine;
char *md_key_copy_path(const struct md_machine *m, const char *key);
