/*
 * The engine of a record's machine, asked with the certificates that the record names. The TLS
 * session is kept in the machine's folder, for the next time; whatever is wrong with that file, or
 * with writing it, costs a longer handshake and is no error.
 */
#pragma once

#include "engine.h"
#include "record.h"

#define TICKET_FILE ".tls-session"

/* Points into the record; without a ticket. */
struct engine_tls record_tls(const struct record *r);
/* engine_check_tls and engine_version. */
int record_check_tls(struct co *co, const struct store *s, const struct record *r, const char *url,
	uint64_t timeout_ms, struct err *err);
int record_engine_version(struct co *co, const struct store *s, const struct record *r,
	const char *url, uint64_t timeout_ms, char **ret_version, struct err *err);
/* The next handshake is a whole one. */
void record_forget_ticket(const struct store *s, const struct record *r);
