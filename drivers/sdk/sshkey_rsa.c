/* A login key of RSA, for clouds that take no other. It is made by ssh-keygen: the program that
 * logs in with such a key is OpenSSH's, too, and a driver that needs none starts without it. */
#include "md-cloud.h"

#include "putfile.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_MAX (64u << 10)
#define TEMPORARY ".id_rsa.made"

/* Not another name of the key of Ed25519, which is there until this one is whole. */
static bool is_made(const char *path, const char *other)
{
	_cleanup_err_ struct err none = ERR_INIT;
	_cleanup_secret_ char *key = NULL, *other_key = NULL;
	size_t n, n_other;
	struct stat st;

	if (lstat(path, &st) < 0 || !S_ISREG(st.st_mode))
		return false;
	if (md_read_file(other, KEY_MAX, &other_key, &n_other, &none) < 0)
		return true;
	return md_read_file(path, KEY_MAX, &key, &n, &none) == 0 &&
	       (n != n_other || memcmp(key, other_key, n) != 0);
}

static int generate(struct md_request *rq, const struct md_machine *m, unsigned bits,
	const char *path, const char *pub, struct err *err)
{
	struct md_watch watch = md_watch_request(rq);
	_cleanup_free_ char *made = md_file(m, TEMPORARY), *made_pub = md_file(m, TEMPORARY ".pub");
	_cleanup_free_ char *length = xasprintf("%u", bits);
	const char *const argv[] = {"ssh-keygen", "-q", "-t", "rsa", "-b", length, "-N", "", "-C",
		m->name, "-f", made, NULL};
	_cleanup_secret_ char *key = NULL;
	_cleanup_free_ char *line = NULL;
	size_t n_key = 0, n_line = 0;
	int r;

	unlink(made); /* it would ask whether to overwrite it */
	r = md_run(&watch, argv, 0, NULL, err) < 0 ||
			    md_read_file(made, KEY_MAX, &key, &n_key, err) < 0 ||
			    md_read_file(made_pub, KEY_MAX, &line, &n_line, err) < 0 ||
			    /* the private half tells that all is there */
			    putfile(pub, line, n_line, 0600, err) < 0 ||
			    putfile(path, key, n_key, 0600, err) < 0
		    ? -1
		    : 0;
	unlink(made);
	unlink(made_pub);
	return r;
}

int md_cloud_login_key_rsa(
	struct md_request *rq, struct md_machine *m, unsigned bits, char **ret_pub, struct err *err)
{
	_cleanup_free_ char *path = md_file(m, "id_rsa"), *pub = md_file(m, "id_rsa.pub");
	_cleanup_free_ char *other = md_file(m, "id_ed25519"), *other_pub = NULL;

	if (!is_made(path, other) && generate(rq, m, bits, path, pub, err) < 0)
		return err_wrap(err, "make an SSH key of RSA");
	other_pub = xasprintf("%s.pub", other);
	unlink(other);
	unlink(other_pub);
	if (md_read_file(pub, KEY_MAX, ret_pub, NULL, err) < 0)
		return -1;
	(*ret_pub)[strcspn(*ret_pub, "\r\n")] = '\0';
	json_set_str(m->state, "SSHKeyPath", path);
	return 0;
}

int md_cloud_own_key(
	struct md_request *rq, struct md_machine *m, unsigned bits, char **ret_pub, struct err *err)
{
	return md_state_bool(m, MD_CLOUD_RSA_KEY)
		       ? md_cloud_login_key_rsa(rq, m, bits, ret_pub, err)
		       : md_cloud_login_key(m, ret_pub, err);
}

int md_cloud_other_key(struct md_request *rq, struct md_machine *m, unsigned bits,
	const struct err *why, char **ret_pub, struct err *err)
{
	md_log(rq, LOG_LEVEL_INFO, "%s; a key of RSA takes the place of one of Ed25519",
		err_msg(why));
	json_set(m->state, MD_CLOUD_RSA_KEY, json_bool(true));
	/* on record before the cloud has it */
	return md_cloud_login_key_rsa(rq, m, bits, ret_pub, err) < 0
		       ? -1
		       : md_checkpoint(rq, m->state, err);
}

/* Without the comment. */
static size_t key_len(const char *line)
{
	size_t n = strcspn(line, " \r\n");

	return line[n] == ' ' ? n + 1 + strcspn(line + n + 1, " \r\n") : n;
}

bool md_cloud_same_key(const char *a, const char *b)
{
	size_t n = key_len(a);

	return n == key_len(b) && memcmp(a, b, n) == 0;
}
