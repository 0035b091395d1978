/*
 * The protocol trace: a line per frame, "TIME PID > BODY". Secrets are masked: values of flags
 * declared as secret, the same texts wherever they occur, and state members of the same name.
 */
#pragma once

#include "err.h"
#include "flagspec.h"
#include "json.h"

#include <stddef.h>

#define TRACE_SECRET_MIN 4u /* shorter values are masked under their names only */
#define TRACE_RAW_MAX 1024u /* of a body that is not JSON */

struct trace;

int trace_open(const char *file, struct trace **ret, struct err *err);
void trace_secret_flags(struct trace *t, const struct flagspecs *flags);
/* Values given for flags: those of secret flags are remembered. */
void trace_flag_values(struct trace *t, const struct json *flags);
void trace_frame(struct trace *t, int pid, char direction, const char *body, size_t len);
void trace_note(struct trace *t, int pid, const char *text);
void trace_free(struct trace *t);
