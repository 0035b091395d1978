/* Paths, names and listing. Nothing here needs a lock. */
#include "store_internal.h"

#include "buf.h"
#include "mem.h"
#include "quote.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define NAME_BYTES_MAX 255u

char *store_tidy_path(const char *path)
{
	bool absolute = *path == '/';
	struct buf b = BUF_INIT;

	while (*path) {
		size_t len = strcspn(path, "/");
		if (len && !(len == 1 && *path == '.')) {
			if (absolute || b.len)
				buf_addc(&b, '/');
			buf_add(&b, path, len);
		}
		path += len + (path[len] == '/');
	}
	if (!b.len)
		buf_addc(&b, absolute ? '/' : '.');
	return buf_steal(&b);
}

int store_absolute(const char *path, char **ret, struct err *err)
{
	_cleanup_free_ char *cwd = NULL;

	if (path[0] != '/' && !(cwd = getcwd(NULL, 0)))
		return err_errno(err, errno, "find the working directory");
	_cleanup_free_ char *full = xasprintf("%s/%s", cwd ? cwd : "", path);
	*ret = store_tidy_path(full);
	return 0;
}

int store_open(const char *path, struct store **ret, struct err *err)
{
	char *full;

	if (!path || !*path)
		return err_set(err, ERR_USER, "the storage path is empty");
	if (store_absolute(path, &full, err) < 0)
		return -1;

	struct store *s = xcalloc(1, sizeof(*s));
	s->path = full;
	const char *root = streq(s->path, "/") ? "" : s->path;
	s->certs = xasprintf("%s/certs", root);
	s->machines = xasprintf("%s/machines", root);
	s->locks = xasprintf("%s/locks", root);
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

int store_mkdir_parents(const char *path, struct err *err)
{
	_cleanup_free_ char *part = xstrdup(path);
	struct stat st;

	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return 0;
	for (char *p = strchr(part + 1, '/'); p; p = strchr(p + 1, '/')) {
		*p = '\0';
		if (store_mkdir(part, err) < 0)
			return -1;
		*p = '/';
	}
	return store_mkdir(part, err);
}

int store_ensure(struct store *s, struct err *err)
{
	if (store_mkdir_parents(s->path, err) < 0 || store_mkdir(s->certs, err) < 0)
		return -1;
	return store_mkdir(s->machines, err);
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

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool machine_name_valid(const char *name)
{
	if (!machine_name_possible(name) || !is_alnum(*name))
		return false;
	for (const char *p = name; *p; p++)
		if (!is_alnum(*p) && *p != '.' && *p != '-')
			return false;
	return true;
}

bool machine_name_possible(const char *name)
{
	return name && *name && *name != '.' && !strchr(name, '/') &&
	       strlen(name) <= NAME_BYTES_MAX;
}

/* A link to a folder is no machine: other programs that read the store do not count it either. */
static bool is_folder(int dir, const struct dirent *e)
{
	struct stat st;

	if (e->d_type != DT_UNKNOWN)
		return e->d_type == DT_DIR;
	return fstatat(dir, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

int store_list(const struct store *s, struct strv *ret, struct err *err)
{
	struct strv names = STRV_INIT;
	DIR *d = opendir(s->machines);
	const struct dirent *e;

	if (!d && errno != ENOENT)
		return err_errno(err, errno, "open %s", s->machines);
	while (d && (errno = 0, e = readdir(d)))
		if (machine_name_possible(e->d_name) && is_folder(dirfd(d), e))
			strv_add(&names, e->d_name);
	int failed = d ? errno : 0;
	if (d)
		closedir(d);
	if (failed) {
		strv_finish(&names);
		return err_errno(err, failed, "read %s", s->machines);
	}
	strv_sort(&names);
	*ret = names;
	return 0;
}

bool store_exists(const struct store *s, const char *name)
{
	struct stat st;

	if (!machine_name_possible(name))
		return false;
	_cleanup_free_ char *dir = store_machine_dir(s, name);
	return lstat(dir, &st) == 0;
}

int store_check(const struct store *s, const char *name, struct err *err)
{
	struct stat st;

	if (!machine_name_possible(name))
		return store_not_found(name, err);
	_cleanup_free_ char *dir = store_machine_dir(s, name);
	if (lstat(dir, &st) == 0)
		return 0;
	if (errno == ENOENT || errno == ENOTDIR)
		return store_not_found(name, err);
	return err_errno(err, errno, "open %s", dir);
}

int store_not_found(const char *name, struct err *err)
{
	_cleanup_free_ char *quoted = go_quote(name ? name : "");

	return err_set(err, ERR_NOT_FOUND,
		"Docker machine %s does not exist. Use \"docker-machine ls\" to list machines. "
		"Use \"docker-machine create\" to add a new one.",
		quoted);
}
