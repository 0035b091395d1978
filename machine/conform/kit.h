/* The inside of the conformance kit; conform.h is its outside. */
#pragma once

#include "buf.h"
#include "conform.h"
#include "flagspec.h"
#include "json.h"
#include "peer.h"

#include <signal.h>

/* Deadlines, in milliseconds. MACHINE_CONFORM_SECONDS caps each of them. */
#define QUIET_MS 300             /* how long a driver is watched for what it must not send */
#define ANSWER_MS 10000          /* requests that touch no network */
#define CHECK_MS 120000          /* preCreateCheck, states */
#define WORK_MS (15 * 60 * 1000) /* create and the other actions, with all their waiting */
#define AT_ONCE_MS 120000        /* create on a finished machine */
#define EXIT_MS 2000             /* Q1, F5 */
#define CANCEL_MS 5000           /* X3 */
#define QUICK_MS 1000            /* I6 */

#define MAX_INTERRUPTIONS 40 /* kills of one create, two per checkpoint */
#define HOLD_MS 100          /* how long the answer to a checkpoint is held back */
#define MAX_HOLDS 3
#define MAX_MESSAGES 100000   /* received while one answer is awaited */
#define MAX_CHECKPOINTS 10000 /* of one request: section 15 */

enum verdict { VERDICT_OK, VERDICT_FAIL, VERDICT_SKIP };

/* What has to have gone well before a rule can be checked. */
enum need { NEED_NOTHING, NEED_INITIALIZE, NEED_CONFIGURE, NEED_CREATE };

struct kit;

struct rule {
	const char *id;
	const char *title;
	enum verdict (*check)(struct kit *k);
	enum need need;
};

/* A rule that is watched all the time, whatever is being checked. */
struct watched {
	const char *id;
	const char *title;
	unsigned seen;
	char *problem;
};

struct subject { /* a machine */
	char *name;
	char *id;
	char *dir;
	struct json *configured; /* the state that configure gave */
	struct json *state;
};

struct kit {
	const char *executable;
	const struct strv *args;
	FILE *out;
	struct conform_result *result;
	int cap_ms; /* 0: none */

	struct strv environment; /* P3 */
	char *store;
	struct json *hello; /* the result of initialize */
	struct flagspecs specs;
	bool bad_flags; /* their declaration breaks G: there are none */
	struct json *flags;
	struct strv secrets; /* values of secret flags that are long enough to be told from words */

	enum need reached;
	char *obstacle;    /* why no more was reached */
	bool rude;         /* does not end at the end of input: do not wait for it */
	struct peer *peer; /* for the machine rules; NULL: start one */
	struct subject first, second;
	unsigned checkpoints; /* of create, seen so far */
	unsigned holds;       /* checkpoints whose answer is still to be held back (C4) */
	bool removed;         /* the first machine */
	bool takes_headers;   /* F3 */
	struct strv before;   /* the store before create */

	struct watched *watched;
	struct buf reason;
};

/* kit.c: verdicts, the watched rules, the store */
enum verdict fail(struct kit *k, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
enum verdict skip(struct kit *k, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void saw(struct kit *k, const char *id);
void broke(struct kit *k, const char *id, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void report_rule(struct kit *k, const char *id, const char *title, enum verdict v);
void report_watched(struct kit *k);
bool interrupted(void);
int64_t deadline_in(const struct kit *k, int64_t ms);

/* store.c: the folder that serves as machine store */
int kit_store_make(struct kit *k, struct err *err);
void kit_store_remove(struct kit *k);
void kit_store_remove_dir(const char *path);
/* Every file below the store, with size and time. except: a machine's folder, which is left out,
 * and with it what machines share (P4); or NULL. */
void kit_store_list(struct kit *k, const char *except, struct strv *ret);
/* Files in dir that are not M3's: returns what is wrong with one, or NULL. malloc'ed */
char *kit_store_check_dir(const char *dir);

/* call.c: messages, answers, checkpoints */
enum message_kind { MSG_REQUEST, MSG_NOTIFICATION, MSG_RESULT, MSG_ERROR, MSG_ODD };

struct message {
	enum message_kind kind;
	int64_t id; /* 0: none or null */
	struct json *json;
};

struct answer {
	enum { GOT_NOTHING, GOT_RESULT, GOT_ERROR, GOT_CHECKPOINT } what;
	int64_t id;         /* CHECKPOINT: of the driver's request */
	struct json *body;  /* result, error object, or the checkpoint's params */
	char *why;          /* NOTHING: what happened instead; ERROR: its message and kind */
	const char *kind;   /* ERROR: belongs to body */
	int64_t error_code; /* ERROR */
};

void message_finish(struct message *m);
#define _cleanup_message_ __attribute__((cleanup(message_finish)))
void answer_finish(struct answer *a);
#define _cleanup_answer_ __attribute__((cleanup(answer_finish)))

/* 1, or 0 with *ret_why (borrowed from the peer or static) if none came. */
int receive(
	struct kit *k, struct peer *p, int64_t deadline, struct message *ret, const char **ret_why);
/* Sends a request; its id. take_params may be NULL. */
int64_t ask(struct peer *p, const char *method, struct json *take_params);
void tell(struct peer *p, const char *method, struct json *take_params);
/* Goes on until the answer to id, or a checkpoint, has come. A driver that gives none is given up:
 * ready_peer starts another. */
void await(struct kit *k, struct peer *p, int64_t id, int64_t ms, struct answer *ret);
/* What comes within ms although the driver has to wait: nothing, if it keeps the rules. */
void overhear(struct kit *k, struct peer *p, struct answer *ret);
void call(struct kit *k, struct peer *p, const char *method, struct json *take_params, int64_t ms,
	struct answer *ret);
/* Answers a checkpoint: with {} or with an error. */
void grant(struct peer *p, int64_t id);
void refuse(struct peer *p, int64_t id);
/* The next message that is no notification; those are noted. As receive. */
int receive_other(
	struct kit *k, struct peer *p, int64_t deadline, struct message *ret, const char **ret_why);
void check_error(struct kit *k, const struct json *e);

/* talk.c: driver processes that are ready to be asked */
struct json *hello_params(void);
struct peer *start_peer(struct kit *k); /* NULL: fail() was called */
struct peer *start_ready(struct kit *k);
void end_peer(struct kit *k, struct peer *p);
struct peer *ready_peer(struct kit *k); /* the kit's own, started where needed */
void drop_peer(struct kit *k);          /* SIGKILL to it */

/* values.c: flags from the command line, the environment and the declarations */
int resolve_flags(struct kit *k, struct err *err);
#define MIN_SECRET 6                          /* shorter values are found in innocent texts */
const char *forbidden_flag(const char *name); /* G1: a flag of `machine create` itself */

/* machine.c: machines, outcomes, reports */
void subject_init(struct kit *k, struct subject *s, const char *name);
void subject_finish(struct subject *s);
struct json *reference(const struct kit *k, const struct subject *s);
struct json *machine_params(const struct kit *k, const struct subject *s);
/* Asks and takes the new state from the answer; checkpoints stop it (GOT_CHECKPOINT). */
void act(
	struct kit *k, struct subject *s, const char *method, int64_t deadline, struct answer *ret);
/* Makes it the machine's state; the host keeps what it does not know (M4). */
void take_state(struct kit *k, struct subject *s, const struct json *state);
void take_checkpoint(struct kit *k, struct subject *s, const struct answer *a);
/* Takes the state of an outcome, checks its form; "done", "wait", "run", or NULL if it is none. */
const char *take_outcome(struct kit *k, struct subject *s, const struct json *outcome);
/* Repeats a request as the host does, until it is done. -1: GOT_NOTHING or GOT_ERROR in ret. */
int finish(struct kit *k, struct subject *s, const char *method, int64_t ms, struct answer *ret);
int pause_for(struct kit *k, struct subject *s, const struct json *outcome, int64_t deadline,
	struct answer *ret);
void check_state(struct kit *k, const struct json *state);

/* life_rules.c */
enum verdict configure(struct kit *k, struct subject *s);
enum verdict remove_twice(struct kit *k, struct subject *s);
void make_dir(const struct subject *s);

/* reports.c */
void check_report(struct kit *k, const struct json *report);
/* The state that a report means, where need be by its probe (S4). */
const char *report_state(const struct json *report, int timeout_ms);

/* The tables, in the order in which they are gone through. */
extern const struct rule hello_rules[], wire_rules[], life_rules[], cutoff_rules[];
extern const size_t n_hello_rules, n_wire_rules, n_life_rules, n_cutoff_rules;
