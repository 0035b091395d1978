/* A watcher that is a request: what long work says becomes progress, and a cancel ends it. */
#include "sdk.h"

static void tell(void *arg, int64_t current, int64_t total, const char *message)
{
	md_progress_of(arg, current, total, "%s", message);
}

static bool cancelled(void *arg)
{
	return md_cancelled(arg);
}

struct md_watch md_watch_request(struct md_request *rq)
{
	return (struct md_watch){.tell = tell, .cancelled = cancelled, .arg = rq};
}

bool sdk_watch_cancelled(const struct md_watch *w)
{
	return w && w->cancelled && w->cancelled(w->arg);
}
