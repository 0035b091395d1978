#include "registry.h"

#include "config.h"
#include "mem.h"
#include "strv.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_MAX_LEN 64u

struct place {
	char *dir;
	enum driver_origin origin;
};

struct places {
	struct place *items;
	size_t n;
};

bool driver_name_valid(const char *name)
{
	static const char first[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
	static const char all[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";

	return *name && strchr(first, *name) && !name[strspn(name, all)] &&
	       strlen(name) <= NAME_MAX_LEN;
}

const char *driver_origin_name(enum driver_origin o)
{
	static const char *const names[] = {"built in", "MACHINE_DRIVER_PATH", "PATH"};

	return names[o];
}

void registry_entry_finish(struct registry_entry *e)
{
	free(e->name);
	free(e->file);
	*e = (struct registry_entry){0};
}

void registry_list_finish(struct registry_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		registry_entry_finish(&l->items[i]);
	free(l->items);
	*l = (struct registry_list){0};
}

static void add_place(struct places *p, const char *dir, enum driver_origin origin)
{
	if (dir[0] != '/')
		return; /* what a relative folder means changes with the working directory */
	p->items = xrealloc(p->items, p->n + 1, sizeof(*p->items));
	p->items[p->n++] = (struct place){xstrdup(dir), origin};
}

static void add_path(struct places *p, const char *variable, enum driver_origin origin)
{
	_cleanup_strv_ struct strv dirs = STRV_INIT;
	const char *value = getenv(variable);

	if (value)
		strv_split(&dirs, value, ':');
	for (size_t i = 0; i < dirs.n; i++)
		add_place(p, dirs.items[i], origin);
}

/* Next to the running binary: BUILD/machine/cli/machine has BUILD/drivers, BIN/machine has
 * BIN/../libexec/machine. */
static void add_own(struct places *p)
{
	_cleanup_free_ char *exe = realpath("/proc/self/exe", NULL);

	if (exe) {
		*strrchr(exe, '/') = '\0';
		size_t len = strlen(exe);
		bool build = len > 12 && streq(exe + len - 12, "/machine/cli");
		_cleanup_free_ char *dir =
			xasprintf("%s%s", exe, build ? "/../../drivers" : "/../libexec/machine");
		_cleanup_free_ char *real = realpath(dir, NULL);
		if (real)
			add_place(p, real, DRIVER_ORIGIN_BUILTIN);
	}
	add_place(p, MACHINE_DRIVER_DIR, DRIVER_ORIGIN_BUILTIN);
}

static void find_places(struct places *p)
{
	add_own(p);
	add_path(p, "MACHINE_DRIVER_PATH", DRIVER_ORIGIN_DRIVER_PATH);
	add_path(p, "PATH", DRIVER_ORIGIN_PATH);
}

static void places_finish(struct places *p)
{
	for (size_t i = 0; i < p->n; i++)
		free(p->items[i].dir);
	free(p->items);
}

static bool is_executable(const char *file)
{
	struct stat st;

	return stat(file, &st) == 0 && S_ISREG(st.st_mode) && access(file, X_OK) == 0;
}

/* The first of the places that has the executable. */
static bool find_executable(const char *name, char **ret_file, enum driver_origin *ret_origin)
{
	__attribute__((cleanup(places_finish))) struct places p = {0};

	find_places(&p);
	for (size_t i = 0; i < p.n; i++) {
		_cleanup_free_ char *file = xasprintf("%s/%s", p.items[i].dir, name);
		if (!is_executable(file))
			continue;
		*ret_file = take(file);
		*ret_origin = p.items[i].origin;
		return true;
	}
	return false;
}

int registry_find(const char *name, struct registry_entry *ret, struct err *err)
{
	_cleanup_free_ char *executable = xasprintf(DRIVER_PREFIX "%s", name);
	struct registry_entry e = {0};

	if (driver_name_valid(name) && find_executable(executable, &e.file, &e.origin)) {
		e.name = xstrdup(name);
		*ret = e;
		return 0;
	}
	return err_set(err, ERR_NOT_FOUND,
		"Driver \"%s\" not found. Do you have the plugin binary "
		"\"docker-machine-driver-%s\" accessible in your PATH?\n"
		"(Looked for " DRIVER_PREFIX
		"%s beside this program, in MACHINE_DRIVER_PATH and in PATH.)",
		name, name, name);
}

int registry_find_helper(const char *executable, char **ret, struct err *err)
{
	enum driver_origin origin;

	if (find_executable(executable, ret, &origin))
		return 0;
	return err_set(err, ERR_NOT_FOUND,
		"%s, a part of this program, is not there.\n"
		"(Looked beside this program, in MACHINE_DRIVER_PATH and in PATH.)",
		executable);
}

static bool listed(const struct registry_list *l, const char *name)
{
	for (size_t i = 0; i < l->n; i++)
		if (streq(l->items[i].name, name))
			return true;
	return false;
}

static void scan_place(struct registry_list *l, const struct place *place)
{
	DIR *d = opendir(place->dir);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		if (strncmp(e->d_name, DRIVER_PREFIX, strlen(DRIVER_PREFIX)) != 0)
			continue;
		const char *name = e->d_name + strlen(DRIVER_PREFIX);
		if (!driver_name_valid(name) || listed(l, name))
			continue;
		_cleanup_free_ char *file = xasprintf("%s/%s", place->dir, e->d_name);
		if (!is_executable(file))
			continue;
		l->items = xrealloc(l->items, l->n + 1, sizeof(*l->items));
		l->items[l->n++] =
			(struct registry_entry){xstrdup(name), take(file), place->origin};
	}
	if (d)
		closedir(d);
}

static int by_name(const void *a, const void *b)
{
	const struct registry_entry *x = a, *y = b;

	return strcmp(x->name, y->name);
}

void registry_scan(struct registry_list *ret)
{
	__attribute__((cleanup(places_finish))) struct places p = {0};
	struct registry_list l = {0};

	find_places(&p);
	for (size_t i = 0; i < p.n; i++)
		scan_place(&l, &p.items[i]);
	if (l.n)
		qsort(l.items, l.n, sizeof(*l.items), by_name);
	*ret = l;
}
