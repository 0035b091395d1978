/* What kind of SSH key a file holds; fingerprints. */
#pragma once

#include "err.h"

#include <stdbool.h>
#include <stddef.h>

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
