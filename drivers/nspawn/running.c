#include "running.h"

#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <unistd.h>

static struct flock one_byte(enum running_part part)
{
	return (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = part, .l_len = 1};
}

int running_take(const char *path, int *ret_fd, struct err *err)
{
	_cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	struct flock lock = one_byte(RUNNING_HOST);

	if (fd < 0)
		return err_errno(err, errno, "open %s", path);
	if (fcntl(fd, F_OFD_SETLK, &lock) < 0) {
		if (errno == EAGAIN || errno == EACCES)
			return err_set(err, ERR_EXISTS, "the host runs already");
		return err_errno(err, errno, "lock %s", path);
	}
	*ret_fd = take_fd(fd);
	return 0;
}

int running_mark(int fd, enum running_part part, struct err *err)
{
	struct flock lock = one_byte(part);

	if (fcntl(fd, F_SETLK, &lock) < 0)
		return err_errno(err, errno, "lock the file that says that the host runs");
	return 0;
}

/* The process that holds the byte; 0: nobody does. */
static int holder(int fd, enum running_part part, pid_t *ret, struct err *err)
{
	struct flock lock = one_byte(part);

	if (fcntl(fd, part == RUNNING_HOST ? F_OFD_GETLK : F_GETLK, &lock) < 0)
		return err_errno(err, errno, "ask who runs the host");
	*ret = lock.l_type == F_UNLCK ? 0 : lock.l_pid;
	return 0;
}

static int open_existing(const char *path, int *ret, struct err *err)
{
	*ret = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (*ret < 0 && errno != ENOENT && errno != ENOTDIR)
		return err_errno(err, errno, "open %s", path);
	return 0;
}

int running_held(const char *path, struct err *err)
{
	_cleanup_close_ int fd = -1;
	pid_t pid;

	if (open_existing(path, &fd, err) < 0)
		return -1;
	if (fd < 0)
		return 0;
	if (holder(fd, RUNNING_HOST, &pid, err) < 0)
		return -1;
	return pid != 0; /* -1: by a lock that belongs to no single process */
}

int running_signal(const char *path, enum running_part part, int number, struct err *err)
{
	_cleanup_close_ int fd = -1, process = -1;
	pid_t pid, again;

	if (open_existing(path, &fd, err) < 0)
		return -1;
	if (fd < 0)
		return 0;
	if (holder(fd, part, &pid, err) < 0)
		return -1;
	if (pid <= 0)
		return 0;
	process = pidfd_open(pid, 0);
	if (process < 0 && errno == ESRCH)
		return 0;
	if (process < 0)
		return err_errno(err, errno, "open process %ld", (long)pid);
	/* Who holds the lock still is the one that was opened. */
	if (holder(fd, part, &again, err) < 0)
		return -1;
	if (again != pid)
		return 0;
	if (pidfd_send_signal(process, number, NULL, 0) < 0 && errno != ESRCH)
		return err_errno(err, errno, "signal process %ld", (long)pid);
	return 1;
}
