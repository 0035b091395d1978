#include "nofile.h"

#include "mem.h"

#include <stdbool.h>
#include <sys/resource.h>

#define ENOUGH \
	65536u /* some systems allow a thousand million, and programs walk through them all */

static struct rlimit before;
static bool raised;

void nofile_raise(void)
{
	struct rlimit more;

	if (raised || getrlimit(RLIMIT_NOFILE, &before) < 0)
		return;
	more = before;
	more.rlim_cur = MIN(before.rlim_max, (rlim_t)ENOUGH);
	if (more.rlim_cur > before.rlim_cur)
		raised = setrlimit(RLIMIT_NOFILE, &more) == 0;
}

void nofile_restore(pid_t child)
{
	if (raised)
		prlimit(child, RLIMIT_NOFILE, &before, NULL);
}
