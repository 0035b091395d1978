/* Where things are, what counts as a machine, claiming and removing a machine's folder. */
#include "store.h"

#include "fault.h"
#include "log.h"
#include "mem.h"
#include "store_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_BYTES_MAX 255u
#define TREE_DEPTH_MAX 64u
#define CLAIM_MARK ".claim-"
#define GONE_MARK ".gone-"

int store_open(const char *path, struct store **ret, struct err *err)
{
	_cleanup_free_ char *cwd = NULL;
	struct store *s;

	if (!*path)
		return err_set(err, ERR_USER, "the storage path is empty");
	if (*path != '/' && !(cwd = getcwd(NULL, 0)))
		return err_errno(err, errno, "find the working directory");
	s = xcalloc(1, sizeof(*s));
	s->path = cwd ? xasprintf("%s/%s", cwd, path) : xstrdup(path);
	for (size_t n = strlen(s->path); n > 1 && s->path[n - 1] == '/'; n--)
		s->path[n - 1] = '\0';
	s->certs = xasprintf("%s/certs", s->path);
	s->machines = xasprintf("%s/machines", s->path);
	s->locks = xasprintf("%s/locks", s->path);
	*ret = s;
	return 0;
}

void store_free(struct store *s)
{
	if (!s)
		return;
	free(s->path);
	free(s->certs);
	free(s->machines);
	free(s->locks);
	free(s);
}

const char *store_path(const struct store *s)
{
	return s->path;
}

const char *store_certs_dir(const struct store *s)
{
	return s->certs;
}

char *store_machine_dir(const struct store *s, const char *name)
{
	return xasprintf("%s/%s", s->machines, name);
}

char *store_machine_file(const struct store *s, const char *name, const char *file)
{
	return xasprintf("%s/%s/%s", s->machines, name, file);
}

int store_mkdirs(const char *path, struct err *err)
{
	_cleanup_free_ char *p = xstrdup(path);

	for (char *s = p + 1;; s++) {
		if (*s != '/' && *s != '\0')
			continue;
		char end = *s;
		*s = '\0';
		if (mkdir(p, 0700) < 0 && errno != EEXIST)
			return err_errno(err, errno, "make folder %s", p);
		if (!end)
			return 0;
		*s = end;
	}
}

int store_ensure(struct store *s, struct err *err)
{
	if (store_mkdirs(s->certs, err) < 0 || store_mkdirs(s->machines, err) < 0 ||
		store_mkdirs(s->locks, err) < 0)
		return -1;
	return 0;
}

bool machine_name_valid(const char *name)
{
	static const char first[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
	static const char all[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-";

	return *name && strchr(first, *name) && !name[strspn(name, all)] &&
	       strlen(name) <= NAME_BYTES_MAX;
}

bool machine_name_possible(const char *name)
{
	return *name && *name != '.' && !strchr(name, '/') && strlen(name) <= NAME_BYTES_MAX;
}

int store_not_found(const char *name, struct err *err)
{
	return err_set(err, ERR_NOT_FOUND,
		"Docker machine \"%s\" does not exist. Use \"docker-machine ls\" to list machines. "
		"Use \"docker-machine create\" to add a new one.",
		name);
}

static bool is_dir(int dirfd, const struct dirent *e)
{
	struct stat st;

	if (e->d_type != DT_UNKNOWN && e->d_type != DT_LNK)
		return e->d_type == DT_DIR;
	return fstatat(dirfd, e->d_name, &st, 0) == 0 && S_ISDIR(st.st_mode);
}

int store_list(const struct store *s, struct strv *ret, struct err *err)
{
	DIR *d = opendir(s->machines);
	struct dirent *e;

	if (!d)
		return errno == ENOENT ? 0 : err_errno(err, errno, "read folder %s", s->machines);
	while ((e = readdir(d)))
		if (e->d_name[0] != '.' && is_dir(dirfd(d), e))
			strv_add(ret, e->d_name);
	closedir(d);
	strv_sort(ret);
	return 0;
}

bool store_exists(const struct store *s, const char *name)
{
	_cleanup_free_ char *dir = NULL;
	struct stat st;

	if (!machine_name_possible(name))
		return false;
	dir = store_machine_dir(s, name);
	return lstat(dir, &st) == 0;
}

/* ".NAME.claim-PID-RANDOM": readable enough for store_sweep to know whose it is. */
static char *temp_dir_name(const struct store *s, const char *name, const char *mark)
{
	unsigned r = 0;

	if (getrandom(&r, sizeof(r), 0) != (ssize_t)sizeof(r))
		r = (unsigned)time(NULL);
	return xasprintf("%s/.%.180s%s%ld-%08x", s->machines, name, mark, (long)getpid(), r);
}

static int fill_claim(const char *dir, const struct store_file *files, size_t n, struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		_cleanup_free_ char *path = xasprintf("%s/%s", dir, files[i].name);
		if (store_write_file(path, files[i].data, files[i].len, 0600, err) < 0)
			return -1;
		fault_point("store.claim.file");
	}
	return 0;
}

int store_claim(struct store *s, const char *name, const struct store_file *files, size_t n,
	struct err *err)
{
	_cleanup_free_ char *dir = store_machine_dir(s, name);
	_cleanup_free_ char *temp = temp_dir_name(s, name, CLAIM_MARK);
	_cleanup_err_ struct err ignored = ERR_INIT;

	if (!machine_name_valid(name))
		return err_set(err, ERR_USER, "\"%s\" is no name for a machine", name);
	if (mkdir(temp, 0700) < 0)
		return err_errno(err, errno, "make folder %s", temp);
	fault_point("store.claim.folder");
	if (fill_claim(temp, files, n, err) < 0) {
		store_remove_tree(temp, &ignored);
		return -1;
	}
	fault_point("store.claim.before-rename");
	if (renameat2(AT_FDCWD, temp, AT_FDCWD, dir, RENAME_NOREPLACE) < 0) {
		int e = errno;
		store_remove_tree(temp, &ignored);
		if (e == EEXIST || e == ENOTEMPTY)
			return err_set(
				err, ERR_EXISTS, "Docker machine \"%s\" already exists", name);
		return err_errno(err, e, "make folder %s", dir);
	}
	fault_point("store.claim.after-rename");
	return store_sync_dir(s->machines, err);
}

static int remove_entries(int fd, unsigned depth, const char *where, struct err *err);

static int remove_entry(
	int fd, const char *name, unsigned depth, const char *where, struct err *err)
{
	if (unlinkat(fd, name, 0) == 0)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return err_errno(err, errno, "delete %s/%s", where, name);
	_cleanup_close_ int sub = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (sub < 0)
		return err_errno(err, errno, "open %s/%s", where, name);
	if (remove_entries(sub, depth + 1, where, err) < 0)
		return -1;
	if (unlinkat(fd, name, AT_REMOVEDIR) < 0)
		return err_errno(err, errno, "delete %s/%s", where, name);
	return 0;
}

static int remove_entries(int fd, unsigned depth, const char *where, struct err *err)
{
	struct dirent *e;
	int rc = 0;

	if (depth > TREE_DEPTH_MAX)
		return err_set(err, ERR_IO, "%s is nested too deep to delete", where);
	DIR *d = fdopendir(dup(fd));
	if (!d)
		return err_errno(err, errno, "read folder %s", where);
	while (rc == 0 && (e = readdir(d)))
		if (!streq(e->d_name, ".") && !streq(e->d_name, ".."))
			rc = remove_entry(fd, e->d_name, depth, where, err);
	closedir(d);
	return rc;
}

int store_remove_tree(const char *path, struct err *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0) {
		if (errno != ENOTDIR && errno != ELOOP)
			return err_errno(err, errno, "open %s", path);
		if (unlink(path) < 0)
			return err_errno(err, errno, "delete %s", path);
		return 0;
	}
	if (remove_entries(fd, 0, path, err) < 0)
		return -1;
	if (rmdir(path) < 0)
		return err_errno(err, errno, "delete %s", path);
	return 0;
}

int store_remove(struct store *s, const char *name, struct err *err)
{
	_cleanup_free_ char *dir = store_machine_dir(s, name);
	_cleanup_free_ char *gone = temp_dir_name(s, name, GONE_MARK);
	_cleanup_free_ char *lock = xasprintf("%s/%s.lock", s->locks, name);

	if (!store_exists(s, name))
		return err_set(err, ERR_NOT_FOUND, "Can't remove \"%s\"", name);
	fault_point("store.remove.before-rename");
	if (rename(dir, gone) < 0)
		return err_errno(err, errno, "delete %s", dir);
	fault_point("store.remove.after-rename");
	if (store_remove_tree(gone, err) < 0)
		return err_wrap(err, "machine \"%s\" is removed, but its files are not", name);
	unlink(lock);
	return store_sync_dir(s->machines, err);
}

/* The process id in a leftover's name, 0 if it is none of ours. */
static long owner_of(const char *name)
{
	static const char *const marks[] = {CLAIM_MARK, GONE_MARK};

	for (size_t i = 0; i < ARRAY_SIZE(marks); i++) {
		const char *last = NULL;
		for (const char *p = name; (p = strstr(p, marks[i])); p++)
			last = p;
		if (!last)
			continue;
		char *end;
		long pid = strtol(last + strlen(marks[i]), &end, 10);
		if (pid > 0 && *end == '-')
			return pid;
	}
	return 0;
}

void store_sweep(struct store *s)
{
	_cleanup_err_ struct err ignored = ERR_INIT;
	DIR *d = opendir(s->machines);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		long pid = e->d_name[0] == '.' ? owner_of(e->d_name) : 0;
		if (pid <= 0 || pid == getpid() || kill((pid_t)pid, 0) == 0 || errno != ESRCH)
			continue;
		_cleanup_free_ char *path = xasprintf("%s/%s", s->machines, e->d_name);
		log_debug("deleting %s, left by a process that is gone", path);
		store_remove_tree(path, &ignored);
	}
	if (d)
		closedir(d);
}
