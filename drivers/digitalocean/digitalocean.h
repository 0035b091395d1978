/*
 * Droplets at DigitalOcean. A machine is a droplet and, unless the user names a key of the account,
 * an SSH key. Both can be found again without their ids: the key by its fingerprint, the droplet by
 * a tag with the machine's id; each is in the state before the thing is made. A droplet is an order
 * (md-cloud.h): there may be as many of a tag as somebody asks for.
 */
#pragma once

#include "machine-driver.h"
#include "md-cloud.h"

#define DO_PAGE 200 /* the most that a page may have */
#define DO_POLL_MS 5000u
#define DO_NEW_S 60     /* a new droplet may be unknown to some of the API for so long */
#define DO_REFUSED_S 60 /* what an event in progress refuses is asked for again for so long */
#define DO_USER_DATA_MAX (64u << 10)

#define DO_STATUS_NOT_FOUND 404
#define DO_STATUS_UNPROCESSABLE 422

struct do_api {
	struct md_api api;
	const char *base; /* borrowed from the state; without a slash at its end */
	char *bearer;     /* the header's value */
	long status;      /* of the last answer */
};

/* api.c. Paths are what follows /v2; ret may be NULL. A status of 404 is ERR_NOT_FOUND. do_open
 * fails for a state that is not as it should be; then there is nothing to close, and no harm in it.
 */
int do_open(struct do_api *a, struct md_request *rq, const struct md_machine *m, struct err *err);
void do_close(struct do_api *a);
int do_call(struct do_api *a, const char *method, const char *path, struct json *take_body,
	const char *what, struct json **ret, struct err *err);
/* An action of the droplet (power_on …). */
int do_act(struct do_api *a, const struct md_machine *m, const char *type, struct err *err);
/* Hands the members of the list `key` of all pages to `each`, until that says that it has enough.
 * path may have a query. */
int do_list(struct do_api *a, const char *path, const char *key, const char *what,
	bool (*each)(const struct json *item, void *arg), void *arg, struct err *err);
/* Puts the id of a thing into the state; ERR_PROTOCOL, perhaps made, when it has none. */
int do_take_id(struct md_machine *m, const char *key, const struct json *thing, const char *what,
	struct err *err);
/* After DO_STATUS_UNPROCESSABLE of what an event in progress may be the reason of: 0, and the host
 * is to come again; -1: it has done so for long enough. Takes the error. */
int do_refused(struct md_request *rq, struct md_machine *m, struct err *take_refusal,
	struct md_outcome *out, struct err *err);
void do_not_refused(struct md_machine *m); /* any more */
/* Was the droplet made so recently that 404 may be wrong? */
bool do_is_new(const struct md_machine *m);
#define _cleanup_do_ __attribute__((cleanup(do_close)))

/* check.c */
int do_check_state(const struct md_machine *m, struct err *err);
int do_configure(
	struct md_request *rq, struct md_machine *m, const struct json *flags, struct err *err);
int do_pre_create_check(struct md_request *rq, struct md_machine *m, struct err *err);

/* create.c */
int do_create(struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err);
int do_remove(struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err);
const char *do_address(const struct json *droplet, const char *type); /* "": it has none yet */

/* power.c */
int do_start(struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err);
int do_stop(struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err);
int do_restart(
	struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err);
int do_kill(struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err);
int do_states(struct md_request *rq, struct md_machine *machines, size_t n,
	struct md_report *reports, struct err *errs, struct err *err);
