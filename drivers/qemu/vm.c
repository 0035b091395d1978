/* The machine's process: finding it, talking to it, ending it. */
#include "qemu.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define PID_FILE_MAX 64u
#define LOG_TAIL 600
#define LOCK_MS 120000u
#define QUIT_MS 5000u
#define QUIT_WAIT_MS 5000u
#define PROCESSES_MAX 8 /* one, or a second that lost the race for the disk */

bool vm_is_old(const struct md_machine *m)
{
	return !json_get_fold(m->state, "UUID");
}

struct mark vm_mark(const struct md_machine *m)
{
	if (vm_is_old(m))
		return (struct mark){"-pidfile", PID_FILE, m->dir};
	return (struct mark){"-uuid", md_state_str(m, "UUID"), NULL};
}

pid_t pid_in_file(const char *path)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_err_ struct err ignored = ERR_INIT;
	long pid;

	if (md_read_file(path, PID_FILE_MAX, &text, NULL, &ignored) < 0)
		return 0;
	pid = strtol(text, NULL, 10);
	return pid > 0 ? (pid_t)pid : 0;
}

pid_t vm_find(const struct md_machine *m)
{
	_cleanup_free_ char *file = md_file(m, PID_FILE);

	if (!vm_is_old(m) && !*md_state_str(m, "UUID"))
		return 0;
	return process_find(vm_mark(m), pid_in_file(file));
}

int vm_lock(struct md_request *rq, const struct md_machine *m, int *ret, struct err *err)
{
	_cleanup_free_ char *path = md_file(m, LOCK_FILE);
	struct md_watch w = md_watch_request(rq);

	return md_lock(&w, path, false, LOCK_MS, ret, err);
}

/* Whoever listens there must be the machine: a file of that name may have come from a copy. */
static int check_uuid(const struct md_machine *m, struct qmp *q, struct err *err)
{
	_cleanup_json_ struct json *value = NULL;
	const char *uuid;

	if (vm_is_old(m))
		return 0;
	if (qmp_command(q, "query-uuid", NULL, &value, err) < 0)
		return -1;
	uuid = json_str(json_get(value, "UUID"), "");
	if (strcasecmp(uuid, md_state_str(m, "UUID")) == 0)
		return 0;
	return err_set(
		err, ERR_NOT_RUNNING, "QMP: the socket is that of another machine, %s", uuid);
}

int vm_qmp(const struct md_machine *m, uint32_t timeout_ms, struct qmp **ret, struct err *err)
{
	_cleanup_free_ char *path = socket_path(m, QMP_FILE);
	_cleanup_qmp_ struct qmp *q = NULL;

	if (qmp_open(path, timeout_ms, &q, err) < 0 || check_uuid(m, q, err) < 0)
		return -1;
	*ret = take(q);
	return 0;
}

/* False: it does not hear. */
static bool ask_to_quit(const struct md_machine *m)
{
	_cleanup_err_ struct err ignored = ERR_INIT;
	_cleanup_qmp_ struct qmp *q = NULL;

	if (vm_qmp(m, QUIT_MS, &q, &ignored) < 0)
		return false;
	console_save(m, q);
	return qmp_quit(q, &ignored) == 0;
}

int vm_end(const struct md_machine *m, struct err *err)
{
	_cleanup_free_ char *pid_file = md_file(m, PID_FILE), *monitor = socket_path(m, QMP_FILE);
	const char *const left[] = {pid_file, monitor};
	pid_t pid;

	for (int i = 0; (pid = vm_find(m)); i++) {
		if (i == PROCESSES_MAX)
			return err_set(err, ERR_INTERNAL,
				"end the machine: another process of it (%ld) is there each time",
				(long)pid);
		uint32_t patience = ask_to_quit(m) ? QUIT_WAIT_MS : 0;
		if (!process_ended(pid, vm_mark(m), patience) &&
			process_kill(pid, vm_mark(m), err) < 0)
			return err_wrap(err, "end the machine");
	}
	for (size_t i = 0; i < ARRAY_SIZE(left); i++) {
		if (unlink(left[i]) < 0 && errno != ENOENT && errno != ENOTDIR)
			return err_errno(err, errno, "remove %s", left[i]);
	}
	return share_end(m, err);
}

char *vm_last_words(const struct md_machine *m)
{
	_cleanup_free_ char *path = md_file(m, LOG_FILE), *text = NULL;
	_cleanup_err_ struct err ignored = ERR_INIT;
	size_t len, skip;

	if (md_read_file(path, 1u << 20, &text, &len, &ignored) < 0)
		return xstrdup("");
	while (len && (text[len - 1] == '\n' || text[len - 1] == '\r'))
		text[--len] = '\0';
	skip = len > LOG_TAIL ? len - LOG_TAIL : 0;
	log_neutralise(text + skip);
	return xstrdup(text + skip);
}
