/* Where a machine is that got its address by DHCP: this computer has spoken with it, or given it.
 */
#include "qemu.h"

#include <string.h>

#define FILE_MAX (1u << 20)

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

char *lease_address(const char *mac)
{
	static const struct {
		const char *path;
		char *(*find)(const char *text, const char *mac);
	} places[] = {{"/proc/net/arp", lease_in_arp},
		{"/var/lib/misc/dnsmasq.leases", lease_in_leases},
		{"/var/lib/libvirt/dnsmasq/default.leases", lease_in_leases}};

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
