/* The folder that serves as machine store, and what a driver did in it. */
#include "kit.h"
#include "mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_FOLDER_DEPTH 32
#define MAX_LISTED 10000

int kit_store_make(struct kit *k, struct err *err)
{
	const char *tmp = getenv("TMPDIR");
	_cleanup_free_ char *machines = NULL;

	k->store = xasprintf("%s/machine-conform-XXXXXX", tmp && *tmp ? tmp : "/tmp");
	if (!mkdtemp(k->store)) {
		err_errno(err, errno, "make a folder in %s", tmp && *tmp ? tmp : "/tmp");
		free(take(k->store));
		return -1;
	}
	machines = xasprintf("%s/machines", k->store);
	return mkdir(machines, 0700) < 0 ? err_errno(err, errno, "make %s", machines) : 0;
}

/* Links are never followed: the driver may have put any into its folder. */
static void remove_tree(int at, const char *name, unsigned depth)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *e;

	while (dir && depth < MAX_FOLDER_DEPTH && (e = readdir(dir))) {
		if (streq(e->d_name, ".") || streq(e->d_name, ".."))
			continue;
		if (unlinkat(fd, e->d_name, 0) < 0)
			remove_tree(fd, e->d_name, depth + 1);
	}
	if (dir)
		closedir(dir);
	unlinkat(at, name, AT_REMOVEDIR);
}

void kit_store_remove_dir(const char *path)
{
	remove_tree(AT_FDCWD, path, 0);
}

void kit_store_remove(struct kit *k)
{
	if (k->store)
		remove_tree(AT_FDCWD, k->store, 0);
	free(take(k->store));
}

static bool is_one_of(const char *path, const struct strv *list)
{
	return list && strv_contains(list, path);
}

static void list_tree(const char *path, const struct strv *except, unsigned depth, struct strv *ret)
{
	DIR *dir = opendir(path);
	struct dirent *e;

	while (dir && depth < MAX_FOLDER_DEPTH && ret->n < MAX_LISTED && (e = readdir(dir))) {
		_cleanup_free_ char *child = xasprintf("%s/%s", path, e->d_name);
		struct stat st;

		if (streq(e->d_name, ".") || streq(e->d_name, "..") || lstat(child, &st) < 0 ||
			is_one_of(child, except))
			continue;
		if (S_ISDIR(st.st_mode)) {
			strv_addf(ret, "%s/", child);
			list_tree(child, except, depth + 1, ret);
		} else {
			strv_addf(ret, "%s, %lld bytes of %lld.%09ld", child, (long long)st.st_size,
				(long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
		}
	}
	if (dir)
		closedir(dir);
}

void kit_store_list(struct kit *k, const char *except, struct strv *ret)
{
	_cleanup_strv_ struct strv left_out = STRV_INIT;

	if (except) { /* what machines may share is left out with the machine's own folder */
		strv_add(&left_out, except);
		strv_addf(&left_out, "%s/cache", k->store);
		strv_addf(&left_out, "%s/locks", k->store);
	}
	list_tree(k->store, &left_out, 0, ret);
	strv_sort(ret);
}

static bool is_reserved(const char *name)
{
	static const char *const names[] = {"config.json", "ca.pem", "cert.pem", "key.pem",
		"server.pem", "server-key.pem", "known_hosts"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (streq(name, names[i]))
			return true;
	return name[0] == '.';
}

static bool holds_a_key(int dir, const char *name)
{
	_cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	char head[128] = "";

	return fd >= 0 && read(fd, head, sizeof(head) - 1) > 0 &&
	       strncmp(head, "-----BEGIN ", 11) == 0 && strstr(head, "PRIVATE KEY-----");
}

char *kit_store_check_dir(const char *path)
{
	DIR *dir = opendir(path);
	char *problem = NULL;
	struct dirent *e;

	if (!dir)
		return xstrdup("the machine's folder is gone");
	while (!problem && (e = readdir(dir))) {
		struct stat st;

		if (streq(e->d_name, ".") || streq(e->d_name, ".."))
			continue;
		if (is_reserved(e->d_name))
			problem = xasprintf("%s is a name of the host's own", e->d_name);
		else if (fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
			 S_ISREG(st.st_mode) && (st.st_mode & 077) &&
			 holds_a_key(dirfd(dir), e->d_name))
			problem = xasprintf("%s is a key and has mode %04o", e->d_name,
				(unsigned)st.st_mode & 07777);
	}
	closedir(dir);
	return problem;
}
