/*
 * Ends a process of the driver nspawn to order. Preloaded, it counts the calls that change
 * something or start or wait for something, and ends the process with SIGKILL just before one of
 * them.
 *
 *   KILLAT_ROLE  driver, supervisor, or child: its first process in a PID namespace
 *   KILLAT_AT    before which call: 1 is the first
 */
#undef _FILE_OFFSET_BITS /* open and open64 are two functions here */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
/* the real function of the same name and type */
#define NEXT(f) ((__typeof__(&(f)))dlsym(RTLD_NEXT, #f))
#define WORDS_MAX 2048

static const char *role(void)
{
	char words[WORDS_MAX];
	FILE *file = fopen("/proc/self/cmdline", "re");
	size_t n = file ? fread(words, 1, sizeof(words) - 1, file) : 0;

	if (file)
		fclose(file);
	words[n] = 0;
	if (!strstr(words, "machine-driver-nspawn"))
		return "";
	bool supervises =
		n > strlen(words) + 1 && strcmp(words + strlen(words) + 1, "--supervise") == 0;
	if (!supervises)
		return "driver";
	return getpid() == 1 ? "child" : "supervisor";
}

static void step(void)
{
	static unsigned long count;
	static pid_t counted;
	static bool mine;
	const char *at = getenv("KILLAT_AT"), *wanted = getenv("KILLAT_ROLE");

	if (!at || !wanted)
		return;
	if (counted != getpid()) { /* a fork has a count of its own */
		int e = errno;

		counted = getpid();
		count = 0;
		mine = strcmp(role(), wanted) == 0;
		errno = e;
	}
	if (!mine || ++count != strtoul(at, NULL, 10))
		return;
	kill(getpid(), SIGKILL);
	syscall(SYS_exit_group, SIGKILL); /* the first process of a namespace cannot kill itself */
}

#define STEP(type, name, params, ...)           \
	EXPORT type name params                 \
	{                                       \
		step();                         \
		return NEXT(name)(__VA_ARGS__); \
	}

#define OPEN(name)                                                      \
	EXPORT int name(const char *path, int flags, ...)               \
	{                                                               \
		va_list ap;                                             \
		va_start(ap, flags);                                    \
		mode_t mode = flags & O_CREAT ? va_arg(ap, mode_t) : 0; \
		va_end(ap);                                             \
		if (flags & (O_CREAT | O_WRONLY | O_RDWR))              \
			step();                                         \
		return NEXT(name)(path, flags, mode);                   \
	}
OPEN(open)
OPEN(open64)

#define FCNTL(name)                                                                         \
	EXPORT int name(int fd, int command, ...)                                           \
	{                                                                                   \
		va_list ap;                                                                 \
		va_start(ap, command);                                                      \
		void *arg = va_arg(ap, void *);                                             \
		va_end(ap);                                                                 \
		if (command == F_SETLK || command == F_OFD_SETLK || command == F_OFD_GETLK) \
			step();                                                             \
		return NEXT(name)(fd, command, arg);                                        \
	}
FCNTL(fcntl)
FCNTL(fcntl64)

STEP(ssize_t, write, (int fd, const void *data, size_t n), fd, data, n)
STEP(int, fsync, (int fd), fd)
STEP(int, rename, (const char *from, const char *to), from, to)
STEP(int, mkdir, (const char *path, mode_t mode), path, mode)
STEP(int, fchmod, (int fd, mode_t mode), fd, mode)
STEP(int, chmod, (const char *path, mode_t mode), path, mode)
STEP(int, chown, (const char *path, uid_t uid, gid_t gid), path, uid, gid)
STEP(int, symlink, (const char *target, const char *path), target, path)
STEP(int, unlink, (const char *path), path)
STEP(int, unlinkat, (int dir, const char *path, int flags), dir, path, flags)
STEP(int, rmdir, (const char *path), path)
STEP(int, flock, (int fd, int operation), fd, operation)
STEP(int, mount,
	(const char *from, const char *to, const char *type, unsigned long flags, const void *data),
	from, to, type, flags, data)
STEP(int, unshare, (int flags), flags)
STEP(int, chdir, (const char *path), path)
STEP(int, posix_spawn,
	(pid_t * pid, const char *file, const posix_spawn_file_actions_t *actions,
		const posix_spawnattr_t *attr, char *const argv[], char *const env[]),
	pid, file, actions, attr, argv, env)
STEP(int, pidfd_open, (pid_t pid, unsigned flags), pid, flags)
STEP(int, pidfd_send_signal, (int fd, int number, siginfo_t *info, unsigned flags), fd, number,
	info, flags)
STEP(pid_t, waitpid, (pid_t pid, int *status, int options), pid, status, options)
STEP(int, sigwaitinfo, (const sigset_t *set, siginfo_t *info), set, info)
STEP(int, sigtimedwait, (const sigset_t *set, siginfo_t *info, const struct timespec *time), set,
	info, time)

EXPORT pid_t fork(void)
{
	step();
	return NEXT(fork)();
}
