#include "actions.h"

#include "fault.h"
#include "host_context.h"
#include "log.h"
#include "mem.h"

#define REMOVE_MS 900000u

/* Asks the driver to remove what it made. A machine whose record cannot be read has no driver to
 * ask. */
static int driver_remove(struct co *co, struct app *app, const char *name, struct err *err)
{
	struct record *rec;
	struct host *h;
	struct co_deadline d;

	if (record_load(app->store, name, &rec, err) < 0 || host_open(co, app, rec, &h, err) < 0)
		return -1;
	driver_deadline_begin(co, &d, h->driver, REMOVE_MS);
	int rc = host_run(co, h, DRIVER_REMOVE, err);
	co_deadline_end(co, &d);
	host_close(co, h);
	return rc;
}

int remove_locked(struct co *co, struct app *app, const char *name, bool force,
	struct err *ret_driver_err, struct err *err)
{
	int rc = driver_remove(co, app, name, ret_driver_err);

	fault_point("remove.driver");
	if (rc < 0 && (!force || ret_driver_err->code == ERR_CANCELED))
		return err_move(err, ret_driver_err);
	host_context_forget(app->store, name);
	return store_remove(app->store, name, err);
}

int remove_machine(struct co *co, struct app *app, const char *name, bool force,
	struct err *ret_driver_err, struct err *err)
{
	struct store_lock *lock;

	if (store_check(app->store, name, err) < 0)
		return -1;
	if (store_lock(co, app->store, name, 0, &lock, err) < 0)
		return -1;
	int rc = remove_locked(co, app, name, force, ret_driver_err, err);
	store_unlock(lock);
	return rc;
}
