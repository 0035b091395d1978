#include "personal.h"

#include "machine-driver.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PASSWD_MAX (1u << 20)
#define KEY_MAX (64u << 10)
#define SERVER_KEY "etc/ssh/ssh_host_ed25519_key"

struct account {
	uid_t uid;
	gid_t gid;
	char *home;
};

static int find_account(const char *tree, const char *user, struct account *ret, struct err *err)
{
	_cleanup_free_ char *path = xasprintf("%s/etc/passwd", tree), *text = NULL;
	_cleanup_strv_ struct strv lines = STRV_INIT;
	size_t len;

	if (md_read_file(path, PASSWD_MAX, &text, &len, err) < 0)
		return -1;
	strv_split(&lines, text, '\n');
	strv_foreach (line, &lines) {
		_cleanup_strv_ struct strv f = STRV_INIT;

		strv_split(&f, line, ':');
		/* name, password, uid, gid, [comment,] home, shell: empty parts are dropped */
		if (f.n < 6 || !streq(f.items[0], user))
			continue;
		ret->uid = (uid_t)strtoul(f.items[2], NULL, 10);
		ret->gid = (gid_t)strtoul(f.items[3], NULL, 10);
		ret->home = xstrdup(f.items[f.n - 2]);
		if (ret->home[0] == '/' && !strstr(ret->home, "/.."))
			return 0;
		free(take(ret->home));
		break;
	}
	return err_set(err, ERR_USER,
		"the image has no user \"%s\" with a home folder: see --nspawn-ssh-user", user);
}

int personal_check_user(const char *tree, const char *user, struct err *err)
{
	struct account a = {0};
	int rc = find_account(tree, user, &a, err);

	free(a.home);
	return rc;
}

/* The folder of `name` in the upper layer, with the mode and owner that it has in the image: a
 * layer's folder hides those of the layer below. */
static int make_parents(const struct personal *p, const char *name, struct err *err)
{
	for (const char *slash = strchr(name, '/'); slash; slash = strchr(slash + 1, '/')) {
		_cleanup_free_ char *part = xstrndup(name, (size_t)(slash - name));
		_cleanup_free_ char *from = xasprintf("%s/%s", p->tree, part);
		_cleanup_free_ char *to = xasprintf("%s/%s", p->upper, part);
		struct stat st = {.st_mode = S_IFDIR | 0755};

		if (lstat(from, &st) < 0 && errno != ENOENT)
			return err_errno(err, errno, "%s", from);
		if (!S_ISDIR(st.st_mode))
			return err_set(err, ERR_USER, "the image's /%s is not a folder", part);
		if (mkdir(to, 0700) < 0) {
			if (errno == EEXIST)
				continue;
			return err_errno(err, errno, "make %s", to);
		}
		if (chown(to, st.st_uid, st.st_gid) < 0 || chmod(to, st.st_mode & 07777) < 0)
			return err_errno(err, errno, "make %s", to);
	}
	return 0;
}

static int put(const struct personal *p, const char *name, const char *text, size_t len,
	unsigned mode, struct err *err)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", p->upper, name);

	if (make_parents(p, name, err) < 0)
		return -1;
	return md_write_file(path, text, len, mode, err);
}

static int put_text(const struct personal *p, const char *name, char *take_text, struct err *err)
{
	_cleanup_free_ char *text = take_text;

	return put(p, name, text, strlen(text), 0644, err);
}

static int put_key(const struct personal *p, const char *name, const char *from, unsigned mode,
	struct err *err)
{
	_cleanup_secret_ char *text = NULL;
	size_t len;

	if (md_read_file(from, KEY_MAX, &text, &len, err) < 0)
		return -1;
	return put(p, name, text, len, mode, err);
}

static int put_login(const struct personal *p, struct err *err)
{
	struct account a = {0};

	if (find_account(p->tree, p->user, &a, err) < 0)
		return -1;
	_cleanup_free_ char *home = a.home;
	_cleanup_free_ char *folder_name = xasprintf("%s/.ssh", home + 1);
	_cleanup_free_ char *name = xasprintf("%s/authorized_keys", folder_name);
	_cleanup_free_ char *folder = xasprintf("%s/%s", p->upper, folder_name);
	_cleanup_free_ char *path = xasprintf("%s/%s", p->upper, name);
	_cleanup_free_ char *line = xasprintf("%s\n", p->login_key);

	if (put(p, name, line, strlen(line), 0600, err) < 0)
		return -1;
	if (chmod(folder, 0700) < 0 || chown(folder, a.uid, a.gid) < 0 ||
		chown(path, a.uid, a.gid) < 0)
		return err_errno(err, errno, "give %s to %s", path, p->user);
	return 0;
}

int personal_write(const struct personal *p, struct err *err)
{
	/* an empty machine-id: the host makes its own at the first boot */
	if (put(p, "etc/machine-id", "", 0, 0444, err) < 0 ||
		put_text(p, "etc/hostname", xasprintf("%s\n", p->hostname), err) < 0 ||
		put_text(p, "etc/hosts",
			xasprintf("127.0.0.1\tlocalhost\n127.0.1.1\t%s\n::1\tlocalhost "
				  "ip6-localhost ip6-loopback\n",
				p->hostname),
			err) < 0 ||
		put_text(p, "etc/ssh/sshd_config.d/00-machine.conf",
			xasprintf("HostKey /" SERVER_KEY "\n"), err) < 0 ||
		put_key(p, SERVER_KEY, p->host_key, 0600, err) < 0 ||
		put_key(p, SERVER_KEY ".pub", p->host_key_pub, 0644, err) < 0)
		return -1;
	return put_login(p, err);
}
