#include "create.h"

#include "actions.h"
#include "cert.h"
#include "fault.h"
#include "log.h"
#include "mem.h"
#include "quote.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define CONFIGURE_S 60u
#define PRECHECK_S 300u
#define RUNNING_S 180u
#define GATHER_MS 500u /* while the driver is busy, others come that can be asked about, too */
#define SEC 1000ull

static int step_create(struct co *co, struct host *h, struct err *err)
{
	if (host_run(co, h, DRIVER_CREATE, err) < 0)
		return err_wrap(err, "Error in driver during machine creation");
	return 0;
}

static int step_running(struct co *co, struct host *h, struct err *err)
{
	struct machine_report r = {0};
	unsigned gather_ms = driver_is_busy(h->driver) ? GATHER_MS : 0;

	if (host_location(co, h, gather_ms, &r, err) < 0)
		return err_wrap(err, "Error waiting for machine to be running");
	bool enough = r.unprobed /* the next step connects */ || r.state == STATE_RUNNING;
	machine_report_finish(&r);
	if (enough)
		return 0;
	if (host_wait_state(co, h, STATE_RUNNING, RUNNING_S * SEC, err) < 0)
		return err_wrap(err, "Error waiting for machine to be running");
	return 0;
}

static int step_detect(struct co *co, struct host *h, struct err *err)
{
	if (host_detect(co, h, err) < 0)
		return err_wrap(err, "Error detecting OS");
	return 0;
}

static int step_provision(struct co *co, struct host *h, struct err *err)
{
	log_info("Provisioning with %s...", provision_name(&h->system));
	if (host_provision(co, h, false, err) < 0)
		return err_wrap(err, "Error running provisioning");
	return 0;
}

static int step_check(struct co *co, struct host *h, struct err *err)
{
	if (host_wait_engine(co, h, 60 * SEC, err) < 0)
		return err_wrap(err, "Error checking the host");
	log_info("Docker is up and running!");
	return 0;
}

/*
 * The steps of a create. `remembered` steps are not repeated by --resume; the others leave only
 * knowledge in memory. `engine` steps are left out for drivers that want no provisioning.
 */
static const struct step {
	const char *name;
	const char *line;
	int (*run)(struct co *co, struct host *h, struct err *err);
	unsigned seconds;
	bool remembered;
	bool engine;
} steps[] = {
	{"create", "Creating machine...", step_create, 1800, true, false},
	{"running", "Waiting for machine to be running, this may take a few minutes...",
		step_running, RUNNING_S + 10, true, true},
	{"detect", "Detecting operating system of created instance...", step_detect, 600, false,
		true},
	{"provision", NULL, step_provision, 1800, true, true},
	{"check", "Checking connection to Docker...", step_check, 120, true, true},
};

/* At the end: programs know errors by how they begin. */
static int tell_limit(const struct step *s, uint64_t limit_ms, struct err *err)
{
	_cleanup_free_ char *msg = xstrdup(err_msg(err));
	enum err_code code = err->code;

	if (code != ERR_TIMEOUT)
		return -1;
	return err_set(err, code, "%s (step \"%s\": at most %llu s)", msg, s->name,
		(unsigned long long)(limit_ms / SEC));
}

static int run_step(struct co *co, struct host *h, const struct step *s, struct err *err)
{
	char point[64];
	struct co_deadline d;

	if (s->line)
		log_info("%s", s->line);
	app_step(h->app, h->rec->name, s->name);
	snprintf(point, sizeof(point), "create.%s.begin", s->name);
	fault_point(point);
	uint64_t limit_ms = host_patience(h, s->seconds * SEC);
	driver_deadline_begin(co, &d, h->driver, limit_ms);
	int rc = s->run(co, h, err);
	bool too_long = co_deadline_left(co) == 0;
	co_deadline_end(co, &d);
	if (rc < 0)
		return too_long ? tell_limit(s, limit_ms, err) : -1;
	if (s->remembered) {
		record_step_mark(h->rec, s->name);
		if (record_save(h->app->store, h->rec, err) < 0)
			return err_wrap(
				err, "Error saving host to store after step \"%s\"", s->name);
	}
	snprintf(point, sizeof(point), "create.%s", s->name);
	fault_point(point);
	return 0;
}

static int run_steps(struct co *co, struct host *h, struct err *err)
{
	bool engine = driver_info(h->driver)->provision;

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		const struct step *s = &steps[i];
		if (record_step_done(h->rec, s->name) || (s->engine && !engine))
			continue;
		if (run_step(co, h, s, err) < 0)
			return -1;
	}
	/* a machine that is not provisioned still needs the client's certificates */
	if (!engine && host_copy_client_certs(co, h, err) < 0)
		return -1;
	record_complete(h->rec);
	if (record_save(h->app->store, h->rec, err) < 0)
		return err_wrap(err, "Error attempting to save store");
	fault_point("create.complete");
	return 0;
}

static int creating(struct err *err)
{
	return err_wrap(err, "Error creating machine");
}

struct cert_work {
	struct cert_paths paths;
	bool force_client;
	struct cert_report report;
	int rc;
	struct err err;
};

static void bootstrap(void *arg)
{
	struct cert_work *w = arg;

	w->rc = cert_bootstrap(&w->paths, app_user(), w->force_client, &w->report, &w->err);
}

/* Those whose engines have a certificate by the CA that was there before. */
static void find_left_behind(
	const struct app *app, const char *ca, const struct strv *machines, struct strv *ret)
{
	_cleanup_strv_ struct strv all = STRV_INIT;
	_cleanup_err_ struct err ignored = ERR_INIT;

	if (store_list(app->store, &all, &ignored) < 0)
		return;
	strv_foreach (name, &all) {
		_cleanup_record_ struct record *rec = NULL;
		if (!strv_contains(machines, name) &&
			record_load(app->store, name, &rec, &ignored) == 0 &&
			streq(record_auth(rec, "CaCertPath"), ca) &&
			access(record_auth(rec, "ServerCertPath"), F_OK) == 0)
			strv_add(ret, name);
		err_finish(&ignored);
	}
}

static void tell_new_ca(
	const struct app *app, const char *ca, const struct strv *machines, bool expired)
{
	_cleanup_strv_ struct strv left = STRV_INIT;

	find_left_behind(app, ca, machines, &left);
	if (expired)
		log_warn("The certificate authority had expired and was replaced.");
	if (!left.n)
		return;
	_cleanup_free_ char *names = strv_join(&left, " ");
	log_warn("The certificate authority is new, and engines of earlier machines have "
		 "certificates of the old one: run \"docker-machine regenerate-certs %s\".",
		names);
}

int create_certs(struct co *co, struct app *app, const struct record *rec,
	const struct strv *machines, bool force_client, struct err *err)
{
	struct cert_work w = {
		.paths =
			{
				.dir = record_auth(rec, "CertDir"),
				.ca = record_auth(rec, "CaCertPath"),
				.ca_key = record_auth(rec, "CaPrivateKeyPath"),
				.client = record_auth(rec, "ClientCertPath"),
				.client_key = record_auth(rec, "ClientKeyPath"),
			},
		.force_client = force_client,
	};
	struct store_lock *lock;

	if (store_ensure(app->store, err) < 0 ||
		store_lock(co, app->store, NULL, 0, &lock, err) < 0)
		return err_wrap(err, "Error generating certificates");
	int r = co_work(co, bootstrap, &w);
	store_unlock(lock);
	if (r < 0 && w.rc == 0)
		w.rc = co_err(r, &w.err);
	if (w.report.made_ca) {
		tell_new_ca(app, w.paths.ca, machines, w.report.ca_expired);
		log_info("Creating CA: %s", w.paths.ca);
	}
	if (w.report.made_client)
		log_info("Creating client certificate: %s", w.paths.client);
	if (w.rc < 0) {
		err_move(err, &w.err);
		return err_wrap(err, "Error generating certificates");
	}
	return 0;
}

static int own_certs(struct co *co, struct app *app, const struct record *rec, struct err *err)
{
	_cleanup_strv_ struct strv names = STRV_INIT;

	strv_add(&names, rec->name);
	return create_certs(co, app, rec, &names, false, err);
}

static void new_id(char id[33])
{
	unsigned char raw[16];

	if (getrandom(raw, sizeof(raw), 0) != (ssize_t)sizeof(raw))
		abort();
	for (size_t i = 0; i < sizeof(raw); i++)
		snprintf(id + 2 * i, 3, "%02x", raw[i]);
}

static const char precheck_mark[] = "Error with pre-create check: ";

bool create_failed_precheck(const struct err *err)
{
	return strncmp(err_msg(err), precheck_mark, strlen(precheck_mark)) == 0;
}

static int configure(struct co *co, struct driver *d, const struct machine_ref *ref,
	const struct json *flags, struct json **ret_state, struct err *err)
{
	struct co_deadline limit;

	driver_deadline_begin(co, &limit, d, CONFIGURE_S * SEC);
	int rc = driver_configure(co, d, ref, flags, ret_state, err);
	co_deadline_end(co, &limit);
	if (rc == 0)
		return 0;
	host_blame(err, "configure", ref->name, driver_info(d)->name);
	return err_wrap(err, "Error setting machine configuration from flags provided");
}

static int precheck(struct co *co, struct app *app, struct driver *d, const struct machine_ref *ref,
	struct err *err)
{
	_cleanup_err_ struct err e = ERR_INIT;
	struct co_deadline limit;

	log_info("Running pre-create checks...");
	app_step(app, ref->name, "pre-create check");
	driver_deadline_begin(co, &limit, d, PRECHECK_S * SEC);
	int rc = driver_pre_create_check(co, d, ref, NULL, &e);
	co_deadline_end(co, &limit);
	app_status(app, ref->name, NULL);
	if (rc == 0)
		return 0;
	host_blame(&e, "check", ref->name, driver_info(d)->name);
	if (e.code == ERR_CANCELED)
		return err_move(err, &e);
	_cleanup_free_ char *quoted = go_quote(err_msg(&e));
	return err_set(err, e.code, "%s%s", precheck_mark, quoted);
}

/* The machine that this process claimed: nobody has resumed or replaced it since. */
static int check_ours(const struct record *rec, const char *id, struct err *err)
{
	if (!record_is_complete(rec) && streq(record_id(rec), id))
		return 0;
	return err_set(err, ERR_EXISTS,
		"Docker machine \"%s\" was resumed or replaced by another process before this one "
		"could go on",
		rec->name);
}

static int check_resumable(const struct record *rec, struct err *err)
{
	if (!record_is_complete(rec))
		return 0;
	return err_set(err, ERR_USER,
		"Docker machine \"%s\" is complete: there is nothing to resume", rec->name);
}

static int work(
	struct co *co, struct app *app, struct record *take_rec, bool certs, struct err *err)
{
	struct host *h = NULL;
	int rc = 0;

	if (certs)
		rc = own_certs(co, app, take_rec, err);
	if (rc < 0)
		record_free(take_rec);
	else
		rc = host_open(co, app, take_rec, &h, err);
	if (rc == 0)
		rc = run_steps(co, h, err);
	host_close(co, h);
	return rc < 0 ? creating(err) : 0;
}

/* Under the lock still, so that nobody begins with it in between. */
static enum create_left undo(struct co *co, struct app *app, const char *name, struct err *err)
{
	_cleanup_err_ struct err driver_err = ERR_INIT, e = ERR_INIT;
	_cleanup_free_ char *why = xstrdup(err_msg(err));

	if (err->code == ERR_CANCELED || co_cancelled(co))
		return CREATE_LEFT_HALF;
	if (remove_locked(co, app, name, false, &driver_err, &e) == 0)
		return CREATE_LEFT_REMOVED;
	err_set(err, err->code, "%s\nRemoving it failed, too: %s", why, err_msg(&e));
	return CREATE_LEFT_HALF;
}

static int finish_locked(struct co *co, struct app *app, const char *name, const char *id,
	struct create_end *end, struct err *err)
{
	struct record *rec;

	if (record_load(app->store, name, &rec, err) < 0) {
		if (err->code == ERR_NOT_FOUND)
			end->left = CREATE_LEFT_NOTHING;
		return creating(err);
	}
	if ((id ? check_ours(rec, id, err) : check_resumable(rec, err)) < 0) {
		end->left = CREATE_LEFT_OTHERS;
		record_free(rec);
		return -1;
	}
	end->context = record_wants_context(rec);
	if (work(co, app, rec, !id, err) == 0)
		return 0;
	if (end->remove_failed)
		end->left = undo(co, app, name, err);
	return -1;
}

/* Under the machine's lock, with the record as it is by then. id: of the machine that this process
 * claimed; NULL: any that is not complete, and the certificates may be gone. Whatever fails leaves
 * a machine for --resume and rm, but for one that is gone, or somebody else's. */
static int finish_machine(struct co *co, struct app *app, const char *name, const char *id,
	struct create_end *end, struct err *err)
{
	struct store_lock *lock;

	end->left = CREATE_LEFT_HALF;
	if (store_lock(co, app->store, name, 0, &lock, err) < 0)
		return creating(err);
	int rc = finish_locked(co, app, name, id, end, err);
	store_unlock(lock);
	return rc;
}

/* A failed claim leaves nothing, as a rule. */
static int claim(struct app *app, struct record *rec, struct create_end *end, struct err *err)
{
	if (record_claim(app->store, rec, err) == 0)
		return 0;
	if (err->code == ERR_EXISTS) {
		end->left = CREATE_LEFT_OTHERS;
		return -1;
	}
	if (store_exists(app->store, rec->name))
		end->left = CREATE_LEFT_HALF;
	return err_wrap(err, "Error saving host to store before attempting creation");
}

static int prepare(struct co *co, struct app *app, struct driver *d, struct machine_ref *ref,
	struct record *rec, struct create_end *end, struct err *err)
{
	if (driver_info(d)->provision && host_check_options(rec, err) < 0)
		return -1;
	if (own_certs(co, app, rec, err) < 0)
		return -1;
	ref->state = record_driver_state(rec);
	if (precheck(co, app, d, ref, err) < 0)
		return -1;
	fault_point("create.checked");
	return claim(app, rec, end, err);
}

int create_machine(struct co *co, struct app *app, const char *name, const char *driver_name,
	const struct json *flags, struct json *take_host_options, struct create_end *end,
	struct err *err)
{
	_cleanup_json_ struct json *options = take_host_options;
	_cleanup_json_ struct json *empty = json_object();
	_cleanup_free_ char *dir = store_machine_dir(app->store, name);
	struct json *state = NULL;
	struct driver *d;
	char id[33];

	end->left = CREATE_LEFT_NOTHING;
	new_id(id);
	struct machine_ref ref = {name, id, dir, store_path(app->store), empty};
	if (driver_set_get(co, app->drivers, driver_name, &d, err) < 0)
		return err_wrap(err, "Error getting new host");
	if (store_exists(app->store, name)) {
		end->left = CREATE_LEFT_OTHERS;
		return err_set(err, ERR_EXISTS, "Docker machine \"%s\" already exists", name);
	}
	if (configure(co, d, &ref, flags, &state, err) < 0)
		return -1;
	struct record *rec = record_new(name, driver_name, state, take(options), id);
	if (end->context)
		record_want_context(rec);
	int rc = prepare(co, app, d, &ref, rec, end, err);
	record_free(rec);
	if (rc < 0)
		return -1;
	fault_point("create.claimed");
	return finish_machine(co, app, name, id, end, err);
}

int create_resume(
	struct co *co, struct app *app, const char *name, struct create_end *end, struct err *err)
{
	end->left = CREATE_LEFT_NOTHING;
	if (store_check(app->store, name, err) < 0)
		return -1;
	return finish_machine(co, app, name, NULL, end, err);
}
