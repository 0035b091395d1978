#include "cgroup.h"

#include "buf.h"
#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROW_FIELDS 64u
#define TABLE_MAX (4u << 20)
#define VALUE_MAX 4096u
#define CPU_PERIOD_US 100000u

struct hierarchy {
	char *mount;   /* where it is mounted */
	char *options; /* ",rw,memory," of a v1 hierarchy */
	bool v2;
};

static void hierarchy_finish(struct hierarchy *h)
{
	free(h->mount);
	free(h->options);
	*h = (struct hierarchy){0};
}

/* \040 and the like, in place */
static void unescape(char *s)
{
	char *out = s;

	for (; *s; s++) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' &&
			s[3] >= '0' && s[3] <= '7') {
			*out++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 3;
		} else {
			*out++ = *s;
		}
	}
	*out = 0;
}

/* A row of mountinfo: "31 23 0:28 ROOT MOUNT OPTIONS [TAG]... - TYPE SOURCE SUPEROPTIONS". */
static bool read_row(const char *line, size_t len, struct strv *seen, struct hierarchy *ret)
{
	_cleanup_free_ char *row = xstrndup(line, len);
	_cleanup_strv_ struct strv fields = STRV_INIT;
	size_t dash = 6;

	strv_split(&fields, row, ' ');
	while (dash < fields.n && !streq(fields.items[dash], "-"))
		dash++;
	if (dash + 3 >= fields.n || fields.n > ROW_FIELDS)
		return false;
	ret->v2 = streq(fields.items[dash + 1], "cgroup2");
	if (!ret->v2 && !streq(fields.items[dash + 1], "cgroup"))
		return false;
	if (strv_contains(seen, fields.items[2])) /* mounted a second time */
		return false;
	strv_add(seen, fields.items[2]);
	ret->mount = xstrdup(fields.items[4]);
	unescape(ret->mount);
	ret->options = xasprintf(",%s,", fields.items[dash + 3]);
	return true;
}

/* Calls fn for every hierarchy. */
static void each_hierarchy(const char *mountinfo,
	void (*fn)(const struct hierarchy *h, const void *arg, struct strv *ret), const void *arg,
	struct strv *ret)
{
	_cleanup_strv_ struct strv seen = STRV_INIT;

	while (*mountinfo) {
		size_t len = strcspn(mountinfo, "\n");
		struct hierarchy h = {0};

		if (read_row(mountinfo, len, &seen, &h))
			fn(&h, arg, ret);
		hierarchy_finish(&h);
		mountinfo += len + (mountinfo[len] == '\n');
	}
}

/* Is the line "N:CONTROLLERS:PATH" that of the hierarchy? */
static bool is_line_of(const struct hierarchy *h, const char *controllers)
{
	_cleanup_free_ char *wanted = NULL;

	if (h->v2 || !*controllers)
		return h->v2 && !*controllers;
	wanted = xasprintf(",%.*s,", (int)strcspn(controllers, ","), controllers);
	return strstr(h->options, wanted) != NULL;
}

struct of_self {
	const char *self, *name;
};

static void add_folder(const struct hierarchy *h, const void *arg, struct strv *ret)
{
	const struct of_self *o = arg;
	_cleanup_free_ char *scope = xasprintf("/%s.scope", o->name);
	_cleanup_strv_ struct strv lines = STRV_INIT;

	strv_split(&lines, o->self, '\n');
	strv_foreach (line, &lines) {
		_cleanup_free_ char *copy = xstrdup(line);
		char *controllers = strchr(copy, ':'),
		     *path = controllers ? strchr(controllers + 1, ':') : NULL;
		char *at = path ? strstr(path, scope) : NULL;

		if (!at)
			continue;
		*path = 0;
		at[strlen(scope)] = 0; /* perhaps in a folder of the scope */
		if (is_line_of(h, controllers + 1)) {
			strv_addf(ret, "%s%s", h->mount, path + 1);
			return;
		}
	}
	strv_addf(ret, "%s/%s", h->mount, o->name);
}

void cgroup_folders(const char *mountinfo, const char *self, const char *name, struct strv *ret)
{
	struct of_self o = {self, name};

	each_hierarchy(mountinfo, add_folder, &o, ret);
}

static void add_leftovers(const struct hierarchy *h, const void *arg, struct strv *ret)
{
	const char *name = arg;

	strv_addf(ret, "%s/%s", h->mount, name);
	strv_addf(ret, "%s/" CGROUP_SLICE "/%s.scope", h->mount, name);
}

void cgroup_leftovers(const char *mountinfo, const char *name, struct strv *ret)
{
	each_hierarchy(mountinfo, add_leftovers, name, ret);
}

static int read_table(const char *path, struct buf *ret, struct err *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	char chunk[VALUE_MAX / 2];
	ssize_t n;

	if (fd < 0)
		return err_errno(err, errno, "open %s", path);
	while ((n = read(fd, chunk, sizeof(chunk))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(err, errno, "read %s", path);
		if (ret->len > TABLE_MAX)
			return err_set(err, ERR_INTERNAL, "%s is too long", path);
		buf_add(ret, chunk, (size_t)n);
	}
	return 0;
}

int cgroup_of_self(const char *name, struct strv *ret, struct err *err)
{
	_cleanup_buf_ struct buf mounts = BUF_INIT, self = BUF_INIT;

	if (read_table("/proc/self/mountinfo", &mounts, err) < 0 ||
		read_table("/proc/self/cgroup", &self, err) < 0)
		return -1;
	cgroup_folders(buf_str(&mounts), buf_str(&self), name, ret);
	return 0;
}

int cgroup_of_name(const char *name, struct strv *ret, struct err *err)
{
	_cleanup_buf_ struct buf mounts = BUF_INIT;

	if (read_table("/proc/self/mountinfo", &mounts, err) < 0)
		return -1;
	cgroup_leftovers(buf_str(&mounts), name, ret);
	return 0;
}

static int put(const char *folder, const char *file, const char *value, struct err *err)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", folder, file);
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		return err_errno(err, errno, "write %s to %s", value, path);
	return 0;
}

/* Where it fails there is something that the computer does not have, or does not let us have. */
static void try_put(const char *folder, const char *file, const char *value)
{
	_cleanup_err_ struct err ignored = ERR_INIT;

	(void)!put(folder, file, value, &ignored);
}

/* v1's cpuset: a new folder has no processors until it is given some. */
static void inherit_cpuset(const char *folder, const char *part)
{
	static const char *const files[] = {"cpuset.cpus", "cpuset.mems"};
	_cleanup_free_ char *into = xasprintf("%s/%s", folder, part);

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		_cleanup_free_ char *from = xasprintf("%s/%s", folder, files[i]);
		_cleanup_free_ char *to = xasprintf("%s/%s", into, files[i]);
		_cleanup_buf_ struct buf has = BUF_INIT, value = BUF_INIT;
		_cleanup_err_ struct err ignored = ERR_INIT;

		if (read_table(to, &has, &ignored) == 0 && strlen(buf_str(&has)) <= 1 &&
			read_table(from, &value, &ignored) == 0)
			try_put(into, files[i], buf_str(&value));
	}
}

/* v2: what the folders below may use. */
static void enable_controllers(const char *folder)
{
	static const char *const all[] = {"+cpu", "+cpuset", "+io", "+memory", "+pids", "+hugetlb"};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		try_put(folder, "cgroup.subtree_control", all[i]);
}

static int make_one(const char *folder, const char *part, struct err *err)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", folder, part);

	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return err_errno(err, errno, "make the control group %s", path);
	inherit_cpuset(folder, part);
	return 0;
}

int cgroup_make(const struct strv *folders, const char *sub, struct err *err)
{
	strv_foreach (folder, folders) {
		if (access(folder, F_OK) < 0) {
			_cleanup_free_ char *above = xstrdup(folder);
			char *slash = strrchr(above, '/');

			*slash = 0;
			enable_controllers(above);
			if (make_one(above, slash + 1, err) < 0)
				return -1;
		}
		if (make_one(folder, sub, err) < 0)
			return -1;
	}
	return 0;
}

void cgroup_delegate(const struct strv *folders)
{
	strv_foreach (folder, folders)
		enable_controllers(folder);
}

/* Sets `file` of the one hierarchy that has it. */
static bool set_limit(const struct strv *folders, const char *file, const char *value)
{
	strv_foreach (folder, folders) {
		_cleanup_err_ struct err ignored = ERR_INIT;

		if (put(folder, file, value, &ignored) == 0)
			return true;
	}
	return false;
}

int cgroup_limit(const struct strv *folders, unsigned cpus, uint64_t memory, struct err *err)
{
	_cleanup_free_ char *bytes = xasprintf("%llu", (unsigned long long)memory);
	_cleanup_free_ char *quota = xasprintf("%u", cpus * CPU_PERIOD_US);
	_cleanup_free_ char *max = xasprintf("%u %u", cpus * CPU_PERIOD_US, CPU_PERIOD_US);

	if (memory && !set_limit(folders, "memory.max", bytes) &&
		!set_limit(folders, "memory.limit_in_bytes", bytes))
		return err_set(err, ERR_NOT_SUPPORTED,
			"this computer's control groups cannot limit memory: leave "
			"--nspawn-memory out");
	if (cpus && !set_limit(folders, "cpu.max", max) &&
		!set_limit(folders, "cpu.cfs_quota_us", quota))
		return err_set(err, ERR_NOT_SUPPORTED,
			"this computer's control groups cannot limit processors: leave "
			"--nspawn-cpus out");
	return 0;
}

int cgroup_enter(const struct strv *folders, const char *sub, struct err *err)
{
	strv_foreach (folder, folders) {
		_cleanup_free_ char *to = sub ? xasprintf("%s/%s", folder, sub) : xstrdup(folder);

		if (!sub)
			*strrchr(to, '/') = 0;
		if (put(to, "cgroup.procs", "0", err) < 0)
			return -1;
	}
	return 0;
}
