/*
 * A complete driver. Its provider is the file system: a machine is a folder below --example-root,
 * and it runs from 0.3 s after it got a file "power".
 *
 *     machine create -d example --example-root /tmp/machines m1
 */
#include "machine-driver.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BOOT_MS 300

static const struct flagspec flags[] = {
	{.name = "example-root",
		.type = FLAG_STRING,
		.env = "EXAMPLE_ROOT",
		.usage = "folder to make the machines in",
		.required = true},
};

/* From flags to a state. No network, no changes anywhere. */
static int configure(
	struct md_request *rq, struct md_machine *m, const struct json *values, struct err *err)
{
	_cleanup_free_ char *root = md_expand_path(md_flag_str(values, "example-root"));

	json_set_str(m->state, "IPAddress", "127.0.0.1");
	json_set_str(m->state, "Root", root);
	return 0;
}

/* What would make create fail. */
static int pre_create_check(struct md_request *rq, struct md_machine *m, struct err *err)
{
	const char *root = json_str(json_get(m->state, "Root"), "");

	if (access(root, R_OK | W_OK | X_OK) < 0)
		return err_errno(err, errno, "--example-root %s", root);
	return 0;
}

/* "" as long as create has not chosen one. */
static const char *folder_of(const struct md_machine *m)
{
	return json_str(json_get(m->state, "Folder"), "");
}

static char *power_of(const struct md_machine *m)
{
	return xasprintf("%s/power", *folder_of(m) ? folder_of(m) : "/nonexistent");
}

static enum machine_state power_state(const struct md_machine *m)
{
	_cleanup_free_ char *power = power_of(m);
	struct timespec now;
	struct stat st;

	if (stat(power, &st) < 0)
		return STATE_STOPPED;
	clock_gettime(CLOCK_REALTIME, &now);
	int64_t ms = (now.tv_sec - st.st_mtim.tv_sec) * 1000 +
		     (now.tv_nsec - st.st_mtim.tv_nsec) / 1000000;
	return ms >= BOOT_MS ? STATE_RUNNING : STATE_STARTING;
}

static int start(
	struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err)
{
	_cleanup_free_ char *power = power_of(m);
	int fd = open(power, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_errno(err, errno, "switch on %s", m->name);
	close(fd);
	if (power_state(m) == STATE_RUNNING)
		return 0; /* *out is zeroed: done */
	/* The program does the waiting, with `state` below, and then calls again. */
	out->status = MD_WAIT;
	out->wait_for = STATE_RUNNING;
	out->retry_after_ms = 100;
	out->message = xstrdup("the folder is booting");
	return 0;
}

/* Re-entrant: does what is still missing, wherever it was interrupted. */
static int create(
	struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err)
{
	const char *root = json_str(json_get(m->state, "Root"), "");
	struct stat st;

	if (!*folder_of(m)) {
		/* The id is the machine's own and stays the same, so this can be no one else's. */
		_cleanup_free_ char *folder = xasprintf("%s/%s-%s", root, m->name, m->id);
		json_set_str(m->state, "Folder", folder);
		/* Written down before it is made: now remove can find it, whatever happens. */
		if (md_checkpoint(rq, m->state, err) < 0)
			return -1;
	}
	if (!json_get(m->state, "FolderId")) {
		md_progress(rq, "Making %s...", folder_of(m));
		if (mkdir(folder_of(m), 0700) < 0 && errno != EEXIST)
			return err_errno(err, errno, "make %s", folder_of(m));
		if (stat(folder_of(m), &st) < 0)
			return err_errno(err, errno, "%s", folder_of(m));
		/* The provider's id, too, before the next call. */
		json_set(m->state, "FolderId", json_int((int64_t)st.st_ino));
		if (md_checkpoint(rq, m->state, err) < 0)
			return -1;
	}
	return start(rq, m, out, err);
}

static int stop(
	struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err)
{
	_cleanup_free_ char *power = power_of(m);

	if (unlink(power) < 0 && errno != ENOENT)
		return err_errno(err, errno, "switch off %s", m->name);
	return 0;
}

/* Also of a machine that was never made, or only half, or is gone. */
static int remove_machine(
	struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err)
{
	if (!*folder_of(m))
		return 0;
	if (stop(rq, m, out, err) < 0)
		return -1;
	if (rmdir(folder_of(m)) < 0 && errno != ENOENT)
		return err_errno(err, errno, "remove %s", folder_of(m));
	return 0;
}

static int state(
	struct md_request *rq, struct md_machine *m, struct md_report *out, struct err *err)
{
	if (!*folder_of(m) || access(folder_of(m), F_OK) < 0) {
		out->state = STATE_ERROR;
		out->message = xstrdup("the machine does not exist (any more)");
		return 0;
	}
	out->state = power_state(m);
	out->ip = xstrdup(json_str(json_get(m->state, "IPAddress"), ""));
	return 0;
}

static const struct md_driver example_driver = {
	.name = "example",
	.version = "1.0",
	.description = "Folders that pretend to be machines",
	.flags = flags,
	.n_flags = ARRAY_SIZE(flags),
	.no_provision = true, /* nobody answers SSH there, and no engine is to be installed */
	.configure = configure,
	.pre_create_check = pre_create_check,
	.create = create,
	.start = start,
	.stop = stop,
	.kill = stop, /* and no .restart: the SDK answers that it is not supported */
	.remove = remove_machine,
	.state = state,
};

MACHINE_DRIVER(example_driver)
