#include "md-cloud.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "utf8.h"

#define HOST_KEY_FILE "ssh_host_ed25519_key"
#define KEY_MAX (64u << 10)
#define SSH_PORT 22
#define PORT_MAX 65535

const char *md_state_str(const struct md_machine *m, const char *key)
{
	return json_str(json_get_fold(m->state, key), "");
}

int64_t md_state_int(const struct md_machine *m, const char *key)
{
	return json_int_or(json_get_fold(m->state, key), 0);
}

bool md_state_bool(const struct md_machine *m, const char *key)
{
	return json_bool_or(json_get_fold(m->state, key), false);
}

int md_state_note(struct md_request *rq, struct md_machine *m, const char *key, const char *value,
	struct err *err)
{
	json_set_str(m->state, key, value);
	return md_checkpoint(rq, m->state, err);
}

static struct json *field_value(const struct md_field *f, const struct json *flags)
{
	const struct json *list;

	switch (f->type) {
	case MD_PATH:
		if (f->flag) {
			_cleanup_free_ char *path = md_expand_path(md_flag_str(flags, f->flag));
			return json_string(path);
		}
		return json_string("");
	case MD_TEXT:
		return json_string(f->flag ? md_flag_str(flags, f->flag) : "");
	case MD_NUMBER:
		return json_int(f->flag ? md_flag_int(flags, f->flag) : 0);
	case MD_YES_NO:
		return json_bool(f->flag && md_flag_bool(flags, f->flag));
	case MD_LIST:
		list = f->flag ? md_flag_list(flags, f->flag) : NULL;
		return list && list->n ? json_copy(list) : json_null();
	}
	return json_null();
}

void md_fields_set(
	struct md_machine *m, const struct md_field *fields, size_t n, const struct json *flags)
{
	for (size_t i = 0; i < n; i++)
		json_set(m->state, fields[i].key, field_value(&fields[i], flags));
}

int md_flag_port(struct md_machine *m, const char *key, const struct json *flags, const char *flag,
	struct err *err)
{
	int64_t port = md_flag_int(flags, flag);

	if (port < 1 || port > PORT_MAX)
		return err_set(err, ERR_USER, "--%s %lld: a port is a number from 1 to %d", flag,
			(long long)port, PORT_MAX);
	json_set(m->state, key, json_int(port));
	return 0;
}

int md_cloud_login_key(struct md_machine *m, char **ret_pub, struct err *err)
{
	_cleanup_free_ char *path = md_file(m, "id_ed25519");

	if (md_sshkey_login(m->dir, m->name, ret_pub, err) < 0)
		return -1;
	json_set_str(m->state, "SSHKeyPath", path);
	return 0;
}

/* Is it one of the host's own (M3)? */
static bool is_reserved(const char *name)
{
	static const char *const names[] = {"config.json", "ca.pem", "cert.pem", "key.pem",
		"server.pem", "server-key.pem", "known_hosts"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (streq(names[i], name))
			return true;
	return !*name || *name == '.';
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
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	_cleanup_free_ char *to = md_file(m, name);
	_cleanup_free_ char *pub = xasprintf("%s.pub", path), *to_pub = xasprintf("%s.pub", to);
	size_t len;

	if (is_reserved(name))
		return err_set(err, ERR_USER,
			"%s %s: the machine's folder has another file of that name: give the key "
			"another one",
			flag, path);
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

static int user_file(const char *file, const char *flag, size_t max, char **ret, struct err *err)
{
	_cleanup_secret_ char *text = NULL;
	size_t len;

	if (!file || !*file)
		return 0;
	if (md_read_file(file, max, &text, &len, err) < 0)
		return err_wrap(err, "%s", flag);
	if (!is_text(text, len))
		return err_set(err, ERR_USER, "%s: %s is not text (UTF-8)", flag, file);
	*ret = take(text);
	return 0;
}

int md_cloud_check_user_data(const char *file, const char *flag, size_t max, struct err *err)
{
	_cleanup_secret_ char *text = NULL;

	return user_file(file, flag, max, &text, err);
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
		md_log(rq, LOG_LEVEL_WARN,
			"%s: %s: no host key can be added to it; the one that the machine shows "
			"first is trusted",
			flag, err_msg(&none));
		json_set_str(m->state, "HostKey", "");
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

	if (user_file(file, flag, max, &own, err) < 0)
		return -1;
	return md_cloud_user_text(rq, m, own, flag, max, ret, err);
}

void md_cloud_made(struct md_machine *m)
{
	_cleanup_free_ char *path = md_file(m, HOST_KEY_FILE);

	unlink(path);
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
	out->ssh_port = port > 0 && port <= PORT_MAX ? (int)port : SSH_PORT;
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
