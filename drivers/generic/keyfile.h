/* Private key files: what kind of file is it, as far as its looks tell. No cryptography. */
#pragma once

#include "err.h"

#include <stddef.h>

#define KEYFILE_MAX (64u << 10)

/* What is wrong with the text as a private key for SSH, or NULL. The answer is a clause: "is …". */
const char *keyfile_problem(const char *text, size_t len);
/* Reads the file and judges it. Errors (ERR_USER) name the file, never its content. */
int keyfile_check(const char *path, struct err *err);
/* A known_hosts line ("HOST TYPE BASE64", or without HOST) or a fingerprint (SHA256:…). What is
 * wrong, or NULL. */
const char *hostkey_problem(const char *text);
