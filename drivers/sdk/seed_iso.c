/*
 * An ISO 9660 image with a Joliet tree: a root folder with a few small files. In sectors:
 *
 *     0–15  nothing      16  primary volume   17  Joliet volume   18  end of volumes
 *     19/20 path tables (little, big endian)  21/22  the Joliet tree's
 *     23    root folder  24  the Joliet tree's    25…  the files
 *
 * Numbers are written in both byte orders, one after the other. All times are the same fixed one,
 * so that equal seeds are equal bytes.
 */
#include "seed.h"

#include <string.h>

#define SECTOR 2048u
#define VOLUME "CIDATA"
#define PATH_TABLE_LEN 10u

enum { AT_PRIMARY = 16, AT_JOLIET, AT_END, AT_TABLES, AT_ROOT = 23, AT_FILES = 25 };

struct tree {
	bool joliet;
	unsigned root, tables; /* sectors */
};

static const struct tree trees[] = {
	{false, AT_ROOT, AT_TABLES},
	{true, AT_ROOT + 1, AT_TABLES + 2},
};

static unsigned char *sector(struct seed_iso *iso, unsigned n)
{
	return iso->data + (size_t)n * SECTOR;
}

static unsigned sectors_of(size_t len)
{
	return (unsigned)((len + SECTOR - 1) / SECTOR);
}

static void put_le(unsigned char *to, unsigned value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		to[i] = (unsigned char)(value >> (8 * i));
}

static void put_be(unsigned char *to, unsigned value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		to[i] = (unsigned char)(value >> (8 * (bytes - 1 - i)));
}

static void put_both(unsigned char *to, unsigned value, unsigned bytes)
{
	put_le(to, value, bytes);
	put_be(to + bytes, value, bytes);
}

/* Text in a field that blanks fill: ASCII, or UCS-2 in big endian. */
static void put_text(unsigned char *to, size_t size, const char *text, bool joliet)
{
	unsigned width = joliet ? 2 : 1;

	for (size_t i = 0; i + width <= size; i += width) {
		put_be(to + i, *text ? (unsigned char)*text : ' ', width);
		if (*text)
			text++;
	}
}

static void put_date(unsigned char *to)
{
	static const unsigned char date[] = {100, 1, 1, 0, 0, 0, 0}; /* 2000-01-01 */

	memcpy(to, date, sizeof(date));
}

/* name NULL: the folder itself, or (parent) the one above, which of the root is the root. Returns
 * the record's length. */
static unsigned put_record(
	unsigned char *to, const char *name, bool parent, bool joliet, unsigned at, size_t len)
{
	unsigned width = joliet ? 2 : 1;
	unsigned name_len = name ? (unsigned)strlen(name) * width : 1;
	unsigned total = 33 + name_len + (name_len % 2 == 0);

	to[0] = (unsigned char)total;
	put_both(to + 2, at, 4);
	put_both(to + 10, (unsigned)len, 4);
	put_date(to + 18);
	to[25] = name ? 0 : 2; /* a folder */
	put_both(to + 28, 1, 2);
	to[32] = (unsigned char)name_len;
	if (name)
		put_text(to + 33, name_len, name, joliet);
	else
		to[33] = parent;
	return total;
}

static void put_standard(unsigned char *to, unsigned char type)
{
	static const unsigned char standard[] = {'C', 'D', '0', '0', '1', 1};

	to[0] = type;
	memcpy(to + 1, standard, sizeof(standard));
}

static void put_volume(struct seed_iso *iso, const struct tree *t)
{
	unsigned char *v = sector(iso, t->joliet ? AT_JOLIET : AT_PRIMARY);
	static const struct {
		unsigned at, size;
	} blank[] = {
		{190, 128}, {318, 128}, {446, 128}, {574, 128}, {702, 37}, {739, 37}, {776, 37}};

	put_standard(v, t->joliet ? 2 : 1);
	put_text(v + 8, 32, "", t->joliet);
	put_text(v + 40, 32, VOLUME, t->joliet);
	put_both(v + 80, (unsigned)(iso->len / SECTOR), 4);
	if (t->joliet)
		put_text(v + 88, 3, "%/E", false); /* UCS-2, level 3 */
	put_both(v + 120, 1, 2);
	put_both(v + 124, 1, 2);
	put_both(v + 128, SECTOR, 2);
	put_both(v + 132, PATH_TABLE_LEN, 4);
	put_le(v + 140, t->tables, 4);
	put_be(v + 148, t->tables + 1, 4);
	put_record(v + 156, NULL, false, t->joliet, t->root, SECTOR);
	for (size_t i = 0; i < ARRAY_SIZE(blank); i++)
		put_text(v + blank[i].at, blank[i].size, "", t->joliet);
	for (unsigned at = 813; at < 881; at += 17)
		memset(v + at, '0', 16); /* no dates */
	put_text(v + 813, 8, "20000101", false);
	v[881] = 1;
}

static void put_tables(struct seed_iso *iso, const struct tree *t)
{
	for (unsigned big = 0; big < 2; big++) {
		unsigned char *table = sector(iso, t->tables + big);

		table[0] = 1;
		(big ? put_be : put_le)(table + 2, t->root, 4);
		(big ? put_be : put_le)(table + 6, 1, 2);
	}
}

static void put_root(
	struct seed_iso *iso, const struct tree *t, const struct seed_file *files, size_t n)
{
	unsigned char *at = sector(iso, t->root);
	unsigned file_at = AT_FILES;

	at += put_record(at, NULL, false, t->joliet, t->root, SECTOR);
	at += put_record(at, NULL, true, t->joliet, t->root, SECTOR);
	for (size_t i = 0; i < n; i++) {
		at += put_record(at, t->joliet ? files[i].name : files[i].short_name, false,
			t->joliet, file_at, files[i].len);
		file_at += sectors_of(files[i].len);
	}
}

int seed_iso_make(const struct seed_file *files, size_t n, struct seed_iso *ret, struct err *err)
{
	unsigned total = AT_FILES, at = AT_FILES;
	size_t bytes = 0;

	for (size_t i = 0; i < n; i++) {
		bytes += files[i].len;
		if (files[i].len > SEED_MAX || bytes > SEED_MAX)
			return err_set(err, ERR_USER, "more than %u MiB", SEED_MAX >> 20);
		total += sectors_of(files[i].len);
	}
	ret->len = (size_t)total * SECTOR;
	ret->data = xcalloc(total, SECTOR);
	for (size_t i = 0; i < ARRAY_SIZE(trees); i++) {
		put_volume(ret, &trees[i]);
		put_tables(ret, &trees[i]);
		put_root(ret, &trees[i], files, n);
	}
	put_standard(sector(ret, AT_END), 255);
	for (size_t i = 0; i < n; i++) {
		memcpy(sector(ret, at), files[i].data, files[i].len);
		at += sectors_of(files[i].len);
	}
	return 0;
}

void seed_iso_finish(struct seed_iso *iso)
{
	if (iso->data)
		explicit_bzero(iso->data, iso->len);
	free(iso->data);
	*iso = (struct seed_iso){0};
}
