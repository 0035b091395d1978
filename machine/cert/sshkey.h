/* SSH key pairs. Ed25519 by libsodium in OpenSSH's format; fingerprints. */
#pragma once

#include "err.h"

#include <stdbool.h>
#include <stddef.h>

/* DIR/id_ed25519 (0600), DIR/id_ed25519.pub (0644) and the links id_rsa, id_rsa.pub. An existing
 * key is kept. */
int sshkey_make_ed25519(const char *dir, const char *comment, struct err *err);

enum sshkey_type { SSHKEY_UNKNOWN, SSHKEY_RSA, SSHKEY_ED25519, SSHKEY_ECDSA, SSHKEY_DSA };
struct sshkey_info {
	enum sshkey_type type;
	bool encrypted;
};
/* Looks at a private key file (PEM PKCS#1, PKCS#8, SEC1, OpenSSH). ERR_USER if it is none. */
int sshkey_inspect(const char *path, struct sshkey_info *ret, struct err *err);
bool sshkey_inspect_text(const char *text, struct sshkey_info *ret);
/* "SHA256:…" of a public key blob, as ssh-keygen prints; malloc'ed. */
char *sshkey_fingerprint(const void *blob, size_t len);
