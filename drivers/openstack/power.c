/* Power, and what is known of servers. */
#include "openstack.h"

#include <string.h>
#include <time.h>

#define ONE_BY_ONE_MAX 3u /* up to so many servers are asked for one by one */

int os_act(struct os_api *a, const char *id, const char *action, struct json *take_arg,
	struct err *err)
{
	_cleanup_free_ char *server = os_path("/servers", id);
	_cleanup_free_ char *path = xasprintf("%s/action", server);
	_cleanup_free_ char *what = xasprintf("%s the server", action);
	struct json *body = json_object();

	json_set(body, action, take_arg);
	return os_call(a, OS_COMPUTE, "POST", path, body, what, NULL, err);
}

/* What starts a server depends on how it was stopped. */
static const char *starting(const struct json *server)
{
	static const char *const ways[][2] = {{"PAUSED", "unpause"}, {"SUSPENDED", "resume"},
		{"SHELVED", "unshelve"}, {"SHELVED_OFFLOADED", "unshelve"}};

	for (size_t i = 0; i < ARRAY_SIZE(ways); i++)
		if (streq(ways[i][0], os_status(server)))
			return ways[i][1];
	return "os-start";
}

static bool has_task(const struct json *server)
{
	return json_is(json_get(server, "OS-EXT-STS:task_state"), JSON_STRING);
}

/* Until the server is in the wanted state. While another task is under way an action is refused;
 * then it is asked for again. So it is when the server has come there meanwhile. */
static int power(struct md_request *rq, struct md_machine *m, enum machine_state wanted,
	struct md_outcome *out, struct err *err)
{
	_cleanup_json_ struct json *server = NULL, *now = NULL;
	_cleanup_err_ struct err mine = ERR_INIT;
	_cleanup_os_ struct os_api a = {0};
	const char *action;

	if (os_open(&a, rq, m, err) < 0 || os_get_server(&a, m, &server, err) < 0)
		return -1;
	if (os_state(server) == wanted) {
		json_set(m->state, OS_WAIT, json_int(0)); /* of a create that was cut */
		return 0;
	}
	action = wanted == STATE_RUNNING ? starting(server) : "os-stop";
	if (os_act(&a, md_state_str(m, "MachineId"), action, json_null(), &mine) == 0) {
		json_set(m->state, OS_WAIT, json_int(0));
		md_cloud_wait(
			out, wanted, OS_POLL_MS, "the server to be %s", machine_state_name(wanted));
		return 0;
	}
	if (a.status != OS_STATUS_CONFLICT)
		return err_move(err, &mine);
	if (os_get_server(&a, m, &now, err) < 0)
		return -1;
	if (os_state(now) == wanted) {
		json_set(m->state, OS_WAIT, json_int(0));
		return 0;
	}
	if (!has_task(server) && !has_task(now))
		return err_move(err, &mine);
	md_log(rq, LOG_LEVEL_INFO, "%s", err_msg(&mine));
	md_cloud_wait(out, STATE_NONE, OS_POLL_MS, "the server to be free for %s", action);
	return 0;
}

int os_start(struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err)
{
	return power(rq, m, STATE_RUNNING, out, err);
}

int os_stop(struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err)
{
	return power(rq, m, STATE_STOPPED, out, err);
}

int os_restart(struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err)
{
	_cleanup_os_ struct os_api a = {0};
	struct json *how;

	(void)out;
	if (os_open(&a, rq, m, err) < 0)
		return -1;
	how = json_object();
	json_set_str(how, "type", "SOFT");
	return os_act(&a, md_state_str(m, "MachineId"), "reboot", how, err);
}

/* During a create. Also one that somebody has stopped meanwhile does not become ACTIVE. */
static bool is_late(const struct md_machine *m, const struct json *server)
{
	int64_t until = md_state_int(m, OS_WAIT);

	return until && (int64_t)time(NULL) > until && !streq(os_status(server), "ACTIVE") &&
	       !streq(os_status(server), "ERROR");
}

/* After our own remove it is as good as gone; the cloud takes its time. */
static bool is_gone(const struct md_machine *m, const struct json *server)
{
	const char *task = json_str(json_get(server, "OS-EXT-STS:task_state"), "");

	return strstr(os_status(server), "DELETED") ||
	       (md_state_bool(m, "Removed") && streq(task, "deleting"));
}

static void report(const struct md_machine *m, const struct json *server, struct md_report *out)
{
	const char *id = md_state_str(m, "MachineId");
	enum machine_state state = os_state(server);
	bool late = is_late(m, server), gone = is_gone(m, server);

	if (!*md_state_str(m, "IPAddress") && *os_address(m, server))
		json_set_str(m->state, "IPAddress", os_address(m, server));
	md_cloud_report(m, late || gone ? STATE_ERROR : state, out);
	if (late)
		out->message = xasprintf("the server %s is not ACTIVE after %lld s "
					 "(--openstack-active-timeout), but %s",
			id, (long long)md_state_int(m, "ActiveTimeout"), os_status(server));
	else if (gone)
		out->message =
			xasprintf("the server %s does not exist in the cloud (any more)", id);
	else if (state == STATE_ERROR)
		out->message = os_fault(server);
}

static void ask_one(
	struct md_request *rq, const struct md_machine *m, struct md_report *out, struct err *err)
{
	_cleanup_json_ struct json *server = NULL;
	_cleanup_os_ struct os_api a = {0};

	if (os_open(&a, rq, m, err) < 0)
		return;
	if (os_get_server(&a, m, &server, err) == 0) {
		report(m, server, out);
	} else if (err->code == ERR_NOT_FOUND) {
		out->state = STATE_ERROR;
		out->message = xstrdup(err_msg(err));
		err_finish(err);
	}
}

static const struct json *find_id(const struct json *list, const char *id)
{
	for (size_t i = 0; *id && json_at(list, i); i++)
		if (streq(json_str(json_get(json_at(list, i), "id"), ""), id))
			return json_at(list, i);
	return NULL;
}

/* Those that the list lacks are asked for: it changes while its pages are read. */
static int ask_all(struct md_request *rq, struct md_machine *machines, size_t n,
	struct md_report *reports, struct err *errs, struct err *err)
{
	_cleanup_os_ struct os_api a = {0};
	_cleanup_json_ struct json *list = NULL;

	size_t first = 0;

	while (first < n && os_open(&a, rq, &machines[first], &errs[first]) < 0)
		first++;
	if (first == n)
		return 0;
	if (os_list(&a, OS_COMPUTE, "/servers/detail", NULL, "servers", "list the servers", &list,
		    err) < 0)
		return -1;
	for (size_t i = first; i < n; i++) {
		const struct json *server = find_id(list, md_state_str(&machines[i], "MachineId"));

		if (os_check_state(&machines[i], &errs[i]) < 0)
			continue;
		if (server)
			report(&machines[i], server, &reports[i]);
		else
			ask_one(rq, &machines[i], &reports[i], &errs[i]);
	}
	return 0;
}

/* The machines are of one account and region: groupBy. */
int os_states(struct md_request *rq, struct md_machine *machines, size_t n,
	struct md_report *reports, struct err *errs, struct err *err)
{
	if (n > ONE_BY_ONE_MAX)
		return ask_all(rq, machines, n, reports, errs, err);
	for (size_t i = 0; i < n; i++)
		ask_one(rq, &machines[i], &reports[i], &errs[i]);
	return 0;
}
