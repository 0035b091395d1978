/*
 * Create, step by step. Each step looks for what an earlier call may have made; what a step needs
 * of the one before is in the state by then.
 */
#include "openstack.h"

#include <string.h>
#include <time.h>

#define ADDRESS_S 60
#define ADDRESS_POLL_MS 2000u
#define STALE_S 60 /* so long after its end a wait is that of an earlier, cut try */

bool os_overdue(struct md_request *rq, struct md_machine *m, const char *key, int64_t seconds)
{
	_cleanup_err_ struct err ignored = ERR_INIT;
	int64_t now = (int64_t)time(NULL), until = md_state_int(m, key);

	if (!until || until > now + seconds || until < now - STALE_S) {
		json_set(m->state, key, json_int(now + seconds));
		return false;
	}
	if (now < until)
		return false;
	json_set(m->state, key, json_int(0));
	(void)!md_checkpoint(rq, m->state, &ignored);
	return true;
}

/* Names are looked up, and the region is decided, once; the catalog may be in another order
 * later. */
static int begin(struct os_api *a, struct md_request *rq, struct md_machine *m, struct err *err)
{
	if (*md_state_str(m, "ServerTag"))
		return 0;
	if (os_login(a, err) < 0)
		return -1;
	os_choose_region(m, a->session);
	if (os_resolve(a, m, err) < 0)
		return -1;
	return md_state_note(rq, m, "ServerTag", m->id, err);
}

/* What could not be removed is left to the machine's own removal. */
static bool undone(struct md_request *rq, int r, struct err *err)
{
	if (r < 0)
		md_log(rq, LOG_LEVEL_WARN, "%s", err_msg(err));
	err_finish(err);
	return r == 0;
}

void os_undo(struct os_api *a, struct md_machine *m)
{
	struct md_request *rq = a->api.rq;
	struct err err = ERR_INIT;

	/* a deletion that is accepted may still fail: the volume is looked for until the end */
	(void)undone(rq, os_remove_volume(a, m, &err), &err);
	if (undone(rq, os_remove_key(a, m, &err), &err) && !md_state_bool(m, "ExistingKey"))
		json_set_str(m->state, "KeyPairName", "");
	if (undone(rq, os_remove_group(a, m, &err), &err)) {
		json_set_str(m->state, "OwnSecurityGroup", "");
		json_set_str(m->state, "OwnSecurityGroupId", "");
	}
	json_set(m->state, OS_WAIT, json_int(0));
	(void)!md_checkpoint(rq, m->state, &err);
	err_finish(&err);
}

/* Was it refused for good, so that nothing will come of what was made so far? */
static bool is_refused(const struct os_api *a, const struct err *err)
{
	return a->status >= 400 && a->status < 500 && a->status != 401 && !err->retryable &&
	       !err->may_exist && err->code != ERR_CANCELED;
}

/* OS_BUSY: wait. */
static int make(struct os_api *a, struct md_request *rq, struct md_machine *m,
	struct md_outcome *out, struct err *err)
{
	int r;

	if (!*md_state_str(m, "MachineId")) {
		if (begin(a, rq, m, err) < 0)
			return -1;
		r = os_make_key(a, m, err);
		r = r < 0 ? r : os_make_group(a, m, err);
		r = r < 0 ? r : os_make_volume(a, m, out, err);
		r = r != 0 ? r : os_make_server(a, m, err);
		if (r < 0 && is_refused(a, err))
			os_undo(a, m);
		if (r != 0)
			return r;
	}
	md_cloud_made(m);
	return 0;
}

/* One that an earlier create left in ERROR, such as for want of a host, is replaced; one that is
 * gone has been, or somebody deleted it. */
static int replace_failed(
	struct os_api *a, struct md_request *rq, struct md_machine *m, struct err *err)
{
	_cleanup_json_ struct json *server = NULL;
	_cleanup_err_ struct err mine = ERR_INIT;
	_cleanup_free_ char *why = NULL;
	int found;

	if (!*md_state_str(m, "MachineId"))
		return 0;
	if (os_get_server(a, m, &server, &mine) < 0) {
		if (mine.code != ERR_NOT_FOUND)
			return err_move(err, &mine);
		found = os_find(a, m, &os_server, NULL, err);
		if (found != 0)
			return found < 0 ? -1 : 0;
		md_log(rq, LOG_LEVEL_INFO, "%s; another is made", err_msg(&mine));
	} else {
		if (!streq(os_status(server), "ERROR"))
			return 0;
		why = os_fault(server);
		md_log(rq, LOG_LEVEL_INFO, "%s; it is replaced", why);
		if (os_delete_server(a, md_state_str(m, "MachineId"), err) < 0)
			return -1;
	}
	json_set_str(m->state, "MachineId", "");
	json_set(m->state, OS_WAIT, json_int(0));
	return md_checkpoint(rq, m->state, err);
}

static int wait_active(
	struct md_machine *m, const struct json *server, struct md_outcome *out, struct err *err)
{
	int64_t now = (int64_t)time(NULL);

	if (streq(os_status(server), "ERROR")) {
		_cleanup_free_ char *why = os_fault(server);

		return err_set(err, ERR_UNAVAILABLE, "create the server: %s", why);
	}
	/* states tells when it has passed; here it has only when an earlier create gave up */
	if (md_state_int(m, OS_WAIT) <= now)
		json_set(m->state, OS_WAIT, json_int(now + md_state_int(m, "ActiveTimeout")));
	md_cloud_wait(out, STATE_RUNNING, OS_POLL_MS, "the server to become ACTIVE");
	return 0;
}

static int finish(struct os_api *a, struct md_request *rq, struct md_machine *m,
	const struct json *server, struct md_outcome *out, struct err *err)
{
	if (os_attach_volume(a, m, err) < 0 || os_make_floating_ip(a, m, err) < 0)
		return -1;
	if (!*md_state_str(m, "IPAddress"))
		json_set_str(m->state, "IPAddress", os_address(m, server));
	if (*md_state_str(m, "IPAddress")) {
		json_set(m->state, OS_WAIT, json_int(0));
		json_set(m->state, OS_WAIT_ADDRESS, json_int(0));
		return 0;
	}
	if (os_overdue(rq, m, OS_WAIT_ADDRESS, ADDRESS_S))
		return err_set(err, ERR_UNAVAILABLE,
			"no IP found for the machine: the server %s has no address of version %d "
			"(--openstack-ip-version, --openstack-net-name)",
			md_state_str(m, "MachineId"), (int)md_state_int(m, "IpVersion"));
	md_cloud_wait(out, STATE_NONE, ADDRESS_POLL_MS, "the server to get its address");
	return 0;
}

int os_create(struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err)
{
	_cleanup_os_ struct os_api a = {0};
	_cleanup_json_ struct json *server = NULL;
	int r;

	if (os_open(&a, rq, m, err) < 0)
		return -1;
	if (*md_state_str(m, "IPAddress"))
		return 0;
	r = os_settle(&a, m, out, err);
	r = r != 0 ? r : replace_failed(&a, rq, m, err);
	r = r != 0 ? r : make(&a, rq, m, out, err);
	if (r != 0)
		return r < 0 ? -1 : 0;
	if (os_get_server(&a, m, &server, err) < 0)
		return -1;
	if (!streq(os_status(server), "ACTIVE"))
		return wait_active(m, server, out, err);
	return finish(&a, rq, m, server, out, err);
}
