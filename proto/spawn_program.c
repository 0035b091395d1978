#include "spawn_program.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stddef.h>
#include <unistd.h>

static void set_attributes(posix_spawnattr_t *attr, enum spawn_group group)
{
	static const short flags[] = {
		[SPAWN_GROUP] = POSIX_SPAWN_SETPGROUP,
		[SPAWN_SESSION] = POSIX_SPAWN_SETSID,
	};
	sigset_t none, all;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawnattr_setsigmask(attr, &none);
	posix_spawnattr_setsigdefault(attr, &all);
	posix_spawnattr_setpgroup(attr, 0);
	posix_spawnattr_setflags(
		attr, (short)(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | flags[group]));
}

int spawn_program(const char *file, char *const argv[], char *const env[], const int fds[3],
	enum spawn_group group, pid_t *ret)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;

	posix_spawn_file_actions_init(&actions);
	for (int i = 0; i < 3; i++)
		if (fds[i] < 0)
			posix_spawn_file_actions_addopen(&actions, i, "/dev/null", O_RDONLY, 0);
		else
			posix_spawn_file_actions_adddup2(&actions, fds[i], i);
	posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
	posix_spawnattr_init(&attr);
	set_attributes(&attr, group);
	int e = posix_spawn(ret, file, &actions, &attr, argv, env ? env : environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	return e;
}
