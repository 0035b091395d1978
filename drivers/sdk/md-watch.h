/*
 * Part of machine-driver.h: who watches a long piece of work. The SDK's functions that take long
 * (programs, downloads, locks) do not know whether a driver serves a request or a command line is
 * at work; they tell a watcher, and ask it whether to give up.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct md_request;

struct md_watch {
	/* A line for the user; total 0: nothing is counted. May be NULL. */
	void (*tell)(void *arg, int64_t current, int64_t total, const char *message);
	/* True: give up; the function then fails with ERR_CANCELED. May be NULL. */
	bool (*cancelled)(void *arg);
	void *arg;
};

/* The watcher of a request: md_progress_of and md_cancelled. */
struct md_watch md_watch_request(struct md_request *rq);
