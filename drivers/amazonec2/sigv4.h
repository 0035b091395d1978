/* AWS Signature Version 4, of a POST without a query. */
#pragma once

#include <stddef.h>
#include <time.h>

struct sigv4 {
	const char *key, *secret;
	const char *token; /* of the session; "" or NULL: none */
	const char *region, *service;
	const char *host;         /* with the port, if it is not the scheme's */
	const char *path;         /* "/" */
	const char *content_type; /* NULL: not signed */
	const void *body;
	size_t n_body;
	time_t now;
};

#define SIGV4_DATE_BYTES 17 /* "20260102T030405Z" */

/* Writes X-Amz-Date's value; returns Authorization's, malloc'ed. */
char *sigv4_sign(const struct sigv4 *s, char ret_date[SIGV4_DATE_BYTES]);
