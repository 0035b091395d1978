/*
 * Calls to a provider's API: the server is a child that answers as it is told; the host is a pipe
 * that says nothing, and a file that takes what the driver says.
 */
#pragma once

#include "sdk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/types.h>

#include <cmocka.h>

#define SECRET "s3cret\"text"
#define BODY "{\"key\":\"s3cret\\\"text\",\"other\":\"short\"}"
#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
#define SAYS(status, headers) "HTTP/1.1 " status " x\r\n" headers "Content-Length: 0\r\n\r\n"
#define CLOSES "" /* without an answer */

struct server {
	pid_t pid;
	int count; /* a byte for each request */
	char url[64];
};

/* answers: up to NULL, one for each request. Connections are kept open, unless one is CLOSES. */
void start(struct server *s, const char *const *answers);
unsigned stop(struct server *s); /* the number of requests that there were */

/* The host. */
extern int silent[2]; /* it says nothing */
extern struct md_request rq;
extern FILE *told;
int set_up(void **state);
int tear_down(void **state);

/* The driver. */
extern unsigned prepared; /* attempts */
extern bool again, unprepared;
extern const char *key; /* the header's value */
void open_api(struct md_api *a);
int call(struct md_api *a, const struct server *s, const char *method, bool repeatable,
	struct err *err);

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
