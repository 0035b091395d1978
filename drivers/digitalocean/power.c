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

static int gone(const struct md_machine *m, struct err *err)
{
	return err_set(err, ERR_NOT_FOUND,
		"the droplet %lld does not exist at DigitalOcean (any more)",
		(long long)md_state_int(m, "DropletID"));
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
		return err->code == ERR_NOT_FOUND ? gone(m, err) : -1;
	}
	if (!json_is(json_get(answer, "droplet"), JSON_OBJECT))
		return err_set(err, ERR_PROTOCOL,
			"look at the droplet: DigitalOcean: the answer has none");
	*ret = json_copy(json_get(answer, "droplet"));
	return 0;
}

/* An action that comes while another is under way is refused: it is asked for again. */
static int act(struct do_api *a, struct md_request *rq, struct md_machine *m, const char *type,
	enum machine_state wanted, struct md_outcome *out, struct err *err)
{
	_cleanup_err_ struct err mine = ERR_INIT;

	if (do_act(a, m, type, &mine) == 0) {
		do_not_refused(m);
		if (wanted != STATE_NONE)
			md_cloud_wait(out, wanted, DO_POLL_MS, "the droplet to be %s",
				machine_state_name(wanted));
		return 0;
	}
	if (mine.code == ERR_NOT_FOUND)
		return gone(m, err);
	if (a->status != DO_STATUS_UNPROCESSABLE)
		return err_move(err, &mine);
	return do_refused(rq, m, &mine, out, err);
}

/* Until the droplet is in the wanted state. */
static int power(struct md_request *rq, struct md_machine *m, const char *type,
	enum machine_state wanted, struct md_outcome *out, struct err *err)
{
	_cleanup_json_ struct json *droplet = NULL;
	_cleanup_do_ struct do_api a = {0};

	if (do_open(&a, rq, m, err) < 0 || get_droplet(&a, m, &droplet, err) < 0)
		return -1;
	if (state_of(droplet) == wanted) {
		do_not_refused(m);
		if (*do_address(droplet, "public"))
			json_set_str(m->state, "IPAddress", do_address(droplet, "public"));
		return 0;
	}
	return act(&a, rq, m, type, wanted, out, err);
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
	_cleanup_do_ struct do_api a = {0};

	if (do_open(&a, rq, m, err) < 0)
		return -1;
	return act(&a, rq, m, "reboot", STATE_NONE, out, err);
}

/* What Docker Machine derives rather than stores: the user's own key, else the machine's; with a
 * fingerprint alone it is for ssh to find one. */
static void set_key_path(const struct md_machine *m)
{
	const char *own = md_state_str(m, "SSHKey"), *slash = strrchr(own, '/');
	_cleanup_free_ char *path = md_file(m, slash ? slash + 1 : *own ? own : "id_rsa");

	if (!*md_state_str(m, "SSHKeyPath") && (*own || !*md_state_str(m, "SSHKeyFingerprint")))
		json_set_str(m->state, "SSHKeyPath", path);
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
	set_key_path(m);
	md_cloud_report(m, state, out);
}

/* A new droplet that is not found is on its way, and a `create` goes on waiting for it. */
static void report_gone(const struct md_machine *m, struct md_report *out)
{
	int64_t id = md_state_int(m, "DropletID");

	if (id && do_is_new(m)) {
		set_key_path(m);
		md_cloud_report(m, STATE_STARTING, out);
		out->message =
			xasprintf("the droplet %lld is not known everywhere yet", (long long)id);
		return;
	}
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

/* Machines of one account. */
struct asked {
	struct md_machine *machines;
	struct md_report *reports;
	char *todo; /* 1: it is to be asked for */
	size_t n, left;
};

static bool note_droplet(const struct json *droplet, void *arg)
{
	int64_t id = json_int_or(json_get(droplet, "id"), 0);
	struct asked *asked = arg;

	for (size_t i = 0; id && i < asked->n; i++)
		if (asked->todo[i] && md_state_int(&asked->machines[i], "DropletID") == id) {
			report(&asked->machines[i], droplet, &asked->reports[i]);
			asked->todo[i] = 0;
			asked->left--;
		}
	return asked->left == 0;
}

/* Many are looked up in a list of the account's. It changes while its pages are read: whom it lacks
 * is looked for once more, in another one if they are many still. */
static int ask_account(struct do_api *a, struct asked *asked, struct err *errs, struct err *err)
{
	bool gone = false;

	for (int look = 0; look < 2 && asked->left > ONE_BY_ONE_MAX; look++) {
		if (do_list(a, "/droplets", "droplets", "list the droplets", note_droplet, asked,
			    err) < 0)
			return -1;
		gone = look > 0;
	}
	for (size_t i = 0; i < asked->n; i++) {
		if (!asked->todo[i])
			continue;
		if (gone)
			report_gone(&asked->machines[i], &asked->reports[i]);
		else
			ask_one(a, &asked->machines[i], &asked->reports[i], &errs[i]);
	}
	return 0;
}

static void copy_error(const struct err *err, struct err *ret)
{
	err_set(ret, err->code, "%s", err_msg(err));
	ret->retryable = err->retryable;
	ret->retry_after_ms = err->retry_after_ms;
}

static bool same_account(const struct md_machine *a, const struct md_machine *b)
{
	return streq(md_state_str(a, "AccessToken"), md_state_str(b, "AccessToken")) &&
	       streq(md_state_str(a, "APIURL"), md_state_str(b, "APIURL"));
}

/* Those of an account in one go; *done grows by them. */
static void ask_for_account_of(struct md_request *rq, const struct md_machine *first,
	struct asked *asked, char *done, struct err *errs)
{
	_cleanup_free_ char *todo = xcalloc(asked->n, 1);
	_cleanup_do_ struct do_api a = {0};
	_cleanup_err_ struct err err = ERR_INIT;

	asked->todo = todo;
	asked->left = 0;
	for (size_t i = 0; i < asked->n; i++)
		if (!done[i] && same_account(first, &asked->machines[i])) {
			done[i] = todo[i] = 1;
			asked->left++;
		}
	if (do_open(&a, rq, first, &err) < 0 || ask_account(&a, asked, errs, &err) < 0)
		for (size_t i = 0; i < asked->n; i++)
			if (todo[i])
				copy_error(&err, &errs[i]);
	asked->todo = NULL;
}

int do_states(struct md_request *rq, struct md_machine *machines, size_t n,
	struct md_report *reports, struct err *errs, struct err *err)
{
	_cleanup_free_ char *done = xcalloc(n + 1, 1);
	struct asked asked = {.machines = machines, .reports = reports, .n = n};

	(void)err;
	for (size_t i = 0; i < n; i++) {
		if (do_check_state(&machines[i], &errs[i]) < 0) {
			done[i] = 1;
		} else if (!md_state_int(&machines[i], "DropletID")) {
			report_gone(&machines[i], &reports[i]);
			done[i] = 1;
		}
	}
	for (size_t i = 0; i < n; i++)
		if (!done[i])
			ask_for_account_of(rq, &machines[i], &asked, done, errs);
	return 0;
}
