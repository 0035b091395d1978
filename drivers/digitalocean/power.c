/* Power, and what is known of droplets. */
#include "digitalocean.h"

#include <string.h>

#define ONE_BY_ONE_MAX 3u /* up to so many droplets are asked for one by one */

static const struct {
	const char *status;
	enum machine_state state;
} statuses[] = {
	{"new", STATE_STARTING},
	{"active", STATE_RUNNING},
	{"off", STATE_STOPPED},
};

static enum machine_state state_of(const struct json *droplet)
{
	const char *status = json_str(json_get(droplet, "status"), "");

	for (size_t i = 0; i < ARRAY_SIZE(statuses); i++)
		if (streq(statuses[i].status, status))
			return statuses[i].state;
	return STATE_NONE;
}

static int get_droplet(
	struct do_api *a, const struct md_machine *m, struct json **ret, struct err *err)
{
	int64_t id = md_state_int(m, "DropletID");
	_cleanup_free_ char *path = xasprintf("/droplets/%lld", (long long)id);
	_cleanup_json_ struct json *answer = NULL;

	if (!id)
		return err_set(err, ERR_NOT_FOUND, "the droplet has not been created");
	if (do_call(a, "GET", path, NULL, "look at the droplet", &answer, err) < 0) {
		if (err->code == ERR_NOT_FOUND)
			err_set(err, ERR_NOT_FOUND,
				"the droplet %lld does not exist at DigitalOcean (any more)",
				(long long)id);
		return -1;
	}
	*ret = json_copy(json_get(answer, "droplet"));
	return 0;
}

static int act(struct do_api *a, const struct md_machine *m, const char *type, struct err *err)
{
	_cleanup_free_ char *path =
		xasprintf("/droplets/%lld/actions", (long long)md_state_int(m, "DropletID"));
	_cleanup_free_ char *what = xasprintf("%s the droplet", type);
	struct json *body = json_object();

	json_set_str(body, "type", type);
	return do_call(a, "POST", path, body, what, NULL, err);
}

/* Until the droplet is in the wanted state. An action that comes while another is under way is
 * refused; then it is asked for again. */
static int power(struct md_request *rq, struct md_machine *m, const char *type,
	enum machine_state wanted, struct md_outcome *out, struct err *err)
{
	_cleanup_json_ struct json *droplet = NULL;
	_cleanup_err_ struct err mine = ERR_INIT;
	_cleanup_do_ struct do_api a;

	do_open(&a, rq, m);
	if (get_droplet(&a, m, &droplet, err) < 0)
		return -1;
	if (state_of(droplet) == wanted) {
		if (*do_address(droplet, "public"))
			json_set_str(m->state, "IPAddress", do_address(droplet, "public"));
		return 0;
	}
	if (act(&a, m, type, &mine) == 0) {
		md_cloud_wait(out, wanted, DO_POLL_MS, "the droplet to be %s",
			machine_state_name(wanted));
		return 0;
	}
	if (a.status != DO_STATUS_UNPROCESSABLE)
		return err_move(err, &mine);
	md_log(rq, LOG_LEVEL_INFO, "%s", err_msg(&mine));
	md_cloud_wait(out, STATE_NONE, DO_POLL_MS, "the droplet to be free for %s", type);
	return 0;
}

int do_start(struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err)
{
	return power(rq, m, "power_on", STATE_RUNNING, out, err);
}

int do_stop(struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err)
{
	return power(rq, m, "shutdown", STATE_STOPPED, out, err);
}

int do_kill(struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err)
{
	return power(rq, m, "power_off", STATE_STOPPED, out, err);
}

int do_restart(struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err)
{
	_cleanup_do_ struct do_api a;

	(void)out;
	do_open(&a, rq, m);
	return act(&a, m, "reboot", err);
}

static void report(const struct md_machine *m, const struct json *droplet, struct md_report *out)
{
	enum machine_state state = state_of(droplet);
	const char *address = do_address(droplet, "public");

	/* `create` waits for both */
	if (state == STATE_RUNNING && !*address)
		state = STATE_STARTING;
	if (*address)
		json_set_str(m->state, "IPAddress", address);
	md_cloud_report(m, state, out);
}

static void report_gone(const struct md_machine *m, struct md_report *out)
{
	int64_t id = md_state_int(m, "DropletID");

	out->state = STATE_ERROR;
	out->message = id ? xasprintf("the droplet %lld does not exist at DigitalOcean (any more)",
				    (long long)id)
			  : xstrdup("the droplet has not been created");
}

static void ask_one(
	struct do_api *a, const struct md_machine *m, struct md_report *out, struct err *err)
{
	_cleanup_json_ struct json *droplet = NULL;

	if (get_droplet(a, m, &droplet, err) == 0) {
		report(m, droplet, out);
	} else if (err->code == ERR_NOT_FOUND) {
		err_finish(err);
		report_gone(m, out);
	}
}

static const struct json *find_id(const struct json *list, int64_t id)
{
	for (size_t i = 0; json_at(list, i); i++)
		if (json_int_or(json_get(json_at(list, i), "id"), 0) == id)
			return json_at(list, i);
	return NULL;
}

/* Those that the list lacks are asked for: it changes while its pages are read. */
static int ask_all(struct do_api *a, struct md_machine *machines, size_t n,
	struct md_report *reports, struct err *errs, struct err *err)
{
	_cleanup_json_ struct json *list = NULL;

	if (do_list(a, "/droplets?", "droplets", "list the droplets", NULL, NULL, &list, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		int64_t id = md_state_int(&machines[i], "DropletID");
		const struct json *droplet = id ? find_id(list, id) : NULL;

		if (droplet)
			report(&machines[i], droplet, &reports[i]);
		else
			ask_one(a, &machines[i], &reports[i], &errs[i]);
	}
	return 0;
}

/* The machines are of one account: groupBy. */
int do_states(struct md_request *rq, struct md_machine *machines, size_t n,
	struct md_report *reports, struct err *errs, struct err *err)
{
	_cleanup_do_ struct do_api a;

	do_open(&a, rq, &machines[0]);
	if (n > ONE_BY_ONE_MAX)
		return ask_all(&a, machines, n, reports, errs, err);
	for (size_t i = 0; i < n; i++)
		ask_one(&a, &machines[i], &reports[i], &errs[i]);
	return 0;
}
