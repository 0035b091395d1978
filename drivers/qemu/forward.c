/* What the texts of flags mean: forwarded ports, shared folders, ranges, addresses. */
#include "qemu.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <string.h>

#define PREFIX_USUAL 24
#define PREFIX_MAX 30

/* A number at *text, which is moved on; -1: none in the range. */
static int number(const char **text, int min, int max)
{
	char *end;
	long n;

	if (!isdigit((unsigned char)**text))
		return -1;
	errno = 0;
	n = strtol(*text, &end, 10);
	if (errno || n < min || n > max)
		return -1;
	*text = end;
	return (int)n;
}

bool is_ipv4(const char *text)
{
	struct in_addr a;

	return inet_pton(AF_INET, text, &a) == 1;
}

bool is_mac(const char *text)
{
	for (int i = 0; i < 17; i++)
		if (i % 3 == 2 ? text[i] != ':' : !isxdigit((unsigned char)text[i]))
			return false;
	return text[17] == '\0' && !(strtol((char[]){text[0], text[1], '\0'}, NULL, 16) & 1);
}

static int bad_forward(const char *text, struct err *err)
{
	return err_set(err, ERR_USER,
		"--qemu-publish \"%s\" is not of the form [ADDRESS:]PORT:PORT[/udp], the machine's "
		"port last",
		text);
}

int forward_parse(const char *text, const char *bind, char **ret, struct err *err)
{
	_cleanup_free_ char *address = xstrdup(bind);
	const char *p = text, *colon = strchr(text, ':'), *protocol = "tcp";

	if (colon && strchr(colon + 1, ':')) {
		free(address);
		address = xstrndup(text, (size_t)(colon - text));
		p = colon + 1;
	}
	int host = number(&p, 1, PORT_MAX);
	if (host < 0 || *p++ != ':' || !is_ipv4(address))
		return bad_forward(text, err);
	int guest = number(&p, 1, PORT_MAX);
	if (streq(p, "/udp"))
		protocol = "udp";
	else if (*p && !streq(p, "/tcp"))
		guest = -1;
	if (guest < 0)
		return bad_forward(text, err);
	*ret = xasprintf("%s:%s:%d-:%d", protocol, address, host, guest);
	return 0;
}

/* It becomes a field of fstab in the machine. */
static bool is_mount_point(const char *path)
{
	if (*path != '/' || !path[1])
		return false;
	for (; *path; path++)
		if (isspace((unsigned char)*path) || iscntrl((unsigned char)*path) ||
			strchr("\\\"'#", *path))
			return false;
	return true;
}

int share_parse(const char *text, struct json **ret, struct err *err)
{
	_cleanup_free_ char *copy = xstrdup(text), *host = NULL;
	size_t len = strlen(copy);
	bool read_only = len > 3 && streq(copy + len - 3, ":ro");
	char *colon;

	if (read_only)
		copy[len - 3] = '\0';
	colon = strrchr(copy, ':');
	if (colon)
		*colon++ = '\0';
	host = md_expand_path(copy);
	if (!*host || !is_mount_point(colon ? colon : host))
		return err_set(err, ERR_USER,
			"--qemu-share \"%s\" is not of the form FOLDER[:FOLDER][:ro], the "
			"machine's (an absolute path without blanks) second",
			text);
	*ret = json_object();
	json_set_str(*ret, "HostPath", host);
	json_set_str(*ret, "GuestPath", colon ? colon : host);
	json_set(*ret, "ReadOnly", json_bool(read_only));
	return 0;
}

int port_range_parse(const char *text, int *ret_min, int *ret_max, struct err *err)
{
	const char *p = text;
	int min = number(&p, 1, PORT_MAX), max = -1;

	if (min > 0 && *p++ == '-')
		max = number(&p, min, PORT_MAX);
	if (max < 0 || *p || max - min < 1)
		return err_set(err, ERR_USER,
			"--qemu-localports \"%s\" is not a range of two ports or more: MIN-MAX",
			text);
	*ret_min = min;
	*ret_max = max;
	return 0;
}

int address_parse(const char *flag, const char *text, char **ret, struct err *err)
{
	const char *slash = strchr(text, '/'), *p = slash ? slash + 1 : NULL;
	_cleanup_free_ char *address =
		slash ? xstrndup(text, (size_t)(slash - text)) : xstrdup(text);
	int prefix = p ? number(&p, 1, PREFIX_MAX) : PREFIX_USUAL;

	if (!is_ipv4(address) || prefix < 0 || (p && *p))
		return err_set(err, ERR_USER, "--%s \"%s\" is not an IPv4 address: A.B.C.D/PREFIX",
			flag, text);
	*ret = xasprintf("%s/%d", address, prefix);
	return 0;
}
