/*
 * Instances of Amazon EC2. A machine is an instance and, unless the user names one, a key pair;
 * security groups are shared and stay. The instance is launched with a client token, so that
 * asking twice makes one; both the token (Id) and the key's name are in the state before the thing
 * is made.
 */
#pragma once

#include "credentials.h"
#include "machine-driver.h"
#include "md-cloud.h"

#define EC2_POLL_MS 3000u
#define EC2_USER_DATA_MAX (16u << 10)
#define EC2_PROTOCOL_MAX 7u       /* letters of a rule's protocol: "icmpv6" */
#define EC2_STATES_MAX 200u       /* values of a filter */
#define EC2_LOOKS 10u             /* for what was made just now … */
#define EC2_LOOK_MS 1000u         /* … and is not known everywhere at once */
#define EC2_NEW_S 60              /* so long an instance may not show, and is not gone */
#define EC2_LAUNCHED "LaunchedAt" /* the state's member: seconds since 1970, 0: never */

struct ec2 {
	struct md_api api;
	const struct md_machine *m;
	char *url, *host, *path;
	const char *region; /* that calls are signed for */
	struct credentials credentials;
	char *account; /* api.account */
	char code[64]; /* of the last error: "InvalidKeyPair.NotFound"; "" for none */
	bool renewed;  /* the credentials, after they had expired */
};

/* check.c: the state's members are of their types. */
int ec2_check_state(const struct md_machine *m, struct err *err);

/* query.c; the state is checked. */
int ec2_open(struct ec2 *e, struct md_request *rq, const struct md_machine *m, struct err *err);
void ec2_close(struct ec2 *e);
#define _cleanup_ec2_ __attribute__((cleanup(ec2_close)))

/* A call's parameters, in a form. */
struct query {
	struct buf form;
	const char *action;
	bool repeatable;
	bool shared; /* see md_api_call */
};
void query_begin(struct query *q, const char *action);
void query_add(struct query *q, const char *name, const char *value); /* "": left out */
void query_addf(struct query *q, const char *name, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void query_bool(struct query *q, const char *name, bool value);
/* Filter.N.Name and Filter.N.Value.1 */
void query_filter(struct query *q, unsigned n, const char *name, const char *value);
void query_finish(struct query *q);
#define _cleanup_query_ __attribute__((cleanup(query_finish)))

/* what: for messages. Read-only actions (Describe…) and those marked are repeated. */
int ec2_call(struct ec2 *e, struct query *q, const char *what, struct json **ret, struct err *err);
/* All pages of a list: the members of the set `key`, as an array. */
int ec2_list(struct ec2 *e, struct query *q, const char *key, const char *what, struct json **ret,
	struct err *err);
/* ec2_call, again while it fails because something new is not known there yet. */
int ec2_call_new(
	struct ec2 *e, struct query *q, const char *what, struct json **ret, struct err *err);
bool ec2_failed_with(const struct ec2 *e, const char *code);
/* md_sleep; in tests as short as the API's pauses. */
int ec2_pause(struct ec2 *e, uint32_t ms, struct err *err);

/* endpoint.c */
/* Of the flag, else of the variables: from then on what is stored counts, whoever asks. */
void endpoint_keep(struct md_machine *m);
int endpoint_url(const struct md_machine *m, char **ret, struct err *err);
bool endpoint_is_own(const struct md_machine *m); /* the user's, not Amazon's */

/* check.c */
int ec2_configure(
	struct md_request *rq, struct md_machine *m, const struct json *flags, struct err *err);
int ec2_pre_create_check(struct md_request *rq, struct md_machine *m, struct err *err);

/* lookup.c: fill VpcId, SubnetId, AvailabilityZone, AMI and DeviceName where they are empty. */
int look_up_network(struct ec2 *e, struct md_machine *m, struct err *err);
int look_up_image(struct ec2 *e, struct md_machine *m, struct err *err);
/* Is the image that the user names there? Fills DeviceName, too. */
int check_image(struct ec2 *e, struct md_machine *m, struct err *err);
/* Lists that may be null; borrowed. */
const char *list_text(
	const struct md_machine *m, const char *key, size_t i); /* NULL: past the end */

/* keys.c */
int check_key_name(struct ec2 *e, const struct md_machine *m, struct err *err);
int make_key(struct ec2 *e, struct md_request *rq, struct md_machine *m, struct err *err);
int remove_key(struct ec2 *e, struct md_request *rq, struct md_machine *m, struct err *err);

/* groups.c */
int make_groups(struct ec2 *e, struct md_request *rq, struct md_machine *m, struct err *err);

/* launch.c */
/* Names and values in turn; one may be empty, and the last name without a value. */
void ec2_tags(const struct md_machine *m, struct strv *ret);
/* InstanceId may be empty afterwards: of an earlier launch, which does not show yet. */
int launch(struct ec2 *e, struct md_request *rq, struct md_machine *m, struct err *err);

/* instance.c */
int ec2_create(
	struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err);
int ec2_remove(
	struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err);
int ec2_start(struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err);
int ec2_stop(struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err);
int ec2_restart(
	struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err);
int ec2_kill(struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err);

/* describe.c */
/* One instance; ERR_NOT_FOUND. ret is a tree of its own. */
int describe_instance(
	struct ec2 *e, const struct md_machine *m, struct json **ret, struct err *err);
enum machine_state instance_state(const struct json *instance);
/* Was it launched so recently that nothing is known of it everywhere yet? */
bool instance_is_new(const struct md_machine *m);
/* The one to connect to, and the first of IPv6; "": none (yet). */
const char *instance_address(const struct md_machine *m, const struct json *instance);
const char *instance_ipv6(const struct json *instance);
/* The instance that was launched with the machine's token, if it shows: fills InstanceId. */
int find_launched(struct ec2 *e, struct md_machine *m, struct err *err);
int ec2_states(struct md_request *rq, struct md_machine *machines, size_t n,
	struct md_report *reports, struct err *errs, struct err *err);
