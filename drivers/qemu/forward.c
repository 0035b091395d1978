/* What the texts of flags mean: forwarded ports, shared folders, ranges, addresses. */
#include "qemu.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <string.h>

#define PREFIX_USUAL 24
#define PREFIX_MAX 30
#define LABEL_MAX 63u
#define ADDRESS_PARTS 3u /* address, gateway, name server */

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

/* One word of a host name; its end at *text. */
static bool is_label(const char **text)
{
	const char *from = *text, *p = from;

	while (isalnum((unsigned char)*p) || *p == '-')
		p++;
	*text = p;
	return p > from && p - from <= LABEL_MAX && *from != '-' && p[-1] != '-';
}

bool is_host_name(const char *text)
{
	const char *p = text;

	if (strlen(text) > HOST_NAME_MAX_BYTES)
		return false;
	while (is_label(&p))
		if (!*p)
			return true;
		else if (*p++ != '.')
			return false;
	return false;
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

int forward_port(const char *rule, char **ret_address)
{
	static const char tcp[] = "tcp:";
	const char *address = rule + strlen(tcp), *p;
	int port;

	if (strncmp(rule, tcp, strlen(tcp)) != 0 || !(p = strchr(address, ':')))
		return 0;
	*ret_address = xstrndup(address, (size_t)(p - address));
	p++;
	port = number(&p, 1, PORT_MAX);
	return MAX(port, 0);
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

int share_parse(const char *text, size_t number, struct json **ret, struct err *err)
{
	_cleanup_free_ char *copy = xstrdup(text), *host = NULL, *tag = NULL;
	size_t len = strlen(copy);
	bool read_only = len > 3 && streq(copy + len - 3, ":ro");
	char *colon;

	if (read_only)
		copy[len - 3] = '\0';
	colon = strrchr(copy, ':');
	if (colon)
		*colon++ = '\0';
	if (*copy != '/' && strncmp(copy, "~/", 2) != 0 && !streq(copy, "~"))
		return err_set(err, ERR_USER,
			"--qemu-share \"%s\": the folder \"%s\" is not an absolute path", text,
			copy);
	host = md_expand_path(copy);
	if (!is_mount_point(colon ? colon : host))
		return err_set(err, ERR_USER,
			"--qemu-share \"%s\" is not of the form FOLDER[:FOLDER][:ro], the "
			"machine's (an absolute path without blanks) second",
			text);
	tag = xasprintf("share%zu", number);
	*ret = json_object();
	json_set_str(*ret, "Host", host);
	json_set_str(*ret, "Guest", colon ? colon : host);
	json_set_str(*ret, "Tag", tag);
	json_set(*ret, "ReadOnly", json_bool(read_only));
	json_set_str(*ret, "Type", "");
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

static int bad_address(const char *text, struct err *err)
{
	return err_set(err, ERR_USER,
		"--qemu-network-address \"%s\" is not of the form A.B.C.D/PREFIX[,GATEWAY[,DNS]], "
		"each "
		"an IPv4 address",
		text);
}

/* Malloc'ed, with the prefix; NULL: none. */
static char *with_prefix(const char *text)
{
	const char *slash = strchr(text, '/'), *p = slash ? slash + 1 : NULL;
	_cleanup_free_ char *address =
		slash ? xstrndup(text, (size_t)(slash - text)) : xstrdup(text);
	int prefix = p ? number(&p, 1, PREFIX_MAX) : PREFIX_USUAL;

	if (!is_ipv4(address) || prefix < 0 || (p && *p))
		return NULL;
	return xasprintf("%s/%d", address, prefix);
}

int address_list_parse(const char *text, char **ret, struct err *err)
{
	_cleanup_strv_ struct strv parts = STRV_INIT, full = STRV_INIT;
	char *first;

	if (!*text) {
		*ret = xstrdup("");
		return 0;
	}
	strv_split(&parts, text, ',');
	first = parts.n && parts.n <= ADDRESS_PARTS ? with_prefix(parts.items[0]) : NULL;
	if (!first)
		return bad_address(text, err);
	strv_add_take(&full, first);
	for (size_t i = 1; i < parts.n; i++) {
		if (!is_ipv4(parts.items[i]))
			return bad_address(text, err);
		strv_add(&full, parts.items[i]);
	}
	*ret = strv_join(&full, ",");
	return 0;
}
