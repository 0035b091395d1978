#include "registry.h"

#include "cgroup.h"
#include "fault.h"
#include "machine-driver.h"
#include "names.h"
#include "network.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOCK_MS 120000u
#define FILE_MAX (64u << 10)
#define WIPE_MS 10000u

static void entry_finish(struct registry_entry *e)
{
	free(e->dir);
	free(e->name);
	free(e->id);
	*e = (struct registry_entry){0};
}

static char *net_path(const struct registry *r)
{
	return xasprintf("%s/net.json", r->root);
}

static char *entry_path(const struct registry *r, uint32_t number)
{
	_cleanup_free_ char *address = subnet_address(&r->subnet, number);

	return xasprintf("%s/hosts/%s", r->root, address);
}

static int read_json(const char *path, struct json **ret, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	size_t len;

	if (md_read_file(path, FILE_MAX, &text, &len, err) < 0)
		return -1;
	return json_parse(text, len, ret, err) < 0 ? err_wrap(err, "%s", path) : 0;
}

static int write_json(const char *path, const struct json *j, struct err *err)
{
	_cleanup_free_ char *text = json_to_string(j, JSON_INDENT);

	return md_write_file(path, text, strlen(text), 0600, err);
}

static int save_net(struct registry *r, struct err *err)
{
	_cleanup_free_ char *path = net_path(r), *subnet = subnet_text(&r->subnet);
	_cleanup_json_ struct json *j = json_object();

	json_set_str(j, "bridge", NSPAWN_BRIDGE);
	json_set_str(j, "subnet", subnet);
	json_set(j, "last", json_int(r->last));
	return write_json(path, j, err);
}

static int load_net(struct registry *r, struct err *err)
{
	_cleanup_free_ char *path = net_path(r),
			    *left_over = xasprintf("%s/.net.json.new", r->root);
	_cleanup_json_ struct json *j = NULL;
	_cleanup_err_ struct err e = ERR_INIT;

	unlink(left_over); /* by a process that was ended while it wrote */
	if (read_json(path, &j, &e) < 0)
		return e.code == ERR_NOT_FOUND ? 0 : err_move(err, &e);
	r->has_subnet = subnet_parse(json_str(json_get(j, "subnet"), ""), &r->subnet);
	if (!r->has_subnet)
		return err_set(err, ERR_INTERNAL, "%s names no subnet", path);
	r->last = (uint32_t)json_int_or(json_get(j, "last"), 0);
	return 0;
}

static void add_entry(
	struct registry *r, uint32_t number, const char *dir, const char *name, const char *id)
{
	r->entries = xrealloc(r->entries, r->n + 1, sizeof(*r->entries));
	r->entries[r->n++] =
		(struct registry_entry){number, xstrdup(dir), xstrdup(name), xstrdup(id)};
}

/* ".NAME.new": the same, of an entry */
static bool is_left_over(const char *name)
{
	size_t len = strlen(name), tail = strlen(".new");

	return *name == '.' && len > tail && streq(name + len - tail, ".new");
}

static int load_entry(struct registry *r, const char *address, struct err *err)
{
	uint32_t number = r->has_subnet ? subnet_number(&r->subnet, address) : 0;
	_cleanup_free_ char *path = xasprintf("%s/hosts/%s", r->root, address);
	_cleanup_json_ struct json *j = NULL;

	if (is_left_over(address) && unlink(path) < 0)
		return err_errno(err, errno, "remove %s", path);
	if (!number) /* no file of ours */
		return 0;
	if (read_json(path, &j, err) < 0)
		return -1;
	add_entry(r, number, json_str(json_get(j, "dir"), ""), json_str(json_get(j, "name"), ""),
		json_str(json_get(j, "id"), ""));
	return 0;
}

static int load_entries(struct registry *r, struct err *err)
{
	_cleanup_free_ char *path = xasprintf("%s/hosts", r->root);
	DIR *dir = opendir(path);
	int rc = 0;

	if (!dir)
		return errno == ENOENT ? 0 : err_errno(err, errno, "open %s", path);
	for (struct dirent *e; rc == 0 && (e = readdir(dir));)
		rc = load_entry(r, e->d_name, err);
	closedir(dir);
	return rc;
}

/* The machine's folder is there, was not made anew for another machine of the name, whatever its
 * driver, and is not about to be removed. */
static bool is_alive(const char *dir, const char *machine_id)
{
	_cleanup_free_ char *path = xasprintf("%s/" NSPAWN_DIR "/" FILE_ID, dir), *id = NULL;
	_cleanup_err_ struct err why = ERR_INIT;
	size_t len;

	if (md_read_file(path, FILE_MAX, &id, &len, &why) == 0)
		return streq(id, machine_id);
	return why.code != ERR_NOT_FOUND && why.errnum != ENOTDIR;
}

int registry_wipe(struct registry *r, uint32_t number, struct err *err)
{
	_cleanup_free_ char *name = xasprintf(NSPAWN_GROUP, number);
	_cleanup_strv_ struct strv groups = STRV_INIT;

	if (cgroup_of_name(name, &groups, err) < 0 || cgroup_kill(&groups, WIPE_MS, err) < 0 ||
		cgroup_remove(&groups, NULL, WIPE_MS, err) < 0)
		return -1;
	return network_drop_link(r->watch, number, err);
}

static int drop_network(struct registry *r, struct err *err)
{
	_cleanup_free_ char *net = net_path(r), *hosts = xasprintf("%s/hosts", r->root);

	if (network_down(r->watch, &r->subnet, err) < 0)
		return -1;
	nspawn_fault("registry.network_down");
	rmdir(hosts);                           /* not empty: something that is not ours */
	if (unlink(net) < 0 && errno != ENOENT) /* last: it is what tells of the rest */
		return err_errno(err, errno, "remove %s", net);
	r->has_subnet = false;
	return 0;
}

static int drop_entry(struct registry *r, size_t i, struct err *err)
{
	_cleanup_free_ char *path = entry_path(r, r->entries[i].number);

	if (registry_wipe(r, r->entries[i].number, err) < 0)
		return -1;
	nspawn_fault("registry.wiped");
	if (unlink(path) < 0 && errno != ENOENT)
		return err_errno(err, errno, "remove %s", path);
	entry_finish(&r->entries[i]);
	r->entries[i] = r->entries[--r->n];
	return 0;
}

static int collect(struct registry *r, struct err *err)
{
	for (size_t i = r->n; i-- > 0;)
		if (!is_alive(r->entries[i].dir, r->entries[i].id) && drop_entry(r, i, err) < 0)
			return -1;
	return r->n == 0 && r->has_subnet ? drop_network(r, err) : 0;
}

int registry_open(struct registry *r, const struct md_watch *w, struct err *err)
{
	_cleanup_free_ char *lock = NULL;

	*r = (struct registry){.watch = w, .root = NSPAWN_REGISTRY, .lock = -1};
	lock = xasprintf("%s/lock", r->root);
	if (md_lock(w, lock, false, LOCK_MS, &r->lock, err) < 0)
		return -1;
	if (load_net(r, err) < 0 || load_entries(r, err) < 0 || collect(r, err) < 0)
		return err_wrap(err, "the driver's registry of addresses");
	return 0;
}

void registry_close(struct registry *r)
{
	for (size_t i = 0; i < r->n; i++)
		entry_finish(&r->entries[i]);
	free(r->entries);
	if (r->root)
		md_unlock(&r->lock);
	*r = (struct registry){.lock = -1};
}

const struct registry_entry *registry_find(
	const struct registry *r, const struct registry_machine *m)
{
	for (size_t i = 0; i < r->n; i++)
		if (streq(r->entries[i].id, m->id) && streq(r->entries[i].dir, m->dir))
			return &r->entries[i];
	return NULL;
}

static bool is_taken(uint32_t number, const void *arg)
{
	const struct registry *r = arg;

	for (size_t i = 0; i < r->n; i++)
		if (r->entries[i].number == number)
			return true;
	return false;
}

static int choose_subnet(struct registry *r, const char *flag, struct err *err)
{
	_cleanup_free_ char *listing = NULL;
	struct subnet s;

	if (network_listing(r->watch, &listing, err) < 0)
		return -1;
	if (*flag) {
		if (!subnet_parse(flag, &s))
			return err_set(err, ERR_USER, "--nspawn-subnet \"%s\" is no subnet", flag);
		if (subnet_in_use(&s, listing))
			return err_set(err, ERR_USER,
				"--nspawn-subnet %s overlaps with a network of this computer",
				flag);
	} else if (!subnet_choose(listing, &s)) {
		return err_set(err, ERR_USER,
			"all subnets that the driver knows are in use on this computer: name a "
			"free one with --nspawn-subnet");
	}
	r->subnet = s;
	r->has_subnet = true;
	r->last = 0;
	return save_net(r, err);
}

static int check_subnet(const struct registry *r, const char *flag, struct err *err)
{
	_cleanup_free_ char *has = subnet_text(&r->subnet);

	if (!*flag || streq(flag, has))
		return 0;
	return err_set(err, ERR_USER,
		"--nspawn-subnet %s: the hosts that exist are in %s, and all share one network; "
		"leave "
		"the option out, or remove them first",
		flag, has);
}

static int save_entry(
	struct registry *r, const struct registry_machine *m, uint32_t number, struct err *err)
{
	_cleanup_free_ char *path = entry_path(r, number), *hosts = xasprintf("%s/hosts", r->root);
	_cleanup_json_ struct json *j = json_object();

	json_set_str(j, "dir", m->dir);
	json_set_str(j, "name", m->name);
	json_set_str(j, "id", m->id);
	if (md_make_dirs(hosts, 0700, err) < 0 || write_json(path, j, err) < 0)
		return -1;
	add_entry(r, number, m->dir, m->name, m->id);
	return 0;
}

/* The address that the machine had: the registry forgot it, or it is a copy of another's. */
static int again(struct registry *r, const char *wanted, uint32_t *ret, struct err *err)
{
	uint32_t number = subnet_number(&r->subnet, wanted);

	for (size_t i = 0; number && i < r->n; i++)
		if (r->entries[i].number == number)
			return err_set(err, ERR_EXISTS,
				"its address %s belongs to the machine %s in %s now: remove one of "
				"the two",
				wanted, r->entries[i].name, r->entries[i].dir);
	if (!number) {
		_cleanup_free_ char *has = subnet_text(&r->subnet);

		return err_set(err, ERR_EXISTS,
			"its address %s is not in %s, where the hosts of this computer are now: "
			"remove it and make it again, or remove the others",
			wanted, has);
	}
	*ret = number;
	return 0;
}

int registry_reserve(struct registry *r, const struct registry_machine *m, const char *wanted,
	const char *subnet, uint32_t *ret_number, struct err *err)
{
	const struct registry_entry *own = registry_find(r, m);
	uint32_t number = own ? own->number : 0;

	if (!is_alive(m->dir, m->id)) /* by another process, while this one was at work */
		return err_set(err, ERR_NOT_FOUND,
			"the machine has been removed, or is half removed: `machine rm` ends that");
	if (!r->has_subnet && choose_subnet(r, subnet, err) < 0)
		return -1;
	if (!own) {
		if (*wanted) {
			if (again(r, wanted, &number, err) < 0)
				return -1;
		} else {
			if (check_subnet(r, subnet, err) < 0)
				return -1;
			number = subnet_next(&r->subnet, r->last, is_taken, r);
			if (!number)
				return err_set(err, ERR_QUOTA,
					"every address of the hosts' subnet is taken: remove "
					"machines");
			r->last = number;
		}
		if (save_entry(r, m, number, err) < 0 || save_net(r, err) < 0)
			return -1;
	}
	nspawn_fault("registry.reserved");
	if (network_up(r->watch, &r->subnet, err) < 0)
		return -1;
	nspawn_fault("registry.network_up");
	*ret_number = number;
	return 0;
}

int registry_release(struct registry *r, const struct registry_machine *m, struct err *err)
{
	const struct registry_entry *own = registry_find(r, m);

	if (!own)
		return 0;
	if (drop_entry(r, (size_t)(own - r->entries), err) < 0)
		return -1;
	return r->n == 0 && r->has_subnet ? drop_network(r, err) : 0;
}
