#include "subnet.h"

#include "mem.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define WIDEST_THAT_COUNTS 8u
#define BITS 32u

static const char *const candidates[] = {"10.213.0.0/24", "10.214.0.0/24", "10.186.37.0/24",
	"172.31.213.0/24", "172.27.186.0/24", "192.168.213.0/24", "192.168.186.0/24",
	"198.18.213.0/24"};

static uint32_t mask_of(unsigned prefix)
{
	return prefix ? UINT32_MAX << (BITS - prefix) : 0;
}

/* Reads "A.B.C.D" or "A.B.C.D/P" at *text and moves on; false: there is none. */
static bool read_network(const char **text, struct subnet *ret)
{
	char address[INET_ADDRSTRLEN];
	size_t n = strspn(*text, "0123456789.");
	struct in_addr in;
	unsigned prefix = 0;
	const char *p = *text + n;

	if (n == 0 || n >= sizeof(address))
		return false;
	memcpy(address, *text, n);
	address[n] = 0;
	if (inet_pton(AF_INET, address, &in) != 1)
		return false;
	ret->base = ntohl(in.s_addr);
	ret->prefix = BITS;
	if (p[0] == '/' && isdigit((unsigned char)p[1])) {
		for (p++; isdigit((unsigned char)*p) && prefix <= BITS; p++)
			prefix = prefix * 10 + (unsigned)(*p - '0');
		if (prefix > BITS)
			return false;
		ret->prefix = prefix;
	}
	*text = p;
	return true;
}

bool subnet_parse(const char *text, struct subnet *ret)
{
	struct subnet s;

	if (!strchr(text, '/') || !read_network(&text, &s) || *text)
		return false;
	if (s.prefix < SUBNET_PREFIX_MIN || s.prefix > SUBNET_PREFIX_MAX ||
		(s.base & ~mask_of(s.prefix)))
		return false;
	*ret = s;
	return true;
}

static char *address_text(uint32_t address)
{
	struct in_addr in = {.s_addr = htonl(address)};
	char text[INET_ADDRSTRLEN];

	inet_ntop(AF_INET, &in, text, sizeof(text));
	return xstrdup(text);
}

char *subnet_text(const struct subnet *s)
{
	_cleanup_free_ char *base = address_text(s->base);

	return xasprintf("%s/%u", base, s->prefix);
}

char *subnet_address(const struct subnet *s, uint32_t number)
{
	return address_text(s->base | number);
}

/* The last number is the broadcast address. */
static uint32_t largest(const struct subnet *s)
{
	return ~mask_of(s->prefix) - 1;
}

uint32_t subnet_number(const struct subnet *s, const char *address)
{
	struct in_addr in;
	uint32_t number;

	if (inet_pton(AF_INET, address, &in) != 1)
		return 0;
	if ((ntohl(in.s_addr) & mask_of(s->prefix)) != s->base)
		return 0;
	number = ntohl(in.s_addr) & ~mask_of(s->prefix);
	return number > SUBNET_GATEWAY && number <= largest(s) ? number : 0;
}

bool subnet_in_use(const struct subnet *s, const char *listing)
{
	const char *p = listing;

	while (*p) {
		struct subnet other;

		if (isdigit((unsigned char)*p) && read_network(&p, &other)) {
			uint32_t mask = mask_of(MIN(other.prefix, s->prefix));

			if (other.prefix >= WIDEST_THAT_COUNTS &&
				(other.base & mask) == (s->base & mask))
				return true;
			continue;
		}
		/* on to the next word */
		while (*p && !isspace((unsigned char)*p))
			p++;
		while (isspace((unsigned char)*p))
			p++;
	}
	return false;
}

bool subnet_choose(const char *listing, struct subnet *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(candidates); i++)
		if (subnet_parse(candidates[i], ret) && !subnet_in_use(ret, listing))
			return true;
	return false;
}

uint32_t subnet_next(const struct subnet *s, uint32_t last,
	bool (*taken)(uint32_t number, const void *arg), const void *arg)
{
	uint32_t count = largest(s) - SUBNET_GATEWAY, first = SUBNET_GATEWAY + 1;
	uint32_t at = last > SUBNET_GATEWAY && last <= largest(s) ? last - SUBNET_GATEWAY : 0;

	for (uint32_t i = 0; i < count; i++) {
		uint32_t number = first + (at + i) % count;

		if (!taken(number, arg))
			return number;
	}
	return 0;
}
