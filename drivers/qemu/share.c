/* Shared folders: lines of fstab, and a virtiofsd for each. QEMU serves 9p itself. */
#include "qemu.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SOCKET_MS 10000
#define LOOK_MS 20

static const struct json *shares_of(const struct md_machine *m)
{
	return json_get_fold(m->state, "Shares");
}

bool share_by_virtiofs(const struct md_machine *m)
{
	return shares_of(m) && shares_of(m)->n && streq(get_str(m, "ShareType"), "virtiofs");
}

struct json *share_mounts(const struct md_machine *m)
{
	struct json *mounts = json_array();
	const char *type = share_by_virtiofs(m) ? "virtiofs" : "9p";

	for (size_t i = 0; json_at(shares_of(m), i); i++) {
		const struct json *share = json_at(shares_of(m), i);
		bool read_only = json_bool_or(json_get(share, "ReadOnly"), false);
		_cleanup_free_ char *tag = xasprintf("share%zu", i);
		_cleanup_free_ char *options = xasprintf("%snofail%s",
			share_by_virtiofs(m) ? "" : "trans=virtio,version=9p2000.L,msize=131072,",
			read_only ? ",ro" : "");
		struct json *line = json_array();

		json_add(line, json_string(tag));
		json_add(line, json_copy(json_get(share, "GuestPath")));
		json_add(line, json_string(type));
		json_add(line, json_string(options));
		json_add(line, json_string("0"));
		json_add(line, json_string("0"));
		json_add(mounts, line);
	}
	return mounts;
}

static char *socket_of(const struct md_machine *m, size_t i)
{
	return xasprintf("%s/virtiofs-%zu.sock", m->dir, i);
}

static char *log_of(const struct md_machine *m, size_t i)
{
	return xasprintf("%s/virtiofs-%zu.log", m->dir, i);
}

/* The one that QEMU brought before 8.0 is for root only. */
static char *find_virtiofsd(void)
{
	static const struct {
		const char *name;
		bool for_root;
	} places[] = {{"virtiofsd", false}, {"/usr/libexec/virtiofsd", false},
		{"/usr/lib/virtiofsd", false}, {"/usr/lib/qemu/virtiofsd", true}};
	char *file = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(places) && !file; i++)
		if (!places[i].for_root || geteuid() == 0)
			file = md_find_program(places[i].name);
	return file;
}

/* What "auto" means is settled once: the seed tells the machine how to mount. virtiofs cannot keep
 * it from writing. */
void share_settle(struct md_machine *m)
{
	_cleanup_free_ char *program = NULL;
	bool read_only = false;

	if (!streq(get_str(m, "ShareType"), "auto"))
		return;
	for (size_t i = 0; json_at(shares_of(m), i); i++)
		read_only |= json_bool_or(json_get(json_at(shares_of(m), i), "ReadOnly"), false);
	program = read_only ? NULL : find_virtiofsd();
	json_set_str(m->state, "ShareType", program ? "virtiofs" : "9p");
}

static int await_socket(
	struct md_request *rq, const char *path, pid_t pid, struct mark mark, struct err *err)
{
	struct stat st;

	for (int waited = 0; waited < SOCKET_MS; waited += LOOK_MS) {
		if (stat(path, &st) == 0 && S_ISSOCK(st.st_mode))
			return 0;
		if (process_ended(pid, mark, 0))
			return err_set(err, ERR_INTERNAL, "virtiofsd ended at once");
		if (md_sleep(rq, LOOK_MS, err) < 0)
			return -1;
	}
	return err_set(err, ERR_TIMEOUT, "virtiofsd made no socket within %d s", SOCKET_MS / 1000);
}

static int start_one(struct md_request *rq, const struct md_machine *m, const char *program,
	size_t i, struct err *err)
{
	const struct json *share = json_at(shares_of(m), i);
	const char *host = json_str(json_get(share, "HostPath"), "");
	_cleanup_free_ char *socket = socket_of(m, i), *log = log_of(m, i);
	_cleanup_free_ char *socket_argument = xasprintf("--socket-path=%s", socket);
	_cleanup_free_ char *source = xasprintf("source=%s", host);
	const char *argv[] = {program, socket_argument, "-o", source, NULL};
	struct mark mark = {socket_argument, NULL};
	pid_t pid;

	unlink(socket);
	if (daemon_start(argv, log, &pid, err) < 0 || await_socket(rq, socket, pid, mark, err) < 0)
		return err_wrap(err, "share %s (see %s)", host, log);
	return 0;
}

int share_start(struct md_request *rq, const struct md_machine *m, struct err *err)
{
	_cleanup_free_ char *program = NULL;

	if (!share_by_virtiofs(m))
		return 0;
	program = find_virtiofsd();
	if (!program)
		return err_set(err, ERR_NOT_FOUND,
			"virtiofsd is not there: install it, or use --qemu-share-type 9p");
	for (size_t i = 0; json_at(shares_of(m), i); i++)
		if (start_one(rq, m, program, i, err) < 0)
			return -1;
	return 0;
}

/* A virtiofsd ends with its QEMU; one that never had one does not. */
int share_end(const struct md_machine *m, struct err *err)
{
	for (size_t i = 0; share_by_virtiofs(m) && json_at(shares_of(m), i); i++) {
		_cleanup_free_ char *socket = socket_of(m, i),
				    *pid_file = xasprintf("%s.pid", socket);
		_cleanup_free_ char *argument = xasprintf("--socket-path=%s", socket);
		struct mark mark = {argument, NULL};
		pid_t pid;

		while ((pid = process_find(mark, 0)))
			if (process_kill(pid, mark, err) < 0)
				return err_wrap(err, "end virtiofsd");
		unlink(socket);
		unlink(pid_file);
	}
	return 0;
}

int share_remove(const struct md_machine *m, struct err *err)
{
	for (size_t i = 0; json_at(shares_of(m), i); i++) {
		_cleanup_free_ char *log = log_of(m, i);

		if (unlink(log) < 0 && errno != ENOENT && errno != ENOTDIR)
			return err_errno(err, errno, "remove %s", log);
	}
	return 0;
}
