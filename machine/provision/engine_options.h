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

/* What the engine is started with. */
struct engine_line {
	struct strv argv;       /* dockerd's path, then Docker Machine's flags in its order */
	size_t own;             /* where in argv the labels, registries and options begin */
	const struct strv *env; /* K=V; borrowed, as are the strings below */
	const char *dir;        /* where the certificates are */
	const char *storage_driver;
	int port;
};

void engine_line_init(struct engine_line *l, const char *dockerd, const char *dir,
	const struct provision_request *rq);
void engine_line_finish(struct engine_line *l);

/*
 * The options file of a service manager. ERR_USER: a value with a control character or invalid
 * UTF-8, a variable that is not K=V, too much of it all, or what that service manager cannot carry.
 */
int systemd_options(const struct engine_line *l, struct buf *ret, struct err *err);
/* The same with what Container Linux has its unit pass on. */
int flatcar_options(const struct engine_line *l, struct buf *ret, struct err *err);
/* /etc/conf.d/docker: a shell reads it, and reads the value again. */
int openrc_options(const struct engine_line *l, struct buf *ret, struct err *err);
/* boot2docker's profile: a shell reads it, and splits the value at blanks. */
int boot2docker_options(const struct engine_line *l, struct buf *ret, struct err *err);

/* For the writers: ERR_USER as above. */
int engine_line_check(const struct engine_line *l, struct err *err);
/* *take_text goes to the end of ret, unless it is too long. */
int engine_options_add(struct buf *take_text, struct buf *ret, struct err *err);

/* The engine refuses to start with an option both on its command line and in daemon.json, and with
 * a file that it cannot read; so that is ERR_USER, naming the key and the way out. text NULL: there
 * is no such file; version: the engine's, or NULL. */
int daemon_json_check(
	const char *text, const char *version, const struct strv *argv, struct err *err);
