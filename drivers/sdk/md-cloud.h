/*
 * Part of machine-driver.h: what drivers of clouds have in common. State members that these
 * functions keep: SSHKeyPath, IPAddress, SSHUser, SSHPort (base), and HostKey, the public SSH host
 * key that the machine was given, "" or absent for none.
 */
#pragma once

#include "machine-driver.h"

#define MD_CLOUD_ENGINE_PORT 2376

/* The machine's own login key: DIR/id_ed25519, made if it is not there. ret_pub: the public line,
 * without line break; malloc'ed. */
int md_cloud_login_key(struct md_machine *m, char **ret_pub, struct err *err);
/* One of RSA in its place, for a cloud that refuses Ed25519: DIR/id_rsa, made by ssh-keygen. bits:
 * as the cloud takes them. */
int md_cloud_login_key_rsa(struct md_request *rq, struct md_machine *m, unsigned bits,
	char **ret_pub, struct err *err);
/* The state's member that says that the cloud refused Ed25519; a driver lists it among its fields.
 */
#define MD_CLOUD_RSA_KEY "RsaKey"
/* Whichever of both it says. */
int md_cloud_own_key(struct md_request *rq, struct md_machine *m, unsigned bits, char **ret_pub,
	struct err *err);
/* Makes the other key after a refusal, which `why` tells; the state is stored. */
int md_cloud_other_key(struct md_request *rq, struct md_machine *m, unsigned bits,
	const struct err *why, char **ret_pub, struct err *err);
/* Are the public lines, "TYPE BASE64 COMMENT", of one key? */
bool md_cloud_same_key(const char *a, const char *b);
/* A key of the user's own: PATH is copied to md_key_copy_path, 0600, and with ret_pub PATH.pub,
 * too. flag: named in errors. A key that is there already is kept. */
int md_cloud_copy_key(
	struct md_machine *m, const char *path, const char *flag, char **ret_pub, struct err *err);
/*
 * What cloud-init is given: the host key, so that the first contact is verified, and the user's own
 * file (NULL or "": none). The same text each time until md_cloud_made. Of a file that is of none
 * of cloud-init's kinds, or leaves no room, that file alone; the host
 * key then is trusted at first sight. flag: of the file, named in errors; max: bytes that the
 * provider takes.
 */
int md_cloud_user_data(struct md_request *rq, struct md_machine *m, const char *file,
	const char *flag, size_t max, char **ret, struct err *err);
/* For preCreateCheck: is the file there, text, and not too long? */
int md_cloud_check_user_data(const char *file, const char *flag, size_t max, struct err *err);
/* The same for providers that take any bytes; ret: base64. A file that is compressed (gzip) is sent
 * as it is, alone, too. */
int md_cloud_user_bytes(struct md_request *rq, struct md_machine *m, const char *file,
	const char *flag, size_t max, char **ret, struct err *err);
int md_cloud_check_user_bytes(const char *file, const char *flag, size_t max, struct err *err);
/* md_cloud_user_data of the file's content. */
int md_cloud_user_text(struct md_request *rq, struct md_machine *m, const char *own,
	const char *flag, size_t max, char **ret, struct err *err);
/* The machine has been made, and its id stored: its private host key is not needed here any more.
 */
void md_cloud_made(struct md_machine *m);

/*
 * An order: a request that makes something, whose answer may not come. What it makes may show only
 * a while after it was sent, because it is carried out still, or because lists lag behind. Until
 * then "there is none" is no answer, neither for a create, which would make a second one, nor for a
 * remove, which would leave it behind. Drivers make one thing after the other: one order is open at
 * a time. It is for things that cannot be made under a name of which there is only one.
 *
 * md_cloud_order: notes, by a checkpoint, that it is sent now.
 * md_cloud_order_over: the answer came, or what was made was found, or surely nothing was made.
 * md_cloud_order_open: it is not over, and was sent less than MD_CLOUD_ORDER_S ago; who finds
 * nothing then is to wait (md_cloud_wait) and look again.
 */
#define MD_CLOUD_ORDER_S 60          /* less where MD_API_PAUSE_VARIABLE shortens the pauses */
#define MD_CLOUD_ORDERED "OrderedAt" /* the member of the state: seconds since 1970, 0: none */
int md_cloud_order(struct md_request *rq, struct md_machine *m, struct err *err);
void md_cloud_order_over(struct md_machine *m);
bool md_cloud_order_open(const struct md_machine *m);
/* Have less than so many seconds passed since a moment (seconds since 1970, 0: never)? They are
 * shorter where MD_API_PAUSE_VARIABLE shortens the pauses. */
bool md_cloud_recent(int64_t moment, unsigned seconds);

/* The state, IPAddress and how to log in, for a report. */
void md_cloud_report(const struct md_machine *m, enum machine_state state, struct md_report *out);
/* For `outcome`: the host waits for a state (STATE_NONE: just calls again). ms 0: its default. */
void md_cloud_wait(struct md_outcome *out, enum machine_state state, uint32_t ms, const char *fmt,
	...) __attribute__((format(printf, 4, 5)));
