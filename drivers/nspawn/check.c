/* What would make `create` fail, found out before anything is made. */
#include "host.h"
#include "names.h"
#include "plan.h"
#include "tree.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK_MS 30000u

int host_need_root(struct err *err)
{
	if (geteuid() == 0)
		return 0;
	return err_set(err, ERR_AUTH,
		"the nspawn driver mounts file systems and makes networks, which takes root: run "
		"the command with sudo");
}

static int check_programs(struct err *err)
{
	static const struct {
		const char *program, *package;
	} needed[] = {{"systemd-nspawn", "systemd-container"}, {"ip", "iproute2"},
		{"iptables", "iptables"}, {"tar", "tar"}, {"zstd", "zstd"}};

	for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
		_cleanup_free_ char *path = md_find_program(needed[i].program);

		if (!path)
			return err_set(err, ERR_USER,
				"the program %s is not there: install it (Debian: apt-get install "
				"%s)",
				needed[i].program, needed[i].package);
	}
	return 0;
}

static int check_binds(const struct md_machine *m, struct err *err)
{
	const struct json *binds = json_get(m->state, STATE_BINDS);

	for (size_t i = 0; json_at(binds, i); i++) {
		_cleanup_bind_ struct bind b = {0};

		if (bind_parse(json_str(json_at(binds, i), ""), &b, err) < 0)
			return -1;
		if (access(b.from, F_OK) < 0) {
			err_errno(err, errno, "--nspawn-bind %s", b.from);
			err->code = ERR_USER;
			return -1;
		}
	}
	return 0;
}

/* In a child, so that the mount goes when the child ends. Returns an errno. */
static int try_overlay(const char *dir)
{
	int status;
	pid_t pid = fork();

	if (pid < 0)
		return errno;
	if (pid == 0) {
		if (unshare(CLONE_NEWNS) < 0 ||
			mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 || chdir(dir) < 0 ||
			mkdir("l", 0700) < 0 || mkdir("u", 0700) < 0 || mkdir("w", 0700) < 0 ||
			mkdir("m", 0700) < 0 ||
			mount("machine", "m", "overlay", 0, "lowerdir=l,upperdir=u,workdir=w") <
				0 ||
			mkdir("m/probe", 0700) < 0)
			_exit(errno);
		_exit(0);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
}

/* Not every file system can be the upper layer of an overlay: an overlay, NFS and others cannot. */
static int check_store(const struct md_watch *w, const struct md_machine *m, struct err *err)
{
	_cleanup_free_ char *dir = xasprintf("%s/.nspawn-check", m->store_path);
	_cleanup_free_ char *lock = md_store_lock(m->store_path, "nspawn-check.lock");
	_cleanup_lock_ int fd = -1;
	int problem;

	/* always the same one: what a process that was ended has left goes with the next check */
	if (md_lock(w, lock, false, CHECK_MS, &fd, err) < 0 || tree_remove(dir, err) < 0)
		return -1;
	if (mkdir(dir, 0700) < 0)
		return err_errno(err, errno, "make %s", dir);
	problem = try_overlay(dir);
	if (tree_remove(dir, err) < 0)
		return -1;
	if (!problem)
		return 0;
	return err_set(err, ERR_USER,
		"the store %s is on a file system that cannot carry machines (an overlay on it: "
		"%s): put the store elsewhere with --storage-path, on ext4, xfs, btrfs or tmpfs",
		m->store_path, strerror(problem));
}

static int check_image(struct md_request *rq, const struct md_machine *m, struct err *err)
{
	const char *ref = md_state_str(m, STATE_IMAGE);
	struct md_watch w = md_watch_request(rq);
	_cleanup_image_ struct md_image image = {0};

	if (strchr(ref, '/')) /* a folder that create takes in */
		return access(ref, R_OK) < 0 ? err_errno(err, errno, "--nspawn-image %s", ref) : 0;
	return md_image_get(
		&w, m->store_path, ref, "", MD_IMAGE_ROOTFS | MD_IMAGE_UNREAD, &image, err);
}

int host_check(struct md_request *rq, struct md_machine *m, struct err *err)
{
	struct md_watch w = md_watch_request(rq);

	if (host_need_root(err) < 0 || check_programs(err) < 0 || check_binds(m, err) < 0 ||
		check_store(&w, m, err) < 0)
		return -1;
	return check_image(rq, m, err);
}
