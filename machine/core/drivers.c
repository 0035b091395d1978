#include "app.h"

#include "log.h"
#include "mem.h"

#include <string.h>

struct opened {
	char *name;
	struct driver *driver; /* NULL while opening, or when that failed */
	struct err error;
	bool opening;
	struct co **waiters;
	size_t n_waiters;
	struct opened *next;
};

struct driver_set {
	struct opened *list;
	bool hasty;
};

struct driver_set *driver_set_new(bool hasty)
{
	struct driver_set *set = xcalloc(1, sizeof(*set));

	set->hasty = hasty;
	return set;
}

static struct opened *find(struct driver_set *set, const char *name)
{
	for (struct opened *o = set->list; o; o = o->next)
		if (streq(o->name, name))
			return o;
	return NULL;
}

static void open_it(struct co *co, struct opened *o, bool hasty)
{
	_cleanup_err_ struct err err = ERR_INIT;

	o->opening = true;
	struct driver_options opt = {.trace_file = getenv("MACHINE_TRACE"), .hasty = hasty};
	if (driver_open(co, o->name, &opt, &o->driver, &err) < 0)
		err_move(&o->error, &err);
	o->opening = false;
	for (size_t i = 0; i < o->n_waiters; i++)
		co_wake(o->waiters[i]);
	o->n_waiters = 0;
}

static int wait_for_it(struct co *co, struct opened *o, struct err *err)
{
	while (o->opening) {
		o->waiters = xrealloc(o->waiters, o->n_waiters + 1, sizeof(struct co *));
		o->waiters[o->n_waiters++] = co;
		int r = co_wait(co);
		for (size_t i = 0; i < o->n_waiters; i++)
			if (o->waiters[i] == co)
				o->waiters[i--] = o->waiters[--o->n_waiters];
		if (r < 0)
			return co_err(r, err);
	}
	return 0;
}

int driver_set_get(struct co *co, struct driver_set *set, const char *name, struct driver **ret,
	struct err *err)
{
	struct opened *o = find(set, name);

	if (!o) {
		o = xcalloc(1, sizeof(*o));
		o->name = xstrdup(name);
		o->next = set->list;
		set->list = o;
		open_it(co, o, set->hasty);
	}
	if (wait_for_it(co, o, err) < 0)
		return -1;
	if (o->driver) {
		*ret = o->driver;
		return 0;
	}
	struct err *e = &o->error;
	err_set(err, e->code, "%s", err_msg(e));
	return -1;
}

void driver_set_close(struct co *co, struct driver_set *set)
{
	if (!set)
		return;
	while (set->list) {
		struct opened *o = set->list;
		set->list = o->next;
		driver_close(co, o->driver);
		err_finish(&o->error);
		free(o->waiters);
		free(o->name);
		free(o);
	}
	free(set);
}

static void tell(const struct app *app, struct app_event event)
{
	if (app->status)
		app->status(app->status_userdata, &event);
}

void app_status(const struct app *app, const char *machine, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;

	if (!app->status)
		return;
	if (fmt) {
		va_start(ap, fmt);
		text = xvasprintf(fmt, ap);
		va_end(ap);
	}
	tell(app, (struct app_event){.machine = machine, .text = text});
}

void app_step(const struct app *app, const char *machine, const char *step)
{
	tell(app, (struct app_event){.machine = machine, .step = step});
}

void app_progress(const struct app *app, const char *machine, const char *text, int64_t current,
	int64_t total)
{
	tell(app, (struct app_event){machine, NULL, text, current, total});
}

const char *app_user(void)
{
	const char *u = getenv("USER");

	if (!u || !*u)
		u = getenv("USERNAME");
	return u && *u ? u : "unknown";
}
