/* Where a machine is that got its address by DHCP: this computer has spoken with it, or given it.
 */
#include "qemu.h"

#include <string.h>

#define FILE_MAX (1u << 20)
#define LIBVIRT "/var/lib/libvirt/dnsmasq"

/* The word at `want` of the first line whose word at `at` is the card; flags at `flags`, 0: none.
 */
static char *word_of(const char *text, const char *mac, size_t at, size_t want, size_t flags)
{
	_cleanup_strv_ struct strv lines = STRV_INIT;

	strv_split(&lines, text, '\n');
	strv_foreach (line, &lines) {
		_cleanup_strv_ struct strv words = STRV_INIT;

		strv_split(&words, line, ' ');
		if (words.n <= MAX(at, want) || strcasecmp(words.items[at], mac) != 0)
			continue;
		if (flags && streq(words.items[flags], "0x0"))
			continue; /* an entry of a card that did not answer */
		if (is_ipv4(words.items[want]))
			return xstrdup(words.items[want]);
	}
	return xstrdup("");
}

char *lease_in_arp(const char *text, const char *mac)
{
	return word_of(text, mac, 3, 0, 2);
}

char *lease_in_leases(const char *text, const char *mac)
{
	return word_of(text, mac, 1, 2, 0);
}

/* libvirt's: a list of {"ip-address", "mac-address", …}, the newest last. */
char *lease_in_status(const char *text, const char *mac)
{
	_cleanup_err_ struct err ignored = ERR_INIT;
	_cleanup_json_ struct json *list = NULL;
	const char *found = "";

	if (json_parse(text, strlen(text), &list, &ignored) < 0 || !json_is(list, JSON_ARRAY))
		return xstrdup("");
	for (size_t i = 0; json_at(list, i); i++) {
		const struct json *lease = json_at(list, i);
		const char *address = json_str(json_get(lease, "ip-address"), "");

		if (strcasecmp(json_str(json_get(lease, "mac-address"), ""), mac) == 0 &&
			is_ipv4(address))
			found = address;
	}
	return xstrdup(found);
}

char *lease_address(const char *mac, const char *bridge)
{
	_cleanup_free_ char *status = xasprintf(LIBVIRT "/%s.status", bridge);
	const struct {
		const char *path;
		char *(*find)(const char *text, const char *mac);
	} places[] = {{"/proc/net/arp", lease_in_arp},
		{"/var/lib/misc/dnsmasq.leases", lease_in_leases}, {status, lease_in_status},
		{LIBVIRT "/default.leases", lease_in_leases}};

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		_cleanup_err_ struct err ignored = ERR_INIT;
		_cleanup_free_ char *text = NULL, *address = NULL;

		if (md_read_file(places[i].path, FILE_MAX, &text, NULL, &ignored) < 0)
			continue;
		address = places[i].find(text, mac);
		if (*address)
			return take(address);
	}
	return xstrdup("");
}
