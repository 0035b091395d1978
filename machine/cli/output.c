/*
 * A standard stream that is closed would be taken by the next file that the program opens, and a
 * message would end up in a machine's record. So such a stream is opened first, in the direction
 * that makes its use an error.
 */
#include "output.h"

#include "exit_signal.h"
#include "log.h"
#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int failure; /* errno of the first write to standard output that failed */

void output_guard(void)
{
	static const int useless[] = {O_WRONLY, O_RDONLY, O_RDWR};

	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", useless[fd]) != fd)
			_exit(1); /* and no stream to say why */
}

char *output_clean(const char *text)
{
	char *s = xstrdup(text);

	log_neutralise(s);
	for (char *p = s; *p; p++)
		if (*p == '\t')
			*p = ' ';
	return s;
}

/* A write that failed within an earlier call has left only a mark. */
static int why_failed(void)
{
	struct pollfd p = {.fd = STDOUT_FILENO, .events = POLLOUT};

	return poll(&p, 1, 0) == 1 && p.revents & POLLERR ? EPIPE : EIO;
}

void output_flush(void)
{
	bool now = fflush(stdout) != 0;
	int e = errno;

	if (!failure && (now || ferror(stdout)))
		failure = now ? e : why_failed();
}

int output_check(bool is_result, struct err *err)
{
	output_flush();
	if (!failure || (!is_result && (failure == EPIPE || failure == EBADF)))
		return 0;
	if (failure == EPIPE)
		exit_by_signal(SIGPIPE);
	return err_errno(err, failure, "write to standard output");
}
