/* Ends what is in control groups, and removes them. */
#include "cgroup.h"

#include "mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define DEPTH_MAX 64u
#define STEP_MS 10u
#define LINE 64u

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void step(void)
{
	nanosleep(&(struct timespec){.tv_nsec = STEP_MS * 1000000L}, NULL);
}

/* Calls fn for the folder and every one below it, the lowest first; adds up what fn returns. */
static size_t walk(const char *folder, unsigned depth, size_t (*fn)(const char *folder))
{
	DIR *dir = depth < DEPTH_MAX ? opendir(folder) : NULL;
	size_t n = 0;

	if (!dir)
		return 0;
	for (struct dirent *e; (e = readdir(dir));) {
		_cleanup_free_ char *below = NULL;

		if (e->d_type != DT_DIR || streq(e->d_name, ".") || streq(e->d_name, ".."))
			continue;
		below = xasprintf("%s/%s", folder, e->d_name);
		n += walk(below, depth + 1, fn);
	}
	closedir(dir);
	return n + fn(folder);
}

static size_t kill_processes(const char *folder)
{
	_cleanup_free_ char *path = xasprintf("%s/cgroup.procs", folder);
	FILE *file = fopen(path, "re");
	char line[LINE];
	size_t n = 0;

	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file)) {
		long pid = strtol(line, NULL, 10);

		if (pid > 1 && pid != getpid()) {
			kill((pid_t)pid, SIGKILL);
			n++;
		}
	}
	fclose(file);
	return n;
}

/* Nothing ends what a v1 freezer holds, such as the processes of a container that is paused: not
 * even SIGKILL. v2 has no such file. */
static size_t thaw(const char *folder)
{
	static const char thawed[] = "THAWED";
	_cleanup_free_ char *path = xasprintf("%s/freezer.state", folder);
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd >= 0 && write(fd, thawed, strlen(thawed)) < 0;
}

/* 1: it is still there */
static size_t remove_folder(const char *folder)
{
	return rmdir(folder) < 0 && errno != ENOENT ? 1 : 0;
}

static size_t for_all(const struct strv *folders, const char *sub, size_t (*fn)(const char *folder))
{
	size_t n = 0;

	strv_foreach (folder, folders) {
		_cleanup_free_ char *path = sub ? xasprintf("%s/%s", folder, sub) : xstrdup(folder);

		n += walk(path, 0, fn);
	}
	return n;
}

void cgroup_thaw(const struct strv *folders)
{
	for_all(folders, NULL, thaw);
}

int cgroup_kill(const struct strv *folders, uint32_t timeout_ms, struct err *err)
{
	int64_t end = now_ms() + timeout_ms;

	while (for_all(folders, NULL, kill_processes) > 0) {
		if (now_ms() > end)
			return err_set(err, ERR_TIMEOUT,
				"processes of the host survive SIGKILL for %u s",
				timeout_ms / 1000);
		cgroup_thaw(folders);
		step();
	}
	return 0;
}

int cgroup_remove(const struct strv *folders, const char *sub, uint32_t timeout_ms, struct err *err)
{
	int64_t end = now_ms() + timeout_ms;

	while (for_all(folders, sub, remove_folder) > 0) {
		if (now_ms() > end)
			return err_set(err, ERR_TIMEOUT,
				"the control group %s cannot be removed: processes are in it",
				folders->n ? folders->items[0] : "");
		step();
	}
	return 0;
}
