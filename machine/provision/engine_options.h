/*
 * The engine's command line, and the file that carries it. Nobody interprets a user's values on the
 * way: they go through the service manager's own quoting, or are refused.
 */
#pragma once

#include "buf.h"
#include "err.h"
#include "strv.h"

#define ENGINE_OPTIONS_MAX (64u << 10)

struct provision_request;

/* dockerd's path, then Docker Machine's flags in Docker Machine's order. */
void engine_argv(
	const char *dockerd, const char *dir, const struct provision_request *rq, struct strv *ret);

/* A systemd drop-in. ERR_USER: a value with a control character or invalid UTF-8, a variable that
 * is not K=V, too much of it all. */
int systemd_options(
	const struct strv *argv, const struct strv *env, struct buf *ret, struct err *err);

/* The engine refuses to start with an option both on its command line and in daemon.json; so that
 * is ERR_USER, naming the key and the way out. text NULL: there is no such file. */
int daemon_json_check(const char *text, const struct strv *argv, struct err *err);
