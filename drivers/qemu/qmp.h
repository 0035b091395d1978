/*
 * QEMU's monitor protocol over its Unix socket: a line of JSON each way. Blocking, every wait with
 * a deadline. QEMU serves one client at a time; another's connection waits until then.
 */
#pragma once

#include "err.h"
#include "json.h"

#include <stddef.h>
#include <stdint.h>

#define QMP_LINE_MAX (1u << 20)
#define QMP_LINES_MAX 1000u /* events before an answer */

enum qmp_kind { QMP_GREETING, QMP_EVENT, QMP_RETURN, QMP_ERROR };

struct qmp_message {
	enum qmp_kind kind;
	int64_t id;         /* RETURN, ERROR: of the command; 0: it has none */
	char *text;         /* EVENT: its name; ERROR: what QEMU says */
	struct json *value; /* RETURN: what was asked for */
};

/* Reads a line, without its end. ERR_PROTOCOL: it is nothing that QEMU says. */
int qmp_parse(const char *line, size_t len, struct qmp_message *ret, struct err *err);
void qmp_message_finish(struct qmp_message *m);

struct qmp; /* opaque */

/* Connects, and gets through the greeting. timeout_ms is for this and every command together.
 * ERR_NOT_RUNNING: nobody listens there. */
int qmp_open(const char *path, uint32_t timeout_ms, struct qmp **ret, struct err *err);
void qmp_close(struct qmp *q);
static inline void qmp_closep(struct qmp **q)
{
	qmp_close(*q);
}
#define _cleanup_qmp_ __attribute__((cleanup(qmp_closep)))

/* arguments may be NULL and are taken; so may ret be. */
int qmp_command(struct qmp *q, const char *name, struct json *take_arguments, struct json **ret,
	struct err *err);
/* A command of the monitor for people; what it prints, malloc'ed. */
int qmp_human(struct qmp *q, const char *line, char **ret, struct err *err);
/* Tells QEMU to end. That it closes the connection before it answers is an answer. */
int qmp_quit(struct qmp *q, struct err *err);
