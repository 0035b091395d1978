#include "default_driver.h"

#include "buf.h"
#include "find_program.h"
#include "mem.h"
#include "registry.h"

#define ORIGINALS_DEFAULT "virtualbox" /* Docker Machine's */

/* Best first. */
static const struct candidate {
	const char *name;
	const char *program; /* that it works with */
	bool root;           /* has to be root */
} candidates[] = {
	{"nspawn", "systemd-nspawn", true},
	{"qemu", "qemu-system-x86_64", false},
};

static bool have_driver(const char *name)
{
	_cleanup_err_ struct err e = ERR_INIT;
	struct registry_entry entry;

	if (registry_find(name, &entry, &e) < 0)
		return false;
	registry_entry_finish(&entry);
	return true;
}

/* What keeps it from working here, malloc'ed; NULL: nothing that shows before a create. */
static char *obstacle(const struct candidate *c, uid_t uid)
{
	if (c->root && uid != 0)
		return xstrdup("not root");
	if (!find_program(c->program))
		return xasprintf("no %s", c->program);
	if (!have_driver(c->name))
		return xasprintf("no " DRIVER_PREFIX "%s", c->name);
	return NULL;
}

char *default_driver_choose(uid_t uid, char **ret_why)
{
	struct buf obstacles = BUF_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(candidates); i++) {
		const struct candidate *c = &candidates[i];
		_cleanup_free_ char *why_not = obstacle(c, uid);

		if (!why_not) {
			buf_finish(&obstacles);
			*ret_why =
				xasprintf("%s%s is here", c->root ? "root, and " : "", c->program);
			return xstrdup(c->name);
		}
		buf_addf(&obstacles, "%s%s: %s", i ? "; " : "", c->name, why_not);
	}
	*ret_why = buf_steal(&obstacles);
	return xstrdup(ORIGINALS_DEFAULT);
}
