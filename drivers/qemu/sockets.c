/* Where a machine's sockets are. The kernel takes short paths only: those of a machine whose folder
 * has a long one are in a folder of the user's run-time folder. */
#include "qemu.h"
#include "sha.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LONGEST_NAME "virtiofsd-00.sock"
#define SUBFOLDER "docker-machine"
#define HASH_DIGITS 16
#define DIR_KEY "SocketDir" /* "": the machine's folder */

static bool fits(const char *dir)
{
	return strlen(dir) + strlen("/" LONGEST_NAME) <= SOCKET_PATH_MAX;
}

/* malloc'ed; NULL: there is none. */
static char *runtime_folder(void)
{
	const char *env = getenv("XDG_RUNTIME_DIR");
	_cleanup_free_ char *usual = xasprintf("/run/user/%ld", (long)geteuid());

	if (env && *env == '/')
		return xstrdup(env);
	if (access(usual, W_OK | X_OK) == 0)
		return take(usual);
	return geteuid() == 0 ? xstrdup("/run") : NULL;
}

int sockets_choose(const struct md_machine *m, char **ret, struct err *err)
{
	_cleanup_free_ char *runtime = NULL, *dir = NULL;
	char hash[SHA_HEX_MAX + 1];

	if (fits(m->dir)) {
		*ret = xstrdup("");
		return 0;
	}
	runtime = runtime_folder();
	sha_text(SHA_256, m->dir, hash);
	dir = runtime ? xasprintf("%s/" SUBFOLDER "/%.*s", runtime, HASH_DIGITS, hash) : NULL;
	if (dir && fits(dir)) {
		*ret = take(dir);
		return 0;
	}
	return err_set(err, ERR_USER,
		"the machine's folder %s has too long a path: a socket in it would have %zu "
		"bytes, and %d are possible; and there is no run-time folder (XDG_RUNTIME_DIR) "
		"that would do. Choose a shorter --storage-path or name",
		m->dir, strlen(m->dir) + strlen("/" LONGEST_NAME), SOCKET_PATH_MAX);
}

int sockets_settle(struct md_machine *m, struct err *err)
{
	_cleanup_free_ char *dir = NULL;

	if (sockets_choose(m, &dir, err) < 0)
		return -1;
	json_set_str(m->state, DIR_KEY, dir);
	return 0;
}

const char *sockets_dir(const struct md_machine *m)
{
	const char *dir = md_state_str(m, DIR_KEY);

	return *dir ? dir : m->dir;
}

char *socket_path(const struct md_machine *m, const char *name)
{
	return xasprintf("%s/%s", sockets_dir(m), name);
}

/* What is below a run-time folder is gone when the computer starts again. */
int sockets_make_dir(const struct md_machine *m, struct err *err)
{
	const char *dir = md_state_str(m, DIR_KEY);

	return *dir ? md_make_dirs(dir, 0700, err) : 0;
}

int sockets_remove_dir(const struct md_machine *m, struct err *err)
{
	const char *dir = md_state_str(m, DIR_KEY);

	if (*dir && rmdir(dir) < 0 && errno != ENOENT && errno != ENOTDIR)
		return err_errno(err, errno, "remove %s", dir);
	return 0;
}
