/*
 * An existing host, reached by SSH. Makes and destroys nothing: `create` copies the user's key into
 * the machine's folder, and everything else is said from the state. The driver never connects
 * anywhere; whether the host is up is a probe that the program carries out.
 */
#include "keyfile.h"
#include "machine-driver.h"

#include <ctype.h>
#include <string.h>
#include <unistd.h>

#define ENGINE_PORT 2376
#define SSH_PORT 22
#define PROBE_MS 15000
#define HOST_MAX 255

static const struct flagspec flags[] = {
	{.name = "generic-engine-port",
		.type = FLAG_INT,
		.env = "GENERIC_ENGINE_PORT",
		.def_int = ENGINE_PORT,
		.usage = "Docker engine port"},
	{.name = "generic-ip-address",
		.type = FLAG_STRING,
		.env = "GENERIC_IP_ADDRESS",
		.usage = "IP address or name of the host (required)"},
	{.name = "generic-ssh-host-key",
		.type = FLAG_STRING,
		.env = "GENERIC_SSH_HOST_KEY",
		.usage = "SSH host key to expect: a known_hosts line or a SHA256 fingerprint "
			 "(if not provided, the first one seen is trusted)"},
	{.name = "generic-ssh-key",
		.type = FLAG_STRING,
		.env = "GENERIC_SSH_KEY",
		.usage = "SSH private key path (if not provided, default SSH key will be used)"},
	{.name = "generic-ssh-port",
		.type = FLAG_INT,
		.env = "GENERIC_SSH_PORT",
		.def_int = SSH_PORT,
		.usage = "SSH port"},
	{.name = "generic-ssh-user",
		.type = FLAG_STRING,
		.env = "GENERIC_SSH_USER",
		.def_str = "root",
		.usage = "SSH user"},
};

static int get_port(const struct md_machine *m, const char *key, int fallback)
{
	int64_t port = md_state_int(m, key);

	return port >= 1 && port <= MD_PORT_MAX ? (int)port : fallback;
}

/* These end up in ssh's arguments and on lines of files. */
static bool has_odd_character(const char *s)
{
	if (*s == '-')
		return true;
	for (; *s; s++)
		if (iscntrl((unsigned char)*s) || isspace((unsigned char)*s))
			return true;
	return false;
}

static int set_address(struct md_machine *m, const struct json *values, struct err *err)
{
	const char *flag = md_flag_str(values, "generic-ip-address");
	size_t len = strlen(flag);
	_cleanup_free_ char *host = NULL;

	if (!len)
		return err_set(err, ERR_USER,
			"the generic driver requires the --generic-ip-address option");
	if (*flag == '[' && flag[len - 1] == ']')
		host = xstrndup(flag + 1, len - 2); /* an IPv6 address as in a URL */
	else
		host = xstrdup(flag);
	if (!*host || len > HOST_MAX || has_odd_character(host) || strpbrk(host, "/[]@"))
		return err_set(err, ERR_USER,
			"--generic-ip-address \"%s\" is not an address or host name", flag);
	json_set_str(m->state, "IPAddress", host);
	return 0;
}

static int configure(
	struct md_request *rq, struct md_machine *m, const struct json *values, struct err *err)
{
	const char *user = md_flag_str(values, "generic-ssh-user");
	const char *host_key = md_flag_str(values, "generic-ssh-host-key");
	_cleanup_free_ char *key = md_expand_path(md_flag_str(values, "generic-ssh-key"));
	const char *problem;

	if (set_address(m, values, err) < 0 ||
		md_flag_port(m, "SSHPort", values, "generic-ssh-port", err) < 0 ||
		md_flag_port(m, "EnginePort", values, "generic-engine-port", err) < 0)
		return -1;
	if (has_odd_character(user))
		return err_set(err, ERR_USER, "--generic-ssh-user \"%s\" is not a user name", user);
	json_set_str(m->state, "SSHUser", user);
	json_set_str(m->state, "SSHKey", key);
	if (!*host_key)
		return 0;
	problem = hostkey_problem(host_key);
	if (problem)
		return err_set(err, ERR_USER, "--generic-ssh-host-key %s", problem);
	json_set_str(m->state, "SSHHostKey", host_key);
	return 0;
}

static int pre_create_check(struct md_request *rq, struct md_machine *m, struct err *err)
{
	const char *key = md_state_str(m, "SSHKey");

	return *key ? keyfile_check(key, err) : 0;
}

static int import_key(struct md_request *rq, const char *key, const char *copy, struct err *err)
{
	_cleanup_free_ char *key_pub = xasprintf("%s.pub", key);
	_cleanup_free_ char *copy_pub = xasprintf("%s.pub", copy);

	md_progress(rq, "Importing SSH key...");
	if (keyfile_check(key, err) < 0 || md_copy_file(key, copy, 0600, err) < 0)
		return -1;
	if (access(key_pub, F_OK) == 0)
		return md_copy_file(key_pub, copy_pub, 0600, err);
	md_progress(rq, "No public key beside it (%s), which is fine", key_pub);
	return 0;
}

static int create(
	struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err)
{
	const char *key = md_state_str(m, "SSHKey"), *stored = md_state_str(m, "SSHKeyPath");
	_cleanup_free_ char *copy = NULL;

	if (!*key) {
		md_progress(rq,
			"No SSH key specified. Assuming an existing key at the default location.");
		return 0;
	}
	copy = md_key_copy_path(m, key);
	if (streq(stored, copy) && access(copy, F_OK) == 0)
		return 0;
	if (import_key(rq, key, copy, err) < 0)
		return err_wrap(err, "import the SSH key");
	json_set_str(m->state, "SSHKeyPath", copy);
	return 0;
}

/* A store that was moved leaves a path behind that leads nowhere; the copy is in the folder. */
static char *key_path(const struct md_machine *m)
{
	const char *stored = md_state_str(m, "SSHKeyPath"), *slash = strrchr(stored, '/');
	_cleanup_free_ char *here = NULL;

	if (slash && access(stored, F_OK) < 0) {
		here = md_file(m, slash + 1);
		if (access(here, F_OK) == 0)
			return take(here);
	}
	return xstrdup(stored);
}

static int state(
	struct md_request *rq, struct md_machine *m, struct md_report *out, struct err *err)
{
	const char *host = md_state_str(m, "IPAddress");

	if (!*host)
		host = md_state_str(m, "IPv6Address");
	if (!*host)
		return err_set(err, ERR_INTERNAL, "IP address is not set");
	out->ip = xstrdup(host);
	out->url = md_url(host, get_port(m, "EnginePort", ENGINE_PORT));
	out->ssh_host = xstrdup(host);
	out->ssh_port = get_port(m, "SSHPort", SSH_PORT);
	out->ssh_user = xstrdup(md_state_str(m, "SSHUser"));
	out->ssh_key_path = key_path(m);
	if (*md_state_str(m, "SSHHostKey"))
		strv_add(&out->ssh_host_keys, md_state_str(m, "SSHHostKey"));
	out->probe_tcp = md_host_port(host, out->ssh_port);
	out->probe_open = STATE_RUNNING;
	out->probe_closed = STATE_STOPPED;
	out->probe_timeout_ms = PROBE_MS;
	return 0;
}

static int restart(
	struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err)
{
	out->status = MD_RUN;
	/* a host where one logs in as root need not have sudo */
	out->command = xstrdup(streq(md_state_str(m, "SSHUser"), "root") ? "shutdown -r now"
									 : "sudo shutdown -r now");
	out->disconnects = true;
	return 0;
}

static const struct md_driver generic_driver = {
	.name = "generic",
	.description = "Existing hosts, reached by SSH",
	.flags = flags,
	.n_flags = ARRAY_SIZE(flags),
	.states_batch = 1000,
	.configure = configure,
	.pre_create_check = pre_create_check,
	.create = create,
	.restart = restart,
	.state = state,
};

MACHINE_DRIVER(generic_driver)
