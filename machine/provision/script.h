/* Scripts for a host: composed here, sent over standard input to a root shell. */
#pragma once

#include "provision.h"

#include "buf.h"

#define SCRIPT_FILE_MAX (64u << 10)    /* a certificate or key */
#define SCRIPT_INSTALL_MAX (16u << 20) /* an install script */

/* Sets a variable of the script; any value is safe. */
void script_var(struct buf *b, const char *name, const char *value);
/* The same with a file's content; ERR_IO/ERR_USER. */
int script_file(struct buf *b, const char *name, const char *path, struct err *err);
int read_regular_file(const char *path, size_t max, struct buf *ret, struct err *err);

/* Runs the script as root and overwrites its text. An exit status other than 0 is an error that
 * shows the last lines of the output. */
int script_run(struct co *co, struct ssh *ssh, const struct provision_host *h, struct buf *script,
	struct ssh_result *ret, struct err *err);
/* The last lines of the output, fit to be shown; malloc'ed. */
char *script_tail(const char *out, size_t len);
/* Is there such a line? */
bool script_said(const struct ssh_result *r, const char *line);
