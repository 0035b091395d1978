/*
 * Errors: a code for programs and a chain of context for people, innermost cause last:
 * "create w1: import key pair: 403 UnauthorizedOperation".
 *
 * A function that can fail returns 0 or -1 and takes `struct err *err` as its last parameter. err
 * is never NULL; it is set exactly when -1 is returned and untouched on success. The caller owns
 * it: err_finish (or _cleanup_err_) frees it. Setting an error that is already set replaces it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum err_code {
	ERR_NONE = 0,
	ERR_INTERNAL,      /* unexpected; a defect */
	ERR_USER,          /* wrong input: flags, files, names */
	ERR_AUTH,          /* credentials missing, wrong or insufficient */
	ERR_QUOTA,         /* a limit of the account */
	ERR_NOT_FOUND,     /* the thing does not exist */
	ERR_EXISTS,        /* something of that name exists */
	ERR_UNAVAILABLE,   /* the peer does not answer now */
	ERR_THROTTLED,     /* the peer asks to slow down */
	ERR_TIMEOUT,       /* a deadline passed */
	ERR_CANCELED,      /* the user or the caller gave up */
	ERR_NOT_SUPPORTED, /* this driver or host cannot do that */
	ERR_NOT_RUNNING,   /* needs a running machine */
	ERR_PROTOCOL,      /* the peer broke the protocol; host only, never on the wire */
	ERR_CRASHED,       /* the driver process ended or was killed; host only */
	ERR_IO,            /* a local system call failed; errnum says how; host only */
	ERR_CODE_COUNT
};

struct err {
	enum err_code code;
	int errnum;              /* errno of the cause, or 0 */
	bool retryable;          /* the same call may succeed later */
	bool may_exist;          /* a remote resource may exist although the call failed */
	uint32_t retry_after_ms; /* 0: unknown */
	char *msg;
};

#define ERR_INIT ((struct err){0})

/* All return -1, so that `return err_set(err, …)` reads well. */
int err_set(struct err *err, enum err_code code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* "MESSAGE: strerror(errnum)"; ENOENT, EEXIST map to their codes, the rest to ERR_IO. errnum > 0 */
int err_errno(struct err *err, int errnum, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Puts "CONTEXT: " in front of the message; keeps code and marks. */
int err_wrap(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Moves src to dst (which is finished first); src is empty afterwards. */
int err_move(struct err *dst, struct err *src);

/* Says where compilers and analyzers see it that these return nothing but -1. */
static inline int err_failed(int always)
{
	(void)always;
	return -1;
}
#define err_set(...) err_failed(err_set(__VA_ARGS__))
#define err_errno(...) err_failed(err_errno(__VA_ARGS__))
#define err_wrap(...) err_failed(err_wrap(__VA_ARGS__))
#define err_move(dst, src) err_failed(err_move(dst, src))

/* Message of a set error; "unknown error" for one that is not set. Owned by err. */
const char *err_msg(const struct err *err);
void err_finish(struct err *err);

/* Names of the kinds on the wire ("notFound"); "internal" for codes that have none there. */
const char *err_kind_name(enum err_code code);
enum err_code err_kind_parse(const char *name); /* unknown or NULL: ERR_INTERNAL */

#define _cleanup_err_ __attribute__((cleanup(err_finish)))
