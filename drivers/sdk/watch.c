/* A watcher that is a request: what long work says becomes progress, and a cancel ends it. */
#include "sdk.h"

#include <stdarg.h>

#define METER_FIRST_MS 1000
#define METER_EVERY_MS 500
#define METER_UNCOUNTED_MS 10000 /* where the end is not known, each is a line of its own */

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

void sdk_watch_tell(const struct md_watch *w, const char *fmt, ...)
{
	va_list ap;

	if (!w || !w->tell)
		return;
	va_start(ap, fmt);
	_cleanup_free_ char *text = xvasprintf(fmt, ap);
	va_end(ap);
	w->tell(w->arg, 0, 0, text);
}

void sdk_meter_tell(struct sdk_meter *m, int64_t current, int64_t total)
{
	int64_t now = sdk_now_ms();

	if (!m->began)
		m->began = now;
	if (!m->w || !m->w->tell || now - m->began < METER_FIRST_MS ||
		now - m->told < (total > 0 ? METER_EVERY_MS : METER_UNCOUNTED_MS))
		return;
	m->told = now;
	if (total > 0)
		m->w->tell(m->w->arg, current, total, m->message);
	else
		sdk_watch_tell(m->w, "%s: %lld MB", m->message, (long long)current >> 20);
}
