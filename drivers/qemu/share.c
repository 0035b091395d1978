/* Shared folders: lines of fstab, and a virtiofsd for each. QEMU serves 9p itself. */
#include "qemu.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SOCKET_MS 10000
#define LOOK_MS 20
#define VHOST_USER_DIR "/usr/share/qemu/vhost-user"
#define DESCRIPTION_MAX 65536u
#define PROGRAMS_MAX 32u

static const struct json *shares_of(const struct md_machine *m)
{
	return json_get_fold(m->state, "Shares");
}

static bool is_virtiofs(const struct json *share)
{
	return streq(json_str(json_get(share, "Type"), ""), "virtiofs");
}

/* Who cannot mount goes on without. */
static char *mount_options(const struct json *share)
{
	bool read_only = json_bool_or(json_get(share, "ReadOnly"), false);

	return xasprintf("%snofail%s",
		is_virtiofs(share) ? "" : "trans=virtio,version=9p2000.L,msize=524288,",
		read_only ? ",ro" : "");
}

struct json *share_mounts(const struct md_machine *m)
{
	struct json *mounts = json_array();

	for (size_t i = 0; json_at(shares_of(m), i); i++) {
		const struct json *share = json_at(shares_of(m), i);
		_cleanup_free_ char *options = mount_options(share);
		struct json *line = json_array();

		json_add(line, json_copy(json_get(share, "Tag")));
		json_add(line, json_copy(json_get(share, "Guest")));
		json_add(line, json_copy(json_get(share, "Type")));
		json_add(line, json_string(options));
		json_add(line, json_string("0"));
		json_add(line, json_string("0"));
		json_add(mounts, line);
	}
	return mounts;
}

static char *file_of(const char *dir, size_t i, const char *suffix)
{
	return xasprintf("%s/virtiofsd-%zu.%s", dir, i, suffix);
}

/* The programs that this computer's description files name; added to those. */
static void described(struct strv *ret)
{
	DIR *d = opendir(VHOST_USER_DIR);
	const struct dirent *e;

	while (d && ret->n < PROGRAMS_MAX && (e = readdir(d))) {
		_cleanup_free_ char *path = xasprintf(VHOST_USER_DIR "/%s", e->d_name),
				    *text = NULL;
		_cleanup_err_ struct err ignored = ERR_INIT;
		_cleanup_json_ struct json *j = NULL;
		size_t len;

		if (*e->d_name == '.' ||
			md_read_file(path, DESCRIPTION_MAX, &text, &len, &ignored) < 0 ||
			json_parse(text, len, &j, &ignored) < 0)
			continue;
		if (streq(json_str(json_get(j, "type"), ""), "fs"))
			strv_add(ret, json_str(json_get(j, "binary"), ""));
	}
	if (d)
		closedir(d);
}

struct server {
	char *program; /* NULL: none */
	bool old; /* QEMU's own of before 8.0, in C, which has other arguments and needs root */
};

/* Is it one that can be used here? */
static bool try_server(const struct md_watch *w, const char *name, struct server *ret)
{
	_cleanup_free_ char *file = md_find_program(name), *said = NULL;
	const char *argv[] = {file, "--help", NULL};
	_cleanup_err_ struct err ignored = ERR_INIT;
	bool old;

	if (!file || md_run(w, argv, 0, &said, &ignored) < 0)
		return false;
	old = !strstr(said, "--shared-dir");
	if (old && (geteuid() != 0 || ret->program))
		return false;
	free(ret->program);
	*ret = (struct server){take(file), old};
	return !old;
}

static void find_server(const struct md_watch *w, struct server *ret)
{
	static const char *const usual[] = {
		"virtiofsd", "/usr/libexec/virtiofsd", "/usr/lib/virtiofsd"};
	_cleanup_strv_ struct strv names = STRV_INIT;

	*ret = (struct server){0};
	for (size_t i = 0; i < ARRAY_SIZE(usual); i++)
		strv_add(&names, usual[i]);
	described(&names);
	strv_foreach (name, &names)
		if (try_server(w, name, ret))
			return;
}

/* What "auto" means is settled once: the seed tells the machine how to mount. */
int share_settle(struct md_request *rq, struct md_machine *m, struct err *err)
{
	struct json *shares = json_get_fold(m->state, "Shares");
	struct md_watch w = md_watch_request(rq);
	struct server server = {0};
	bool asked = false;

	for (size_t i = 0; json_at(shares, i); i++) {
		struct json *share = json_at(shares, i);

		if (!streq(json_str(json_get(share, "Type"), ""), "auto"))
			continue;
		if (!asked)
			find_server(&w, &server);
		asked = true;
		json_set_str(share, "Type", server.program ? "virtiofs" : "9p");
	}
	free(server.program);
	return md_cancelled(rq) ? err_set(err, ERR_CANCELED, "cancelled") : 0;
}

bool share_has(const struct md_machine *m, const char *type)
{
	for (size_t i = 0; json_at(shares_of(m), i); i++)
		if (streq(json_str(json_get(json_at(shares_of(m), i), "Type"), ""), type))
			return true;
	return false;
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

static int start_one(struct md_request *rq, const struct md_machine *m, const struct server *server,
	size_t i, struct err *err)
{
	const char *host = json_str(json_get(json_at(shares_of(m), i), "Host"), "");
	_cleanup_free_ char *socket = file_of(sockets_dir(m), i, "sock");
	_cleanup_free_ char *log = file_of(m->dir, i, "log"), *file = file_of(m->dir, i, "pid");
	_cleanup_free_ char *where = xasprintf("--socket-path=%s", socket);
	_cleanup_free_ char *source = xasprintf("source=%s", host), *number = NULL;
	const char *now[] = {
		server->program, "--shared-dir", host, where, "--sandbox", "namespace", NULL};
	const char *before[] = {server->program, where, "-o", source, NULL};
	struct mark mark = {where, NULL, NULL};
	pid_t pid;

	unlink(socket);
	if (daemon_start(server->old ? before : now, log, &pid, err) < 0)
		return err_wrap(err, "share %s", host);
	number = xasprintf("%ld\n", (long)pid);
	if (md_write_file(file, number, strlen(number), 0600, err) < 0 ||
		await_socket(rq, socket, pid, mark, err) < 0)
		return err_wrap(err, "share %s (see %s)", host, log);
	return 0;
}

int share_start(struct md_request *rq, const struct md_machine *m, struct err *err)
{
	struct md_watch w = md_watch_request(rq);
	struct server server;
	int r = 0;

	if (!share_has(m, "virtiofs"))
		return 0;
	find_server(&w, &server);
	if (!server.program)
		return err_set(err, ERR_NOT_FOUND,
			"virtiofsd is not there, or only the one of QEMU before 8.0, which needs "
			"root: install it, or use --qemu-share-type 9p");
	for (size_t i = 0; r == 0 && json_at(shares_of(m), i); i++)
		if (is_virtiofs(json_at(shares_of(m), i)))
			r = start_one(rq, m, &server, i, err);
	free(server.program);
	return r;
}

/* A virtiofsd ends with its QEMU; one that never had one does not. */
static int end_one(const struct md_machine *m, size_t i, struct err *err)
{
	_cleanup_free_ char *socket = file_of(sockets_dir(m), i, "sock"),
			    *file = file_of(m->dir, i, "pid");
	_cleanup_free_ char *its_own = xasprintf("%s.pid", socket);
	_cleanup_free_ char *where = xasprintf("--socket-path=%s", socket);
	const char *const left[] = {socket, its_own, file};
	struct mark mark = {where, NULL, NULL};
	pid_t pid;

	while ((pid = process_find(mark, pid_in_file(file))))
		if (process_kill(pid, mark, err) < 0)
			return err_wrap(err, "end virtiofsd");
	for (size_t n = 0; n < ARRAY_SIZE(left); n++)
		unlink(left[n]);
	return 0;
}

int share_end(const struct md_machine *m, struct err *err)
{
	for (size_t i = 0; json_at(shares_of(m), i); i++)
		if (is_virtiofs(json_at(shares_of(m), i)) && end_one(m, i, err) < 0)
			return -1;
	return 0;
}

int share_remove(const struct md_machine *m, struct err *err)
{
	for (size_t i = 0; json_at(shares_of(m), i); i++) {
		_cleanup_free_ char *log = file_of(m->dir, i, "log");

		if (unlink(log) < 0 && errno != ENOENT && errno != ENOTDIR)
			return err_errno(err, errno, "remove %s", log);
	}
	return 0;
}
