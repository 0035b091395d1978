/*
 * The SDK's main loop in a child, with a driver that does what the tests ask for by the machine's
 * name; the test is the host at the other end of the pipe.
 */
#pragma once

#include "sdk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/types.h>

#include <cmocka.h>

#define PATIENCE_MS 20000
#define TEST_DRIVER_FLAGS 4

struct host {
	pid_t pid;
	int to, from;
	struct frame_decoder in;
};

/* Set-up and tear-down; the state is a struct host. */
int start_pipe(void **state);
int start_sockets(void **state);
int start_silent(void **state); /* a pipe, and no initialize yet */
int stop_driver(void **state);
/* Closes the input and returns the exit status; -1 when it does not end in 2 s. */
int end_driver(struct host *h);

void send_text(struct host *h, const char *body);
void send_request(struct host *h, int id, const char *method, const char *params);
void send_machine(struct host *h, int id, const char *method, const char *name);
void send_cancel(struct host *h, int id);

struct json *receive(struct host *h);
void expect(struct host *h, const char *text);
void expect_error(struct host *h, int id, int code, const char *kind); /* kind NULL: any */
void expect_step(struct host *h, int step); /* a checkpoint whose id and state have this number */

#define WITH_PIPE(test) cmocka_unit_test_setup_teardown(test, start_pipe, stop_driver)
#define WITH_SOCKETS(test)                                               \
	{                                                                \
#test "_sockets", test, start_sockets, stop_driver, NULL \
	}
#define WITHOUT_HELLO(test) cmocka_unit_test_setup_teardown(test, start_silent, stop_driver)
