#include "kit.h"

#include "config.h"
#include "mem.h"

#include <string.h>

struct json *hello_params(void)
{
	struct json *params = json_object(), *host = json_object(), *versions = json_array();

	json_add(versions, json_int(1));
	json_set(params, "protocolVersions", versions);
	json_set_str(host, "name", "machine");
	json_set_str(host, "version", MACHINE_VERSION);
	json_set(params, "host", host);
	json_set(params, "debug", json_bool(false));
	return params;
}

struct peer *start_peer(struct kit *k)
{
	_cleanup_err_ struct err err = ERR_INIT;
	struct peer *p = NULL;

	if (peer_new(k->executable, k->environment.items, &p, &err) < 0)
		fail(k, "%s", err_msg(&err));
	return p;
}

struct peer *start_ready(struct kit *k)
{
	_cleanup_answer_ struct answer a = {0};
	struct peer *p = start_peer(k);

	if (!p)
		return NULL;
	call(k, p, "initialize", hello_params(), ANSWER_MS, &a);
	if (a.what == GOT_RESULT)
		return p;
	fail(k, "%s", a.why);
	end_peer(k, p);
	return NULL;
}

/* Secrets in what it wrote to standard error count, too. */
static void check_tail(struct kit *k, const struct peer *p)
{
	for (size_t i = 0; i < k->secrets.n; i++) {
		const char *value = k->secrets.items[i];

		if (memmem(p->tail, p->tail_len, value, strlen(value)))
			broke(k, "G4", "the value of a secret flag is on standard error");
	}
}

void end_peer(struct kit *k, struct peer *p)
{
	bool ended = false;

	if (!p)
		return;
	peer_close_input(p);
	if (!k->rude && !p->broken && !interrupted())
		ended = peer_wait_exit(p, now_ms() + EXIT_MS);
	check_tail(k, p);
	saw(k, "Q1");
	if (peer_free(p) && ended)
		broke(k, "Q1", "a process of the driver's group outlived it");
}

struct peer *ready_peer(struct kit *k)
{
	if (k->peer && (k->peer->broken || k->peer->exited))
		drop_peer(k);
	if (!k->peer)
		k->peer = start_ready(k);
	return k->peer;
}

void drop_peer(struct kit *k)
{
	if (!k->peer)
		return;
	check_tail(k, k->peer);
	peer_kill(k->peer);
	peer_free(take(k->peer));
}
