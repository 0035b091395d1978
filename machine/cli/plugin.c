#include "plugin.h"

#include "config.h"
#include "json.h"
#include "mem.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define ASK "docker-cli-plugin-metadata"
/* Set for plugins to the client's own name as it was typed. What a plugin starts inherits it. */
#define CLIENT_VARIABLE "DOCKER_CLI_PLUGIN_ORIGINAL_CLI_COMMAND"
#define SOCKET_VARIABLE "DOCKER_CLI_PLUGIN_SOCKET" /* a path, or "@" and an abstract name */

bool plugin_asked(const struct strv *argv)
{
	return argv->n == 2 && streq(argv->items[1], ASK);
}

void plugin_describe(void)
{
	_cleanup_json_ struct json *d = json_object();

	json_set_str(d, "SchemaVersion", "0.1.0");
	json_set_str(d, "Vendor", "The machine authors");
	json_set_str(d, "Version", MACHINE_VERSION);
	json_set_str(d, "ShortDescription", "Create and manage machines running Docker");
	_cleanup_free_ char *text = json_to_string(d, JSON_COMPACT);
	puts(text);
}

/* The client's global flags. Of its words only these concern a plugin that asks no engine. */
static const struct client_flag {
	const char *name;
	char letter;
	bool valued;
} client_flags[] = {
	{"config", '\0', true},
	{"context", 'c', true},
	{"debug", 'D', false},
	{"host", 'H', true},
	{"log-level", 'l', true},
	{"tls", '\0', false},
	{"tlscacert", '\0', true},
	{"tlscert", '\0', true},
	{"tlskey", '\0', true},
	{"tlsverify", '\0', false},
};

static const struct client_flag *find_flag(const char *word, const char **ret_value)
{
	bool full = word[0] == '-' && word[1] == '-';
	const char *name = word + (full ? 2 : 1);
	size_t len = strcspn(name, "=");

	*ret_value = name[len] ? name + len + 1 : NULL;
	for (size_t i = 0; i < ARRAY_SIZE(client_flags); i++) {
		const struct client_flag *f = &client_flags[i];
		if (full && strlen(f->name) == len && strncmp(f->name, name, len) == 0)
			return f;
		if (full || !f->letter || name[0] != f->letter)
			continue;
		if (name[1] && f->valued && name[1] != '=') /* -Htcp://... */
			*ret_value = name + 1;
		return f->valued || len == 1 ? f : NULL;
	}
	return NULL;
}

struct client_words {
	const char *config;
	bool debug, help;
};

/* Where the plugin's name is among the client's words, after "help" where that is wanted; 0:
 * nowhere. */
static size_t find_command(const struct strv *argv, struct client_words *ret)
{
	size_t i = 1;

	for (; i < argv->n && argv->items[i][0] == '-'; i++) {
		const char *value;
		const struct client_flag *f = find_flag(argv->items[i], &value);
		if (!f)
			return 0;
		if (f->valued && !value)
			value = i + 1 < argv->n ? argv->items[++i] : NULL;
		if (streq(f->name, "config"))
			ret->config = value;
		ret->debug |= f->letter == 'D' && (!value || !streq(value, "false"));
	}
	ret->help = i + 1 < argv->n && streq(argv->items[i], "help");
	i += ret->help;
	return i < argv->n && streq(argv->items[i], PLUGIN_COMMAND) ? i : 0;
}

size_t plugin_take(struct strv *argv)
{
	struct client_words words = {0};
	const char *client = getenv(CLIENT_VARIABLE);
	bool by_client = client && *client;
	size_t at = by_client ? find_command(argv, &words)
		    : argv->n > 1 && streq(argv->items[1], PLUGIN_COMMAND) ? 1
									   : 0;

	if (!at)
		return 1;
	struct strv seen = STRV_INIT;
	strv_add(&seen, by_client ? client : argv->items[0]);
	strv_add(&seen, PLUGIN_COMMAND);
	size_t before = seen.n;
	if (words.debug)
		strv_add(&seen, "--debug");
	if (words.help)
		strv_add(&seen, "help");
	for (size_t i = at + 1; i < argv->n; i++)
		strv_add(&seen, argv->items[i]);
	if (words.config && *words.config)
		setenv("DOCKER_CONFIG", words.config, 1);
	strv_finish(argv);
	*argv = seen;
	return before;
}

int plugin_connect(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	const char *name = getenv(SOCKET_VARIABLE);
	size_t len = name ? strlen(name) : 0;

	if (!len || len >= sizeof(a.sun_path))
		return -1;
	memcpy(a.sun_path, name, len);
	if (*name == '@')
		a.sun_path[0] = '\0';
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	/* an abstract name has no NUL at its end */
	socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + (*name != '@'));
	if (fd < 0 || connect(fd, (const struct sockaddr *)&a, size) < 0)
		return -1;
	return take_fd(fd);
}
