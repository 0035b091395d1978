/*
 * Servers of an OpenStack cloud: keystone (who asks, where the services are), nova (servers, keys),
 * neutron (networks, addresses), glance (images), cinder (volumes).
 *
 * What create makes, and how it is found again without its id (order.c):
 *
 *     key pair         its name is in the state before it is made
 *     volume           metadata docker-machine-id
 *     security group   its name
 *     server           metadata docker-machine-id
 *     floating IP      its description; one that is only borrowed has its id in the state before
 */
#pragma once

#include "machine-driver.h"
#include "md-cloud.h"

#define OS_ID_KEY "docker-machine-id"
#define OS_POLL_MS 4000u
#define OS_USER_DATA_MAX 49149u /* nova takes 65,535 bytes of base64 */

#define OS_STATUS_BAD_REQUEST 400
#define OS_STATUS_FORBIDDEN 403
#define OS_STATUS_CONFLICT 409
#define OS_STATUS_GONE 410
#define OS_STATUS_PRECONDITION 412

enum os_service { OS_COMPUTE, OS_NETWORK, OS_IMAGE, OS_VOLUME, OS_SERVICES };

/* Who asks: a token and what came with it. Kept by the process for the next request. */
struct os_session {
	char *key; /* the credentials that it was got with */
	char *token;
	char *project;        /* id */
	struct json *catalog; /* in the form of identity v3 */
	int64_t expires;      /* seconds since 1970; 0: not known */
};

struct os_api {
	struct md_api api;
	const struct md_machine *m;
	struct os_session *session;   /* of the process; NULL: none yet */
	char *endpoints[OS_SERVICES]; /* without a slash at the end; NULL: not looked up yet */
	const char *microversion;     /* of nova, for the next call; NULL: the base */
	const char *if_match;         /* for the next call */
	bool secret;                  /* the next call is not traced */
	bool shared;                  /* the next call or list is of what machines have in common */
	char *account;                /* api.account */
	enum os_service service;      /* of the call */
	long status;                  /* of the last answer */
	struct err busy;              /* why what is in use still could not be removed */
};

/* What removes gives one of these; create's steps give OS_BUSY for "wait", and say for what. */
enum {
	OS_DONE,
	OS_BUSY,    /* it is in use still, or not gone yet */
	OS_AWAITED, /* it was ordered, and has not shown yet */
};

/* api.c. Paths are what follows the service's endpoint; *ret may be NULL. */
int os_open(struct os_api *a, struct md_request *rq, const struct md_machine *m, struct err *err);
void os_close(struct os_api *a);
void os_mask_secrets(struct md_api *api, const struct md_machine *m); /* the credentials */
int os_call(struct os_api *a, enum os_service service, const char *method, const char *path,
	struct json *take_body, const char *what, struct json **ret, struct err *err);
/* Adds the members of the list `key` of all pages to *ret, an array. path: "/servers/detail", and
 * a query or NULL. */
int os_list(struct os_api *a, enum os_service service, const char *path, const char *query,
	const char *key, const char *what, struct json **ret, struct err *err);
/* DELETE; what is gone already is no error. */
int os_delete(struct os_api *a, enum os_service service, const char *path, const char *what,
	struct err *err);
/* BASE/ID, of an id that may be the user's; malloc'ed. */
char *os_path(const char *base, const char *id);
/* The provider's own words in an answer; malloc'ed, NULL: none. */
char *os_said(const struct md_http_answer *answer);
#define _cleanup_os_ __attribute__((cleanup(os_close)))

/* All that a token depends on; malloc'ed, a secret. */
char *os_account(const struct md_machine *m);
/* auth.c: gets a token, from the process's own or the cloud. */
int os_login(struct os_api *a, struct err *err);
void os_forget(struct os_api *a); /* the token is refused */

/* identity.c */
struct os_identity {
	char *url; /* with its version, without a slash at the end */
	bool v2;
};
bool os_identity_has_version(const char *auth_url); /* is it told at the end? */
int os_identity_find(
	struct md_api *api, const char *auth_url, struct os_identity *ret, struct err *err);
/* auth: the member of that name in the body of a token request. */
int os_auth_v3(const struct md_machine *m, struct json **ret, struct err *err);
int os_auth_v2(const struct md_machine *m, struct json **ret, struct err *err);
const char *os_token(const struct md_machine *m); /* OS_TOKEN of now, else the one stored */
bool os_uses_token(const struct md_machine *m);   /* to log in with, not a password */

/* catalog.c */
struct json *os_catalog_of_v2(const struct json *catalog);
/* The address of a service, malloc'ed. */
int os_endpoint(const struct md_machine *m, const struct os_session *session,
	enum os_service service, char **ret, struct err *err);
/* Where none is given, that of the servers' first endpoint: a catalog has those of each service in
 * an order of its own. */
void os_choose_region(struct md_machine *m, const struct os_session *session);
/* Before that: tells when it is taken among several. */
void os_warn_regions(
	struct md_request *rq, const struct md_machine *m, const struct os_session *session);

/* clouds.c: the entry of clouds.yaml and the files beside it. */
int os_cloud_read(struct md_request *rq, const char *name, struct json **ret, struct err *err);

/* configure.c, check.c */
int os_check_state(const struct md_machine *m, struct err *err); /* members' types */
int os_configure(
	struct md_request *rq, struct md_machine *m, const struct json *flags, struct err *err);
int os_pre_create_check(struct md_request *rq, struct md_machine *m, struct err *err);

/* names.c: names become ids in the state. Changes nothing in the cloud. */
int os_resolve(struct os_api *a, struct md_machine *m, struct err *err);
/* The things that are named by id exist. */
int os_check_ids(struct os_api *a, const struct md_machine *m, struct err *err);

/* order.c */
#define OS_ORDERED "Ordered" /* the state's member that tells of what kind an open order is */
#define OS_AWAITED_TEXT "the %s that was asked for to show"
enum os_worth {
	OS_GOING, /* it is being deleted */
	OS_POOR,  /* to go on with for want of a better */
	OS_GOOD
};
struct os_kind {
	const char *name; /* "server" */
	const char *id;   /* the state's member */
	enum os_service service;
	const char *path, *answer; /* to order one: "/servers", "server" */
	const char *list, *key;    /* to look for them: "/servers/detail", "servers" */
	long busy;                 /* status of a DELETE of what is in use, beside 409; 0: none */
	void (*query)(const struct os_api *a, const struct md_machine *m, struct buf *b);
	/* Has it the machine's mark? */
	bool (*is_ours)(const struct md_machine *m, const struct json *thing);
	enum os_worth (*worth)(const struct json *thing); /* NULL: all are good */
};
extern const struct os_kind os_server, os_volume, os_group, os_floating_ip;
bool os_has_mark(const struct md_machine *m, const struct json *thing); /* in its metadata */
/* Those that have the machine's mark. */
int os_ours(struct os_api *a, const struct md_machine *m, const struct os_kind *kind,
	struct json **ret, struct err *err);
/* 1: one is there, and its id is in the state; 0: none. ret: the thing, may be NULL. */
int os_find(struct os_api *a, struct md_machine *m, const struct os_kind *kind, struct json **ret,
	struct err *err);
/* Makes one, and notes its id. ret: the thing, may be NULL. */
int os_order(struct os_api *a, struct md_machine *m, const struct os_kind *kind,
	struct json *take_body, struct json **ret, struct err *err);
/* Before anything else is made: what became of an order without an answer? OS_BUSY: wait. */
int os_settle(struct os_api *a, struct md_machine *m, struct md_outcome *out, struct err *err);
/* Deletes all that have the mark, and the one whose id is known. */
int os_remove_kind(
	struct os_api *a, struct md_machine *m, const struct os_kind *kind, struct err *err);
/* For what has a name of its own: an order begins; fails, and may be carried out from now on if why
 * says so; is over; may be carried out yet. */
int os_order_begin(struct os_api *a, struct md_machine *m, const char *name, struct err *err);
void os_order_failed(struct os_api *a, struct md_machine *m, const struct err *why);
void os_order_over(struct md_machine *m);
bool os_order_open(const struct md_machine *m, const char *name);

/* key.c */
#define OS_KEY "key pair"
int os_make_key(struct os_api *a, struct md_machine *m, struct err *err);
int os_remove_key(struct os_api *a, struct md_machine *m, struct err *err);
int os_check_key(struct os_api *a, const struct md_machine *m, struct err *err);

/* secgroup.c */
int os_make_group(struct os_api *a, struct md_machine *m, struct err *err);
int os_remove_group(struct os_api *a, struct md_machine *m, struct err *err);

/* volume.c */
int os_make_volume(struct os_api *a, struct md_machine *m, struct md_outcome *out, struct err *err);
int os_attach_volume(struct os_api *a, struct md_machine *m, struct err *err);
int os_remove_volume(struct os_api *a, struct md_machine *m, struct err *err);

/* server.c */
int os_make_server(struct os_api *a, struct md_machine *m, struct err *err);
/* ERR_NOT_FOUND tells that it is gone, or was never made. */
int os_get_server(struct os_api *a, const struct md_machine *m, struct json **ret, struct err *err);
const char *os_status(const struct json *server);
char *os_fault(const struct json *server); /* why it is in ERROR; malloc'ed */

enum machine_state os_state(const struct json *server);
/* Deletes it; what is gone already is no error. */
int os_delete_server(struct os_api *a, const char *id, struct err *err);

/* address.c */
int os_make_floating_ip(struct os_api *a, struct md_machine *m, struct err *err);
int os_remove_floating_ip(struct os_api *a, struct md_machine *m, struct err *err);
/* Of the wanted version; "": it has none yet. Borrowed. */
const char *os_address(const struct md_machine *m, const struct json *server);

/* create.c, remove.c */
int os_create(struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err);
int os_remove(struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err);
/* What was made before the server, after its refusal; errors are told only. */
void os_undo(struct os_api *a, struct md_machine *m);
/* Has the time of a wait passed? The first call begins it; one that says so ends it, for the next
 * try. key: one of these. */
bool os_overdue(struct md_request *rq, struct md_machine *m, const char *key, int64_t seconds);
#define OS_WAIT "WaitUntil"
#define OS_WAIT_ADDRESS "AddressUntil"
#define OS_WAIT_REMOVE "RemoveUntil"

/* power.c */
int os_act(struct os_api *a, const char *id, const char *action, struct json *take_arg,
	struct err *err);
int os_start(struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err);
int os_stop(struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err);
int os_restart(
	struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err);
int os_states(struct md_request *rq, struct md_machine *machines, size_t n,
	struct md_report *reports, struct err *errs, struct err *err);
