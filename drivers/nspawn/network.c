#include "network.h"

#include "buf.h"
#include "machine-driver.h"
#include "names.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MAC "02:6d:61:63:68:30" /* made with it: a bridge with another one is not ours */
#define SYS_NET "/sys/class/net/"
#define SYS_VALUE_MAX 128u
#define RESOLV_MAX (64u << 10)
#define SAME_RULE_MAX 8 /* of one rule, by whatever accident */
#define INOTIFY_INSTANCES 8192

static int read_value(const char *path, char *value, size_t size)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, value, size - 1);

	if (n < 0)
		return -1;
	value[n] = 0;
	value[strcspn(value, "\n")] = 0;
	return 0;
}

int network_listing(const struct md_watch *w, char **ret, struct err *err)
{
	static const char *const routes[] = {"ip", "-4", "route", "show", "table", "all", NULL};
	static const char *const addresses[] = {"ip", "-4", "-o", "address", "show", NULL};
	_cleanup_free_ char *route_text = NULL, *address_text = NULL, *all = NULL;
	_cleanup_strv_ struct strv lines = STRV_INIT;
	_cleanup_buf_ struct buf others = BUF_INIT;

	if (md_run(w, routes, 0, &route_text, err) < 0 ||
		md_run(w, addresses, 0, &address_text, err) < 0)
		return -1;
	all = xasprintf("%s\n%s", route_text, address_text);
	strv_split(&lines, all, '\n');
	strv_foreach (line, &lines)
		if (!strstr(line, " " NSPAWN_BRIDGE))
			buf_addf(&others, "%s\n", line);
	*ret = buf_steal(&others);
	return 0;
}

static bool bridge_exists(void)
{
	return access(SYS_NET NSPAWN_BRIDGE, F_OK) == 0;
}

static int check_ours(struct err *err)
{
	char mac[SYS_VALUE_MAX] = "";

	if (access(SYS_NET NSPAWN_BRIDGE "/bridge", F_OK) == 0 &&
		read_value(SYS_NET NSPAWN_BRIDGE "/address", mac, sizeof(mac)) == 0 &&
		streq(mac, MAC))
		return 0;
	return err_set(err, ERR_EXISTS,
		"there is a network interface " NSPAWN_BRIDGE
		" that this driver did not make: rename it or remove it");
}

static int make_bridge(const struct md_watch *w, const struct subnet *s, struct err *err)
{
	static const char *const add[] = {
		"ip", "link", "add", NSPAWN_BRIDGE, "address", MAC, "type", "bridge", NULL};
	static const char *const up[] = {"ip", "link", "set", NSPAWN_BRIDGE, "up", NULL};
	_cleanup_free_ char *gateway = subnet_address(s, SUBNET_GATEWAY), *address = NULL;

	address = xasprintf("%s/%u", gateway, s->prefix);
	const char *const give[] = {
		"ip", "address", "replace", address, "dev", NSPAWN_BRIDGE, NULL};

	if (bridge_exists()) {
		if (check_ours(err) < 0)
			return -1;
	} else if (md_run(w, add, 0, NULL, err) < 0) {
		return err_wrap(err, "make the bridge " NSPAWN_BRIDGE);
	}
	if (md_run(w, give, 0, NULL, err) < 0 || md_run(w, up, 0, NULL, err) < 0)
		return err_wrap(err, "set up the bridge " NSPAWN_BRIDGE);
	return 0;
}

static const struct rule {
	const char *table, *chain;
	const char *match[10]; /* NULL ends it; "SUBNET" stands for it */
} rules[] = {
	{"nat", "POSTROUTING", {"-s", "SUBNET", "!", "-o", NSPAWN_BRIDGE, "-j", "MASQUERADE"}},
	{"filter", "FORWARD", {"-i", NSPAWN_BRIDGE, "-j", "ACCEPT"}},
	{"filter", "FORWARD",
		{"-o", NSPAWN_BRIDGE, "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED", "-j",
			"ACCEPT"}},
};

/* action: -C, -I or -D. Returns the exit status, -1: it could not be run. */
static int iptables(const struct md_watch *w, const char *action, const struct rule *r,
	const char *subnet, struct err *err)
{
	const char *argv[6 + ARRAY_SIZE(r->match) + 1] = {
		"iptables", "-w", "-t", r->table, action, r->chain};
	int status;

	for (size_t i = 0; i < ARRAY_SIZE(r->match) && r->match[i]; i++)
		argv[6 + i] = streq(r->match[i], "SUBNET") ? subnet : r->match[i];
	if (streq(action, "-I"))
		return md_run(w, argv, 0, NULL, err);
	return md_run_status(w, argv, 0, &status, NULL, err) < 0 ? -1 : status;
}

static int make_rules(const struct md_watch *w, const char *subnet, struct err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		int there = iptables(w, "-C", &rules[i], subnet, err);

		if (there < 0 || (there > 0 && iptables(w, "-I", &rules[i], subnet, err) < 0))
			return err_wrap(err, "let the hosts reach other networks");
	}
	return 0;
}

/* Raised, never lowered: others may rely on what they find later. */
static int raise_setting(const char *path, long least, struct err *err)
{
	_cleanup_free_ char *text = xasprintf("%ld", least);
	_cleanup_close_ int fd = -1;
	char value[SYS_VALUE_MAX] = "";

	if (read_value(path, value, sizeof(value)) == 0 && strtol(value, NULL, 10) >= least)
		return 0;
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		return err_errno(err, errno, "write %ld to %s", least, path);
	return 0;
}

int network_up(const struct md_watch *w, const struct subnet *s, struct err *err)
{
	_cleanup_free_ char *subnet = subnet_text(s);

	if (raise_setting("/proc/sys/net/ipv4/ip_forward", 1, err) < 0 ||
		raise_setting("/proc/sys/fs/inotify/max_user_instances", INOTIFY_INSTANCES, err) <
			0 ||
		make_bridge(w, s, err) < 0)
		return -1;
	return make_rules(w, subnet, err);
}

static int delete_link(const struct md_watch *w, const char *name, struct err *err)
{
	_cleanup_free_ char *path = xasprintf(SYS_NET "%s", name);
	const char *const argv[] = {"ip", "link", "delete", name, NULL};

	if (access(path, F_OK) < 0 || md_run(w, argv, 0, NULL, err) == 0)
		return 0;
	return access(path, F_OK) < 0 ? 0 : -1; /* it went away meanwhile */
}

int network_down(const struct md_watch *w, const struct subnet *s, struct err *err)
{
	_cleanup_free_ char *subnet = subnet_text(s);
	_cleanup_err_ struct err foreign = ERR_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		int status = 0;

		for (int n = 0; status == 0 && n < SAME_RULE_MAX; n++)
			if ((status = iptables(w, "-D", &rules[i], subnet, err)) < 0)
				return err_wrap(err, "remove the hosts' rules");
	}
	if (!bridge_exists() || check_ours(&foreign) < 0)
		return 0;
	return delete_link(w, NSPAWN_BRIDGE, err);
}

int network_drop_link(const struct md_watch *w, uint32_t number, struct err *err)
{
	_cleanup_free_ char *name = xasprintf(NSPAWN_LINK, number);

	return delete_link(w, name, err);
}

void network_name_servers(const char *resolv_conf, struct strv *ret)
{
	_cleanup_strv_ struct strv lines = STRV_INIT;

	strv_split(&lines, resolv_conf, '\n');
	strv_foreach (line, &lines) {
		_cleanup_strv_ struct strv words = STRV_INIT;
		_cleanup_free_ char *copy = xstrdup(line);

		for (char *p = copy; *p; p++)
			if (*p == '\t')
				*p = ' ';
		strv_split(&words, copy, ' ');
		if (words.n < 2 || !streq(words.items[0], "nameserver"))
			continue;
		const char *address = words.items[1];
		/* no IPv6 in the hosts' network */
		if (strncmp(address, "127.", 4) != 0 && !strchr(address, ':'))
			strv_add(ret, address);
	}
}

char *network_file(const struct subnet *s, uint32_t number, const struct strv *name_servers)
{
	_cleanup_free_ char *address = subnet_address(s, number);
	_cleanup_free_ char *gateway = subnet_address(s, SUBNET_GATEWAY);
	_cleanup_buf_ struct buf text = BUF_INIT;

	buf_addf(&text,
		"[Match]\nName=host0\n\n[Network]\nAddress=%s/%u\nGateway=%s\nDHCP=no\n"
		"LinkLocalAddressing=no\nIPv6AcceptRA=no\n",
		address, s->prefix, gateway);
	strv_foreach (server, name_servers)
		buf_addf(&text, "DNS=%s\n", server);
	return buf_steal(&text);
}

char *network_file_now(const struct subnet *s, uint32_t number)
{
	/* systemd-resolved's second file has the servers behind its own address */
	static const char *const files[] = {"/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"};
	_cleanup_strv_ struct strv servers = STRV_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(files) && servers.n == 0; i++) {
		_cleanup_free_ char *text = NULL;
		_cleanup_err_ struct err none = ERR_INIT;
		size_t len;

		if (md_read_file(files[i], RESOLV_MAX, &text, &len, &none) == 0)
			network_name_servers(text, &servers);
	}
	return network_file(s, number, &servers);
}
