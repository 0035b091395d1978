/*
 * A machine that is being worked on: its record, its driver, its one SSH connection. Functions
 * suspend; the caller holds the machine's lock where they change it.
 */
#pragma once

#include "app.h"
#include "engine.h"
#include "provision.h"
#include "record.h"
#include "ssh.h"

struct host {
	struct app *app;
	struct record *rec;
	struct driver *driver;
	char *dir;
	struct ssh *ssh;              /* NULL until first needed */
	struct provision_host system; /* filled by host_detect */
	bool detected;
	long long clock_off; /* seconds that the host's clock is ahead; 0: none, near enough */
	bool rebooted;       /* the machine was restarted: ssh is stale */
	bool slow;           /* its driver said last that it is emulated */
	/* What its driver said last, while it runs, and when; STATE_NONE: nothing. */
	struct machine_report seen;
	uint64_t seen_ms;
};

/* Takes rec, opens its driver. */
int host_open(struct co *co, struct app *app, struct record *take_rec, struct host **ret,
	struct err *err);
void host_close(struct co *co, struct host *h); /* NULL is fine */

/* Puts what was being done, the machine and the driver in front of an error; what is the user's to
 * mend stays plain. Returns -1. */
int host_blame(struct err *err, const char *what, const char *machine, const char *driver);

/* The driver's report about this one machine. A failed report is an error here. */
int host_report(struct co *co, struct host *h, struct machine_report *ret, struct err *err);
/* The same, without a connection attempt of its own: for who connects next. What the driver said a
 * few seconds ago will do. Who can wait gathers others for so long, to be asked about together. */
int host_location(struct co *co, struct host *h, unsigned gather_ms, struct machine_report *ret,
	struct err *err);
/* From here on the driver is asked: the machine may be elsewhere by now. */
void host_forget_location(struct host *h);
/* Its engine's URL; ERR_NOT_RUNNING `Host is not running` when there is none to offer. malloc'ed.
 */
int report_url(const struct machine_report *r, char **ret, struct err *err);
int host_url(struct co *co, struct host *h, char **ret, struct err *err);

/* Runs a driver operation to its end: waits as the driver says, runs commands over SSH that it asks
 * for, saves every checkpoint and every new state. */
int host_run(struct co *co, struct host *h, enum driver_op op, struct err *err);
/* Polls until the machine is in the state. Stops early on a state that cannot lead there. */
int host_wait_state(struct co *co, struct host *h, enum machine_state want, uint64_t timeout_ms,
	struct err *err);

/* How long to wait for what usually takes at most ms: an emulated machine gets more time. */
uint64_t host_patience(const struct host *h, uint64_t ms);
/* Waits until SSH answers and keeps the connection. */
int host_wait_ssh(struct co *co, struct host *h, uint64_t timeout_ms, struct err *err);
void host_drop_ssh(struct co *co, struct host *h);
/* The target for SSH, from a report, whose strings it borrows; of a machine that runs only. */
struct ssh_place {
	struct machine_report report;
	char *known_hosts;
	struct ssh_target target;
};
int host_ssh_place(struct co *co, struct host *h, struct ssh_place *ret, struct err *err);
void ssh_place_finish(struct ssh_place *p);

/* Waits for SSH and looks at the system. */
int host_detect(struct co *co, struct host *h, struct err *err);

/* ERR_USER: engine options or names for the certificate that no host can be given. */
int host_check_options(const struct record *rec, struct err *err);
/* The whole of provisioning: local certificates, then the host. force_restart: restart the engine
 * in any case. */
int host_provision(struct co *co, struct host *h, bool force_restart, struct err *err);
/* New server certificate, uploaded; engine restarted. */
int host_renew_certs(struct co *co, struct host *h, struct err *err);
/* The latest packages of the engine, and its restart; the system has been detected. */
int host_upgrade_engine(struct co *co, struct host *h, struct err *err);
/* The version of the engine that answers. malloc'ed. */
int host_engine_version(struct co *co, struct host *h, char **ret, struct err *err);
/* ca.pem, cert.pem, key.pem into the machine's folder. */
int host_copy_client_certs(struct co *co, struct host *h, struct err *err);
/* Retries a TLS connection to the engine until it works or time is up. */
int host_wait_engine(struct co *co, struct host *h, uint64_t timeout_ms, struct err *err);
/* Says which of the machine's certificates end soon. */
void host_warn_certs(const struct host *h);
/* Puts an error about a connection to the engine into the words that Docker Machine has for it,
 * with its advice. Returns -1. */
int host_advise_certs(const char *url, struct err *err);
