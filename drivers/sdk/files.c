/* Helpers without a request: flag values, the base state, addresses, files. */
#include "sdk.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COPY_CHUNK 2048
#define COPY_MAX (1u << 30)

void md_base_state(struct md_machine *m)
{
	static const struct {
		const char *key;
		enum json_type type;
	} members[] = {{"IPAddress", JSON_STRING}, {"MachineName", JSON_STRING},
		{"SSHUser", JSON_STRING}, {"SSHPort", JSON_NUMBER}, {"SSHKeyPath", JSON_STRING},
		{"StorePath", JSON_STRING}, {"SwarmMaster", JSON_BOOL}, {"SwarmHost", JSON_STRING},
		{"SwarmDiscovery", JSON_STRING}};

	for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
		const char *key = members[i].key;

		if (json_get_fold(m->state, key))
			continue;
		if (members[i].type == JSON_NUMBER)
			json_set(m->state, key, json_int(0));
		else if (members[i].type == JSON_BOOL)
			json_set(m->state, key, json_bool(false));
		else if (streq(key, "MachineName"))
			json_set_str(m->state, key, m->name);
		else if (streq(key, "StorePath"))
			json_set_str(m->state, key, m->store_path);
		else
			json_set_str(m->state, key, "");
	}
}

const char *md_flag_str(const struct json *flags, const char *name)
{
	return json_str(json_get(flags, name), "");
}

int64_t md_flag_int(const struct json *flags, const char *name)
{
	return json_int_or(json_get(flags, name), 0);
}

bool md_flag_bool(const struct json *flags, const char *name)
{
	return json_bool_or(json_get(flags, name), false);
}

const struct json *md_flag_list(const struct json *flags, const char *name)
{
	const struct json *list = json_get(flags, name);

	return json_is(list, JSON_ARRAY) ? list : NULL;
}

char *md_host_port(const char *host, int port)
{
	bool v6 = strchr(host, ':') && host[0] != '[';

	return xasprintf(v6 ? "[%s]:%d" : "%s:%d", host, port);
}

char *md_url(const char *host, int port)
{
	_cleanup_free_ char *address = md_host_port(host, port);

	return xasprintf("tcp://%s", address);
}

char *md_file(const struct md_machine *m, const char *name)
{
	return xasprintf("%s/%s", m->dir, name);
}

static int copy_data(int from, int to, const char *path, struct err *err)
{
	char chunk[COPY_CHUNK];
	size_t total = 0;
	ssize_t n;

	while ((n = read(from, chunk, sizeof(chunk))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(err, errno, "read %s", path);
		total += (size_t)n;
		if (total > COPY_MAX)
			return err_set(err, ERR_USER, "%s is too large to be copied", path);
		for (ssize_t done = 0; done < n;) {
			ssize_t w = write(to, chunk + done, (size_t)(n - done));

			if (w < 0 && errno != EINTR)
				return err_errno(err, errno, "write a copy of %s", path);
			done += MAX(w, (ssize_t)0);
		}
	}
	return fsync(to) < 0 ? err_errno(err, errno, "write a copy of %s", path) : 0;
}

static int copy_to_temporary(
	const char *from, const char *temporary, unsigned mode, struct err *err)
{
	/* O_NONBLOCK: a FIFO must not hold us up. */
	_cleanup_close_ int in = open(from, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	_cleanup_close_ int out = -1;
	struct stat st;

	if (in < 0 || fstat(in, &st) < 0)
		return err_errno(err, errno, "open %s", from);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_USER, "%s is not a regular file", from);
	out = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	if (out < 0 || fchmod(out, mode) < 0)
		return err_errno(err, errno, "create %s", temporary);
	return copy_data(in, out, from, err);
}

int md_copy_file(const char *from, const char *to, unsigned mode, struct err *err)
{
	_cleanup_free_ char *temporary = xasprintf("%s.tmp%ld", to, (long)getpid());
	int r;

	unlink(temporary); /* of an earlier process of that number */
	r = copy_to_temporary(from, temporary, mode, err);
	if (r == 0 && rename(temporary, to) < 0)
		r = err_errno(err, errno, "rename %s to %s", temporary, to);
	if (r < 0)
		unlink(temporary);
	return r;
}

static char *home(void)
{
	const char *env = getenv("HOME");
	struct passwd *pw;

	if (env && *env)
		return xstrdup(env);
	pw = getpwuid(getuid());
	return xstrdup(pw ? pw->pw_dir : "/");
}

char *md_expand_path(const char *path)
{
	_cleanup_free_ char *base = NULL;

	if (!*path || *path == '/')
		return xstrdup(path);
	if (*path == '~' && (path[1] == '/' || !path[1])) {
		base = home();
		return xasprintf("%s%s", base, path + 1);
	}
	base = getcwd(NULL, 0);
	while (path[0] == '.' && path[1] == '/')
		path += 2;
	return xasprintf("%s/%s", base && !streq(base, "/") ? base : "", path);
}
