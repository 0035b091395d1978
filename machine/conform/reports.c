/* Reports of `states` (S). */
#include "kit.h"

#include "mem.h"
#include "mstate.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PROBE_MAX_MS 60000
#define GREETING_MAX 256

static bool is_state(const struct json *j, bool may_be_empty)
{
	const char *name = json_str(j, NULL);

	return name && (*name ? machine_state_parse(name) != STATE_NONE : may_be_empty);
}

static bool text_or_absent(const struct json *j)
{
	return !j || json_is(j, JSON_STRING);
}

/* HOST:PORT, an IPv6 host in brackets; NULL into ret_host if it is not that. malloc'ed */
static void split_address(const char *text, char **ret_host, char **ret_port)
{
	const char *colon = strrchr(text, ':');
	size_t len = colon ? (size_t)(colon - text) : 0, digits;

	*ret_host = *ret_port = NULL;
	if (!colon || len == 0)
		return;
	digits = strspn(colon + 1, "0123456789");
	if (digits == 0 || digits > 5 || colon[1 + digits])
		return;
	if (text[0] == '[' && text[len - 1] == ']' && len > 2)
		*ret_host = xstrndup(text + 1, len - 2);
	else if (!memchr(text, ':', len) && !memchr(text, '/', len) && text[0] != '[')
		*ret_host = xstrndup(text, len);
	else
		return;
	*ret_port = xstrdup(colon + 1);
}

static bool is_address(const char *text)
{
	_cleanup_free_ char *host = NULL, *port = NULL;

	split_address(text, &host, &port);
	return host != NULL;
}

static void check_url(struct kit *k, const struct json *url)
{
	const char *text = json_str(url, "");

	if (!text_or_absent(url))
		broke(k, "S3", "url is not a string");
	/* Other schemes are the driver's business (none passes on what the user gave). */
	if (strncmp(text, "tcp://", 6) == 0 && !is_address(text + 6))
		broke(k, "S3", "the url \"%s\" is not tcp://HOST:PORT", text);
}

static void check_engine(struct kit *k, const struct json *report)
{
	const struct json *port = json_get(report, "enginePort"), *slow = json_get(report, "slow");
	int64_t n;

	if (port && (!json_to_int(port, &n) || n < 0 || n > 65535))
		broke(k, "S3", "enginePort is not a port");
	if (slow && !json_is(slow, JSON_BOOL))
		broke(k, "S3", "slow is not true or false");
}

static void check_ssh(struct kit *k, const struct json *ssh)
{
	static const char *const texts[] = {"host", "user", "keyPath"};
	const struct json *port = json_get(ssh, "port");
	const struct json *keys = json_get(ssh, "hostKeys");
	int64_t n;

	if (!ssh || json_is(ssh, JSON_NULL))
		return;
	if (!json_is(ssh, JSON_OBJECT))
		broke(k, "S3", "ssh is not an object");
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (!text_or_absent(json_get(ssh, texts[i])))
			broke(k, "S3", "ssh.%s is not a string", texts[i]);
	if (port && (!json_to_int(port, &n) || n < 0 || n > 65535))
		broke(k, "S3", "ssh.port is not a port");
	if (keys)
		saw(k, "S7");
	if (keys && !json_is(keys, JSON_ARRAY))
		broke(k, "S7", "ssh.hostKeys is not a list");
	for (size_t i = 0; json_is(keys, JSON_ARRAY) && json_at(keys, i); i++)
		if (!json_is(json_at(keys, i), JSON_STRING))
			broke(k, "S7", "ssh.hostKeys holds what is not a string");
}

static void check_probe(struct kit *k, const struct json *probe)
{
	static const char *const keys[] = {"open", "closed"};
	const struct json *timeout = json_get(probe, "timeoutMs");
	const struct json *greeting = json_get(probe, "greeting");
	int64_t n;

	if (!probe)
		return;
	saw(k, "S4");
	if (!is_address(json_str(json_get(probe, "tcp"), "")))
		broke(k, "S4", "the probe's tcp is not HOST:PORT");
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (json_get(probe, keys[i]) && !is_state(json_get(probe, keys[i]), false))
			broke(k, "S4", "the probe's %s is not a state", keys[i]);
	if (!text_or_absent(greeting) || strlen(json_str(greeting, "")) > GREETING_MAX)
		broke(k, "S4", "the probe's greeting is not a string of at most %d bytes",
			GREETING_MAX);
	if (timeout && (!json_to_int(timeout, &n) || n < 1 || n > PROBE_MAX_MS))
		broke(k, "S4", "the probe's timeoutMs is not an integer from 1 to %d",
			PROBE_MAX_MS);
}

void check_report(struct kit *k, const struct json *report)
{
	saw(k, "S2");
	if (!json_is(report, JSON_OBJECT)) {
		broke(k, "S2", "a report that is not an object");
		return;
	}
	if (json_get(report, "error"))
		return;
	if (!is_state(json_get(report, "state"), true))
		broke(k, "S2", "the state \"%s\"",
			json_str(json_get(report, "state"), "(not a string)"));
	saw(k, "S3");
	if (!text_or_absent(json_get(report, "ip")))
		broke(k, "S3", "ip is not a string");
	check_url(k, json_get(report, "url"));
	check_engine(k, report);
	check_ssh(k, json_get(report, "ssh"));
	check_probe(k, json_get(report, "probe"));
}

/* Do the peer's first bytes come, and are they these? */
static bool greets(int fd, const char *greeting, int timeout_ms)
{
	char said[GREETING_MAX];
	size_t want = strlen(greeting), have = 0;

	while (have < want && want <= sizeof(said)) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		ssize_t n = poll(&p, 1, timeout_ms) > 0 ? read(fd, said + have, want - have) : 0;

		if (n <= 0)
			return false;
		have += (size_t)n;
	}
	return have == want && memcmp(said, greeting, want) == 0;
}

static bool connects_to(const struct addrinfo *a, const char *greeting, int timeout_ms)
{
	_cleanup_close_ int fd =
		socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	socklen_t len = sizeof(int);
	int error = 0;

	if (fd < 0)
		return false;
	if (connect(fd, a->ai_addr, a->ai_addrlen) < 0 &&
		(errno != EINPROGRESS || poll(&p, 1, timeout_ms) <= 0 ||
			getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 || error != 0))
		return false;
	return greets(fd, greeting, timeout_ms);
}

static bool is_open(const char *address, const char *greeting, int timeout_ms)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
	_cleanup_free_ char *host = NULL, *port = NULL;
	struct addrinfo *list = NULL;
	bool open = false;

	split_address(address, &host, &port);
	if (!host || getaddrinfo(host, port, &hints, &list) != 0)
		return false;
	for (const struct addrinfo *a = list; a && !open; a = a->ai_next)
		open = connects_to(a, greeting, timeout_ms);
	freeaddrinfo(list);
	return open;
}

const char *report_state(const struct json *report, int timeout_ms)
{
	const struct json *probe = json_get(report, "probe");
	const char *address = json_str(json_get(probe, "tcp"), NULL);

	if (!address)
		return json_str(json_get(report, "state"), "");
	return is_open(address, json_str(json_get(probe, "greeting"), ""), timeout_ms)
		       ? json_str(json_get(probe, "open"), "Running")
		       : json_str(json_get(probe, "closed"), "Stopped");
}
