#include "err.h"

#include "mem.h"

#include <errno.h>
#include <string.h>

#undef err_set
#undef err_errno
#undef err_wrap
#undef err_move

static const char *const kind_names[ERR_CODE_COUNT] = {
	[ERR_INTERNAL] = "internal",
	[ERR_USER] = "user",
	[ERR_AUTH] = "auth",
	[ERR_QUOTA] = "quota",
	[ERR_NOT_FOUND] = "notFound",
	[ERR_EXISTS] = "exists",
	[ERR_UNAVAILABLE] = "unavailable",
	[ERR_THROTTLED] = "throttled",
	[ERR_TIMEOUT] = "timeout",
	[ERR_CANCELED] = "canceled",
	[ERR_NOT_SUPPORTED] = "notSupported",
	[ERR_NOT_RUNNING] = "notRunning",
};

/* The message may have been made from the old one, so it is formatted before that is freed. */
static int replace(struct err *err, enum err_code code, int errnum, char *take_msg)
{
	err_finish(err);
	err->code = code;
	err->errnum = errnum;
	err->msg = take_msg;
	return -1;
}

int err_set(struct err *err, enum err_code code, const char *fmt, ...)
{
	va_list ap;
	char *msg;

	va_start(ap, fmt);
	msg = xvasprintf(fmt, ap);
	va_end(ap);
	return replace(err, code, 0, msg);
}

int err_errno(struct err *err, int errnum, const char *fmt, ...)
{
	enum err_code code = errnum == ENOENT   ? ERR_NOT_FOUND
			     : errnum == EEXIST ? ERR_EXISTS
						: ERR_IO;
	_cleanup_free_ char *context = NULL;
	char reason[128];
	va_list ap;

	va_start(ap, fmt);
	context = xvasprintf(fmt, ap);
	va_end(ap);
	return replace(err, code, errnum,
		xasprintf("%s: %s", context, strerror_r(errnum, reason, sizeof(reason))));
}

int err_wrap(struct err *err, const char *fmt, ...)
{
	_cleanup_free_ char *context = NULL;
	va_list ap;
	char *msg;

	va_start(ap, fmt);
	context = xvasprintf(fmt, ap);
	va_end(ap);
	msg = xasprintf("%s: %s", context, err_msg(err));
	free(err->msg);
	err->msg = msg;
	if (err->code == ERR_NONE)
		err->code = ERR_INTERNAL;
	return -1;
}

const char *err_msg(const struct err *err)
{
	return err->msg ? err->msg : "unknown error";
}

int err_move(struct err *dst, struct err *src)
{
	if (dst != src) {
		err_finish(dst);
		*dst = *src;
		*src = ERR_INIT;
	}
	return -1;
}

void err_finish(struct err *err)
{
	free(err->msg);
	*err = ERR_INIT;
}

const char *err_kind_name(enum err_code code)
{
	if ((unsigned)code >= ERR_CODE_COUNT || !kind_names[code])
		return kind_names[ERR_INTERNAL];
	return kind_names[code];
}

enum err_code err_kind_parse(const char *name)
{
	for (unsigned i = 0; name && i < ERR_CODE_COUNT; i++)
		if (kind_names[i] && streq(name, kind_names[i]))
			return (enum err_code)i;
	return ERR_INTERNAL;
}
