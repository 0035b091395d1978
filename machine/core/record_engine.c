#include "record_engine.h"

#include "log.h"
#include "mem.h"

#include <unistd.h>

struct engine_tls record_tls(const struct record *r)
{
	return (struct engine_tls){
		.ca = record_auth(r, "CaCertPath"),
		.cert = record_auth(r, "ClientCertPath"),
		.key = record_auth(r, "ClientKeyPath"),
	};
}

static char *ticket_path(const struct store *s, const struct record *r)
{
	return store_machine_file(s, r->name, TICKET_FILE);
}

static void load_ticket(const struct store *s, const struct record *r, struct engine_ticket *ret)
{
	_cleanup_free_ char *path = ticket_path(s, r);
	_cleanup_err_ struct err e = ERR_INIT;

	*ret = (struct engine_ticket){0};
	if (store_read_file(path, ENGINE_MAX_TICKET, &ret->data, &ret->len, &e) < 0 &&
		e.code != ERR_NOT_FOUND)
		log_debug("(%s) %s", r->name, err_msg(&e));
}

void record_forget_ticket(const struct store *s, const struct record *r)
{
	_cleanup_free_ char *path = ticket_path(s, r);

	unlink(path);
}

static void keep_ticket(const struct store *s, const struct record *r, struct engine_ticket *t)
{
	_cleanup_free_ char *path = ticket_path(s, r);
	_cleanup_err_ struct err e = ERR_INIT;

	if (t->changed && !t->data)
		unlink(path);
	else if (t->changed && store_write_spare(path, t->data, t->len, &e) < 0)
		log_debug("(%s) %s", r->name, err_msg(&e));
	free(t->data);
}

int record_check_tls(struct co *co, const struct store *s, const struct record *r, const char *url,
	uint64_t timeout_ms, struct err *err)
{
	struct engine_ticket ticket;
	struct engine_tls tls = record_tls(r);

	load_ticket(s, r, &ticket);
	tls.ticket = &ticket;
	int rc = engine_check_tls(co, url, &tls, timeout_ms, err);
	keep_ticket(s, r, &ticket);
	return rc;
}

int record_engine_version(struct co *co, const struct store *s, const struct record *r,
	const char *url, uint64_t timeout_ms, char **ret_version, struct err *err)
{
	struct engine_ticket ticket;
	struct engine_tls tls = record_tls(r);

	load_ticket(s, r, &ticket);
	tls.ticket = &ticket;
	int rc = engine_version(co, url, &tls, timeout_ms, ret_version, err);
	keep_ticket(s, r, &ticket);
	return rc;
}
