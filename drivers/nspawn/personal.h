/* What makes a machine of an image: the files that are its own, in the upper layer before the first
 * boot. Later the layer belongs to the host alone. */
#pragma once

#include "err.h"

struct personal {          /* borrowed */
	const char *tree;  /* the unpacked image */
	const char *upper; /* made; nothing is there */
	const char *hostname;
	const char *user;
	const char *login_key; /* a line of authorized_keys */
	const char *host_key;  /* paths of the server's key pair */
	const char *host_key_pub;
};

/* Is the user in the image? ERR_USER */
int personal_check_user(const char *tree, const char *user, struct err *err);
int personal_write(const struct personal *p, struct err *err);
