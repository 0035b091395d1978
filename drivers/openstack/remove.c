/*
 * Remove: the floating IP, the server, then what it held (volume, group) and the key pair. All that
 * has the machine's mark goes, not only what has its id in the state: an order may have been
 * carried out twice, or late. What is gone already is no error; what fails does not keep the rest.
 */
#include "openstack.h"

#include <string.h>

#define GONE_S 120
#define GONE_POLL_MS 2000u

static bool anything_made(const struct md_machine *m)
{
	return *md_state_str(m, "MachineId") || *md_state_str(m, "ServerTag") ||
	       *md_state_str(m, "FloatingIpId") ||
	       (*md_state_str(m, "KeyPairName") && !md_state_bool(m, "ExistingKey"));
}

/* Something that can be deleted only after the server. */
static bool anything_held(const struct md_machine *m)
{
	return md_state_bool(m, "VolumeCreated") || *md_state_str(m, "OwnSecurityGroup");
}

/* Those with the mark, and the one whose id is known: its name may be another by now. */
static int list_servers(
	struct os_api *a, const struct md_machine *m, struct json **ret, struct err *err)
{
	_cleanup_json_ struct json *list = NULL, *known = NULL;
	_cleanup_err_ struct err mine = ERR_INIT;
	const char *id = md_state_str(m, "MachineId");
	bool there = !*id;

	if (os_ours(a, m, &os_server, &list, err) < 0)
		return -1;
	for (size_t i = 0; json_at(list, i); i++)
		there = there || streq(json_str(json_get(json_at(list, i), "id"), ""), id);
	if (!there && os_get_server(a, m, &known, &mine) == 0)
		json_add(list, take(known));
	else if (!there && mine.code != ERR_NOT_FOUND)
		return err_move(err, &mine);
	*ret = take(list);
	return 0;
}

/* A cloud may keep what is deleted for days, and all that it holds. */
static int end_soft_deleted(struct os_api *a, const struct json *server, struct err *err)
{
	_cleanup_err_ struct err mine = ERR_INIT;

	if (!streq(os_status(server), "SOFT_DELETED") ||
		json_is(json_get(server, "OS-EXT-STS:task_state"), JSON_STRING))
		return 0;
	if (os_act(a, json_str(json_get(server, "id"), ""), "forceDelete", json_null(), &mine) ==
			0 ||
		mine.code == ERR_NOT_FOUND)
		return 0;
	if (a->status != OS_STATUS_FORBIDDEN && a->status != OS_STATUS_CONFLICT)
		return err_move(err, &mine);
	err_move(&a->busy, &mine);
	return 0;
}

static int remove_servers(struct os_api *a, struct md_machine *m, struct err *err)
{
	_cleanup_json_ struct json *list = NULL;
	bool any = false;

	if (list_servers(a, m, &list, err) < 0)
		return -1;
	for (size_t i = 0; json_at(list, i); i++) {
		const struct json *server = json_at(list, i);

		if (os_server.worth(server) == OS_GOING) {
			if (anything_held(m) && end_soft_deleted(a, server, err) < 0)
				return -1;
			continue;
		}
		any = true;
		if (os_delete_server(a, json_str(json_get(server, "id"), ""), err) < 0)
			return -1;
	}
	if (any && streq(md_state_str(m, OS_ORDERED), os_server.name))
		os_order_over(m);
	if (json_at(list, 0) && anything_held(m))
		return OS_BUSY;
	return os_order_open(m, os_server.name) ? OS_AWAITED : 0;
}

struct removal {
	struct err first;
	char *waits_for; /* NULL: nothing */
	bool awaits;     /* only for what was ordered: that ends by itself */
};

/* Notes how a step went. */
static void take_result(struct removal *r, int result, struct err *err, const char *what)
{
	if (result > 0 && (!r->waits_for || (r->awaits && result == OS_BUSY))) {
		free(r->waits_for);
		r->waits_for = result == OS_AWAITED
				       ? xasprintf(OS_AWAITED_TEXT, what)
				       : xasprintf("the %s to be %s", what,
						 streq(what, os_server.name) ? "gone" : "free");
		r->awaits = result == OS_AWAITED;
	}
	if (result < 0 && r->first.code)
		err_wrap(&r->first, "%s; and", err_msg(err));
	else if (result < 0)
		err_move(&r->first, err);
	err_finish(err);
}

static void remove_all(struct os_api *a, struct md_machine *m, struct removal *r)
{
	struct err err = ERR_INIT;
	int ip = os_remove_floating_ip(a, m, &err), server;

	take_result(r, ip, &err, os_floating_ip.name);
	if (ip == 0) { /* not to be asked for at each turn of a wait */
		json_set_str(m->state, "FloatingIpId", "");
		json_set(m->state, "FloatingIpCreated", json_bool(false));
	}
	server = remove_servers(a, m, &err);
	take_result(r, server, &err, os_server.name);
	if (server > 0)
		return;
	if (server == 0)
		take_result(r, os_remove_volume(a, m, &err), &err, os_volume.name);
	take_result(r, os_remove_key(a, m, &err), &err, OS_KEY);
	if (server == 0)
		take_result(r, os_remove_group(a, m, &err), &err, os_group.name);
}

int os_remove(struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err)
{
	struct removal r = {.first = ERR_INIT};
	_cleanup_os_ struct os_api a = {0};
	_cleanup_free_ char *text = NULL;

	if (os_open(&a, rq, m, err) < 0)
		return -1;
	if (!anything_made(m))
		return 0;
	remove_all(&a, m, &r);
	text = r.waits_for;
	if (r.first.code)
		return err_move(err, &r.first);
	if (!text) {
		json_set(m->state, "Removed", json_bool(true));
		return 0;
	}
	if (!r.awaits && os_overdue(rq, m, OS_WAIT_REMOVE, GONE_S))
		return err_set(err, ERR_TIMEOUT, "waited %d s for %s (server %s)%s%s", GONE_S, text,
			md_state_str(m, "MachineId"), a.busy.code ? ": " : "",
			a.busy.code ? err_msg(&a.busy) : "");
	md_cloud_wait(out, STATE_NONE, GONE_POLL_MS, "%s", text);
	return 0;
}
