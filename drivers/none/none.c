/* No driver: remembers the URL of an engine that is somebody else's business. */
#include "machine-driver.h"

#include <ctype.h>
#include <string.h>

static const struct flagspec flags[] = {
	{.name = "url", .type = FLAG_STRING, .usage = "URL of host when no driver is selected"},
};

static const char *bad_escape(const char *s)
{
	for (; (s = strchr(s, '%')); s++)
		if (!isxdigit((unsigned char)s[1]) || !isxdigit((unsigned char)s[2]))
			return "a % is not followed by two hexadecimal digits";
	return NULL;
}

/* HOST, HOST:PORT, [V6] or [V6]:PORT, perhaps after USER@; *ret_host is the host alone. */
static const char *split_authority(const char *s, char **ret_host)
{
	const char *at = strrchr(s, '@'), *port;
	size_t len;

	if (at)
		s = at + 1;
	if (s[strcspn(s, " {}|\\^`")])
		return "the host has a character that no host name has";
	if (*s == '[') {
		len = strcspn(++s, "]");
		if (!s[len])
			return "the ] after the host is missing";
		port = s + len + 1;
	} else {
		port = strrchr(s, ':');
		len = port ? (size_t)(port - s) : strlen(s);
	}
	if (port && *port && (*port != ':' || port[1 + strspn(port + 1, "0123456789")]))
		return "the port is not a number";
	*ret_host = xstrndup(s, len);
	return bad_escape(*ret_host);
}

static size_t scheme_length(const char *s)
{
	size_t n = 0;

	if (!isalpha((unsigned char)*s))
		return 0;
	while (isalnum((unsigned char)s[n]) || (s[n] && strchr("+-.", s[n])))
		n++;
	return s[n] == ':' ? n : 0;
}

/*
 * A URL in the broad sense of RFC 3986's references, as Docker Machine takes it: "url1" and
 * "unix:///run/docker.sock" are fine, and have no host. Says what is wrong, or NULL.
 */
static const char *url_host(const char *url, char **ret_host)
{
	size_t scheme = scheme_length(url);
	const char *start = url + (scheme ? scheme + 1 : 0);
	_cleanup_free_ char *rest = xstrndup(start, strcspn(start, "?#"));
	_cleanup_free_ char *authority = NULL;
	const char *path = rest, *wrong;

	for (const char *c = url; *c; c++)
		if (iscntrl((unsigned char)*c))
			return "it contains a control character";
	if (*url == ':')
		return "the scheme is missing";
	if (!scheme && rest[strcspn(rest, ":/")] == ':')
		return "there is a colon, but no scheme: is tcp:// missing in front?";
	if (strncmp(rest, "//", 2) == 0 && (scheme || rest[2] != '/')) {
		path = rest + 2 + strcspn(rest + 2, "/");
		authority = xstrndup(rest + 2, (size_t)(path - rest - 2));
		wrong = split_authority(authority, ret_host);
		if (wrong)
			return wrong;
	}
	return bad_escape(path);
}

static int configure(
	struct md_request *rq, struct md_machine *m, const struct json *values, struct err *err)
{
	const char *url = md_flag_str(values, "url");
	_cleanup_free_ char *host = NULL;
	const char *wrong;

	if (!*url)
		return err_set(
			err, ERR_USER, "--url option is required when no driver is selected");
	wrong = url_host(url, &host);
	if (wrong)
		return err_set(err, ERR_USER, "--url is not a URL: %s", wrong);
	json_set_str(m->state, "IPAddress", host ? host : "");
	json_set_str(m->state, "URL", url);
	return 0;
}

static int state(
	struct md_request *rq, struct md_machine *m, struct md_report *out, struct err *err)
{
	out->state = STATE_RUNNING;
	out->ip = xstrdup(md_state_str(m, "IPAddress"));
	out->url = xstrdup(md_state_str(m, "URL"));
	out->url_always = true;
	return 0;
}

static int refuse(struct err *err, const char *what)
{
	return err_set(err, ERR_NOT_SUPPORTED, "hosts without a driver cannot be %s", what);
}

static int start(
	struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err)
{
	return refuse(err, "started");
}

static int stop(
	struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err)
{
	return refuse(err, "stopped");
}

static int restart(
	struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err)
{
	return refuse(err, "restarted");
}

static int kill_host(
	struct md_request *rq, struct md_machine *m, struct md_outcome *out, struct err *err)
{
	return refuse(err, "killed");
}

static const struct md_driver none_driver = {
	.name = "none",
	.description = "An engine reached by its URL",
	.flags = flags,
	.n_flags = ARRAY_SIZE(flags),
	.no_provision = true,
	.max_workers = 1, /* it waits for nothing */
	.states_batch = 100,
	.configure = configure,
	.start = start,
	.stop = stop,
	.restart = restart,
	.kill = kill_host,
	.state = state,
};

MACHINE_DRIVER(none_driver)
