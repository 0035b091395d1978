/*
 * Remove: the floating IP, the server, then what it held (volume, group) and the key pair. What is
 * gone already is no error; what fails does not keep the rest.
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

/* 1: it is not gone yet, and something waits for that. */
static int remove_server(struct os_api *a, struct md_machine *m, struct err *err)
{
	_cleanup_json_ struct json *server = NULL;
	_cleanup_err_ struct err mine = ERR_INIT;
	const char *task;

	if (!*md_state_str(m, "MachineId") && md_state_bool(m, "ServerAsked") &&
		os_find_server(a, m, err) < 0)
		return -1;
	if (!*md_state_str(m, "MachineId"))
		return 0;
	if (!anything_held(m))
		return os_delete_server(a, m, err);
	if (os_get_server(a, m, &server, &mine) < 0)
		return mine.code == ERR_NOT_FOUND ? 0 : err_move(err, &mine);
	task = json_str(json_get(server, "OS-EXT-STS:task_state"), "");
	if (!streq(task, "deleting") && !strstr(os_status(server), "DELETED") &&
		os_delete_server(a, m, err) < 0)
		return -1;
	return 1;
}

struct removal {
	struct err first;
	const char *waits_for; /* NULL: nothing */
};

/* Notes how a step went. */
static void take_result(struct removal *r, int result, struct err *err, const char *waits_for)
{
	if (result > 0 && !r->waits_for)
		r->waits_for = waits_for;
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

	take_result(r, ip, &err, NULL);
	if (ip == 0) { /* not to be asked for at each turn of a wait */
		json_set_str(m->state, "FloatingIpId", "");
		json_set(m->state, "FloatingIpCreated", json_bool(false));
	}
	server = remove_server(a, m, &err);
	take_result(r, server, &err, "the server to be gone");
	if (server > 0)
		return;
	if (server == 0)
		take_result(r, os_remove_volume(a, m, &err), &err, "the volume to be free");
	take_result(r, os_remove_key(a, m, &err), &err, NULL);
	if (server == 0)
		take_result(r, os_remove_group(a, m, &err), &err, "the security group to be free");
}

int os_remove(struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err)
{
	struct removal r = {.first = ERR_INIT};
	_cleanup_os_ struct os_api a = {0};

	if (!anything_made(m))
		return 0;
	os_open(&a, rq, m);
	remove_all(&a, m, &r);
	if (r.first.code)
		return err_move(err, &r.first);
	if (!r.waits_for) {
		json_set(m->state, "Removed", json_bool(true));
		return 0;
	}
	if (os_overdue(rq, m, OS_WAIT_REMOVE, GONE_S))
		return err_set(err, ERR_TIMEOUT, "waited %d s for %s (server %s)", GONE_S,
			r.waits_for, md_state_str(m, "MachineId"));
	md_cloud_wait(out, STATE_NONE, GONE_POLL_MS, "%s", r.waits_for);
	return 0;
}
