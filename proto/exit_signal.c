#include "exit_signal.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

void exit_by_signal(int signum)
{
	sigset_t set;

	fflush(NULL);
	signal(signum, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, signum);
	raise(signum);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	_exit(128 + signum);
}
