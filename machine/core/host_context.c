#include "host_context.h"

#include "log.h"
#include "mem.h"
#include "record_engine.h"

static int put(struct host *h, const char *url, struct err *err)
{
	struct engine_tls tls = record_tls(h->rec);
	struct context_endpoint e = {url, tls.ca, tls.cert, tls.key};

	return docker_context_put(h->app->store, h->rec->name, &e, err);
}

int host_context_make(struct co *co, struct host *h, struct err *err)
{
	_cleanup_free_ char *url = NULL;

	if (host_url(co, h, &url, err) < 0)
		return -1;
	return put(h, url, err);
}

void host_context_refresh(struct co *co, struct host *h)
{
	_cleanup_err_ struct err e = ERR_INIT;
	enum context_owner owner;

	if (docker_context_look(h->app->store, h->rec->name, &owner, &e) < 0 ||
		owner != CONTEXT_OURS)
		return;
	if (host_context_make(co, h, &e) < 0 && e.code != ERR_NOT_RUNNING)
		log_warn("(%s) %s", h->rec->name, err_msg(&e));
}

void host_context_forget(const struct store *s, const char *machine)
{
	_cleanup_err_ struct err e = ERR_INIT;
	enum context_owner was;

	if (docker_context_remove(s, machine, &was, &e) < 0)
		log_warn("(%s) %s", machine, err_msg(&e));
	else if (was == CONTEXT_OURS && docker_context_is_current(machine))
		log_warn("(%s) its docker context is gone, and the docker client still wants it: "
			 "choose another with \"docker context use\", for example \"default\"",
			machine);
}
