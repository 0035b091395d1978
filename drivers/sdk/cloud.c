#include "md-cloud.h"

#include "md-api.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "utf8.h"

#define HOST_KEY_FILE "ssh_host_ed25519_key"
#define KEY_MAX (64u << 10)
#define SSH_PORT 22

int md_cloud_login_key(struct md_machine *m, char **ret_pub, struct err *err)
{
	_cleanup_free_ char *path = md_file(m, "id_ed25519");

	if (md_sshkey_login(m->dir, m->name, ret_pub, err) < 0)
		return -1;
	json_set_str(m->state, "SSHKeyPath", path);
	return 0;
}

static int copy_one(const char *from, const char *to, const char *flag, struct err *err)
{
	if (access(to, F_OK) == 0)
		return 0;
	return md_copy_file(from, to, 0600, err) < 0 ? err_wrap(err, "%s", flag) : 0;
}

int md_cloud_copy_key(
	struct md_machine *m, const char *path, const char *flag, char **ret_pub, struct err *err)
{
	_cleanup_free_ char *to = md_key_copy_path(m, path);
	_cleanup_free_ char *pub = xasprintf("%s.pub", path), *to_pub = xasprintf("%s.pub", to);
	size_t len;

	if (copy_one(path, to, flag, err) < 0)
		return -1;
	json_set_str(m->state, "SSHKeyPath", to);
	if (!ret_pub)
		return 0;
	if (copy_one(pub, to_pub, flag, err) < 0 ||
		md_read_file(to_pub, KEY_MAX, ret_pub, &len, err) < 0)
		return err_wrap(err, "the public key");
	(*ret_pub)[strcspn(*ret_pub, "\r\n")] = '\0';
	return 0;
}

static int host_key(struct md_machine *m, char **ret_private, struct err *err)
{
	_cleanup_free_ char *path = md_file(m, HOST_KEY_FILE), *pub = NULL;
	size_t len;

	if (md_sshkey(m->dir, HOST_KEY_FILE, m->name, &pub, err) < 0 ||
		md_read_file(path, KEY_MAX, ret_private, &len, err) < 0)
		return -1;
	json_set_str(m->state, "HostKey", pub);
	return 0;
}

static bool is_text(const char *text, size_t len)
{
	for (size_t n, at = 0; at < len; at += n) {
		n = utf8_sequence(text + at, len - at);
		if (!n || !text[at])
			return false;
	}
	return true;
}

static bool is_gzip(const char *data, size_t len)
{
	return len > 2 && memcmp(data, "\x1f\x8b", 2) == 0;
}

/* bytes: what is compressed will do, too. */
static int user_file(const char *file, const char *flag, size_t max, bool bytes, char **ret,
	size_t *ret_len, struct err *err)
{
	_cleanup_secret_ char *text = NULL;

	*ret_len = 0;
	if (!file || !*file)
		return 0;
	if (md_read_file(file, max, &text, ret_len, err) < 0)
		return err_wrap(err, "%s", flag);
	if (!is_text(text, *ret_len) && !(bytes && is_gzip(text, *ret_len)))
		return err_set(err, ERR_USER, "%s: %s is not text (UTF-8)%s", flag, file,
			bytes ? ", and not compressed by gzip" : "");
	*ret = take(text);
	return 0;
}

int md_cloud_check_user_data(const char *file, const char *flag, size_t max, struct err *err)
{
	_cleanup_secret_ char *text = NULL;
	size_t len;

	return user_file(file, flag, max, false, &text, &len, err);
}

int md_cloud_check_user_bytes(const char *file, const char *flag, size_t max, struct err *err)
{
	_cleanup_secret_ char *text = NULL;
	size_t len;

	return user_file(file, flag, max, true, &text, &len, err);
}

/* The user's own is sent as it is. */
static void no_host_key(
	struct md_request *rq, struct md_machine *m, const char *flag, const char *why)
{
	md_log(rq, LOG_LEVEL_WARN,
		"%s: %s: no host key can be added to it; the one that the machine shows first is "
		"trusted",
		flag, why);
	json_set_str(m->state, "HostKey", "");
}

int md_cloud_user_text(struct md_request *rq, struct md_machine *m, const char *own,
	const char *flag, size_t max, char **ret, struct err *err)
{
	_cleanup_secret_ char *key = NULL, *text = NULL;
	_cleanup_err_ struct err none = ERR_INIT;

	if (host_key(m, &key, err) < 0)
		return -1;
	struct md_seed seed = {
		.cloud = true,
		.host_key_private = key,
		.host_key_public = md_state_str(m, "HostKey"),
		.user_data = own,
	};
	if (md_seed_user_data(&seed, &text, &none) == 0 && strlen(text) > max && own)
		err_set(&none, ERR_USER, "it leaves no room in the %zu bytes of user data", max);
	if (none.code != ERR_NONE) {
		no_host_key(rq, m, flag, err_msg(&none));
		*ret = xstrdup(own);
		return 0;
	}
	*ret = take(text);
	return 0;
}

int md_cloud_user_data(struct md_request *rq, struct md_machine *m, const char *file,
	const char *flag, size_t max, char **ret, struct err *err)
{
	_cleanup_secret_ char *own = NULL;
	size_t len;

	if (user_file(file, flag, max, false, &own, &len, err) < 0)
		return -1;
	return md_cloud_user_text(rq, m, own, flag, max, ret, err);
}

int md_cloud_user_bytes(struct md_request *rq, struct md_machine *m, const char *file,
	const char *flag, size_t max, char **ret, struct err *err)
{
	_cleanup_secret_ char *own = NULL, *all = NULL;
	size_t len;

	if (user_file(file, flag, max, true, &own, &len, err) < 0)
		return -1;
	if (own && is_gzip(own, len)) {
		no_host_key(rq, m, flag, "it is compressed");
		*ret = md_base64(own, len);
		return 0;
	}
	if (md_cloud_user_text(rq, m, own, flag, max, &all, err) < 0)
		return -1;
	*ret = md_base64(all, strlen(all));
	return 0;
}

void md_cloud_made(struct md_machine *m)
{
	_cleanup_free_ char *path = md_file(m, HOST_KEY_FILE);

	unlink(path);
}

int md_cloud_order(struct md_request *rq, struct md_machine *m, struct err *err)
{
	json_set(m->state, MD_CLOUD_ORDERED, json_int((int64_t)time(NULL)));
	return md_checkpoint(rq, m->state, err);
}

void md_cloud_order_over(struct md_machine *m)
{
	json_set(m->state, MD_CLOUD_ORDERED, json_int(0));
}

bool md_cloud_recent(int64_t moment, unsigned seconds)
{
	int64_t span = (int64_t)seconds * md_api_first_pause_ms() / MD_API_PAUSE_MS;
	int64_t now = (int64_t)time(NULL);

	return moment > 0 && moment <= now && moment > now - span;
}

bool md_cloud_order_open(const struct md_machine *m)
{
	return md_cloud_recent(md_state_int(m, MD_CLOUD_ORDERED), MD_CLOUD_ORDER_S);
}

void md_cloud_report(const struct md_machine *m, enum machine_state state, struct md_report *out)
{
	const char *address = md_state_str(m, "IPAddress"), *user = md_state_str(m, "SSHUser");
	int64_t port = md_state_int(m, "SSHPort");

	out->state = state;
	if (!*address)
		return;
	out->ip = xstrdup(address);
	out->url = md_url(address, MD_CLOUD_ENGINE_PORT);
	out->ssh_host = xstrdup(address);
	out->ssh_port = port > 0 && port <= MD_PORT_MAX ? (int)port : SSH_PORT;
	out->ssh_user = xstrdup(*user ? user : "root");
	out->ssh_key_path = xstrdup(md_state_str(m, "SSHKeyPath"));
	if (*md_state_str(m, "HostKey"))
		strv_add(&out->ssh_host_keys, md_state_str(m, "HostKey"));
}

void md_cloud_wait(
	struct md_outcome *out, enum machine_state state, uint32_t ms, const char *fmt, ...)
{
	va_list ap;

	out->status = MD_WAIT;
	out->wait_for = state;
	out->retry_after_ms = ms;
	va_start(ap, fmt);
	out->message = xvasprintf(fmt, ap);
	va_end(ap);
}
