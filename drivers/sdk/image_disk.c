/*
 * Disks that come from elsewhere. A disk may name other files (a backing file, a data file), which
 * whoever opens it would read and hand to the machine: such disks are refused.
 */
#include "image.h"

#include "sdk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONVERT_MS (60u * 60 * 1000)
#define INFO_MS 60000u
#define HEAD_BYTES 512u
#define SECTOR 512

/* Offsets in a qcow2 header; numbers are big endian. */
#define QCOW2_VERSION 4
#define QCOW2_BACKING_OFFSET 8
#define QCOW2_SIZE 24
#define QCOW2_CRYPT 32
#define QCOW2_INCOMPATIBLE 72 /* since version 3 */
#define QCOW2_DIRTY 1u
#define QCOW2_CORRUPT 2u
#define QCOW2_DATA_FILE 4u

const char *md_qemu_img(void)
{
	const char *env = getenv("QEMU_IMG");

	return env && *env ? env : "qemu-img";
}

static uint64_t be(const unsigned char *p, size_t bytes)
{
	uint64_t v = 0;

	for (size_t i = 0; i < bytes; i++)
		v = v << 8 | p[i];
	return v;
}

static int check_qcow2(const unsigned char *head, int64_t *ret_size, struct err *err)
{
	static const struct {
		uint64_t bit;
		const char *what;
	} features[] = {{QCOW2_DATA_FILE, "has its data in another file"},
		{QCOW2_CORRUPT, "is marked as corrupt"},
		{QCOW2_DIRTY, "was not closed: some program may still write to it"}};
	uint64_t version = be(head + QCOW2_VERSION, 4), size = be(head + QCOW2_SIZE, 8);
	uint64_t bits = version >= 3 ? be(head + QCOW2_INCOMPATIBLE, 8) : 0;

	if (version < 2 || version > 3)
		return err_set(err, ERR_USER, "is of the unknown qcow version %llu",
			(unsigned long long)version);
	if (be(head + QCOW2_BACKING_OFFSET, 8))
		return err_set(err, ERR_USER,
			"is a layer on another file (a backing file), which is not followed; "
			"`qemu-img convert -O qcow2` makes one file of them");
	if (be(head + QCOW2_CRYPT, 4))
		return err_set(err, ERR_USER, "is encrypted");
	for (size_t i = 0; i < ARRAY_SIZE(features); i++)
		if (bits & features[i].bit)
			return err_set(err, ERR_USER, "%s", features[i].what);
	if (size == 0 || size > INT64_MAX)
		return err_set(err, ERR_USER, "has an impossible size");
	*ret_size = (int64_t)size;
	return 0;
}

/* What people mistake for disks, and disks of other programs, by their first bytes. */
static const char *other_kind(const unsigned char *head)
{
	static const struct {
		const char *magic;
		size_t len;
		const char *what;
	} kinds[] = {{"\xfd"
		      "7zXZ",
			     5, "is compressed: unpack it first (xz -d)"},
		{"\x1f\x8b", 2, "is compressed: unpack it first (gzip -d)"},
		{"\x28\xb5\x2f\xfd", 4, "is compressed: unpack it first (zstd -d)"},
		{"BZh", 3, "is compressed: unpack it first (bzip2 -d)"},
		{"PK\3\4", 4, "is a zip archive: unpack it first"},
		{"KDMV", 4, "is of VMware's format: `qemu-img convert -O qcow2` first"},
		{"# Disk DescriptorFile", 21,
			"is of VMware's format: `qemu-img convert -O qcow2` first"},
		{"vhdxfile", 8, "is of Hyper-V's format: `qemu-img convert -O qcow2` first"},
		{"conectix", 8, "is of Hyper-V's format: `qemu-img convert -O qcow2` first"},
		{"<<< ", 4, "is of VirtualBox's format: `qemu-img convert -O qcow2` first"}};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (memcmp(head, kinds[i].magic, kinds[i].len) == 0)
			return kinds[i].what;
	return NULL;
}

static int read_head(const char *path, const char *shown, unsigned char head[HEAD_BYTES],
	int64_t *ret_size, struct err *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(err, errno, "open %s", path);
	ssize_t n = pread(fd, head, HEAD_BYTES, 0);
	if (n < 0)
		return err_errno(err, errno, "read %s", path);
	if (n < (ssize_t)HEAD_BYTES)
		return err_set(err, ERR_USER, "%s is no disk: it has %lld bytes", shown,
			(long long)st.st_size);
	*ret_size = st.st_size;
	return 0;
}

/* Asks the program that will use it, too. */
static int ask_qemu(const struct md_watch *w, const char *path, const char *shown,
	int64_t virtual_size, struct err *err)
{
	const char *const argv[] = {
		md_qemu_img(), "info", "-f", "qcow2", "--output=json", "--", path, NULL};
	_cleanup_free_ char *out = NULL;
	_cleanup_json_ struct json *info = NULL;

	if (md_run(w, argv, INFO_MS, &out, err) < 0)
		return err_wrap(err, "look into %s", shown);
	if (json_parse(out, strlen(out), &info, err) < 0)
		return err_wrap(err, "look into %s: read what qemu-img says", shown);
	const struct json *data = json_get(json_get(info, "format-specific"), "data");
	if (json_get(info, "backing-filename") || json_get(info, "full-backing-filename") ||
		json_get(data, "data-file"))
		return err_set(err, ERR_USER, "the disk %s needs another file", shown);
	if (!streq(json_str(json_get(info, "format"), ""), "qcow2") ||
		json_int_or(json_get(info, "virtual-size"), -1) != virtual_size)
		return err_set(err, ERR_USER, "qemu-img finds %s to be another disk", shown);
	return 0;
}

static int inspect_qcow2(const struct md_watch *w, const char *path, const char *shown,
	const unsigned char *head, struct image_disk_info *ret, struct err *err)
{
	_cleanup_free_ char *program = md_find_program(md_qemu_img());

	ret->qcow2 = true;
	if (check_qcow2(head, &ret->virtual_size, err) < 0) {
		_cleanup_free_ char *why = xstrdup(err_msg(err));

		return err_set(err, ERR_USER, "the disk %s %s", shown, why);
	}
	/* a computer that runs no virtual machines need not have it */
	return program ? ask_qemu(w, path, shown, ret->virtual_size, err) : 0;
}

int image_disk_inspect(const struct md_watch *w, const char *path, const char *shown,
	struct image_disk_info *ret, struct err *err)
{
	unsigned char head[HEAD_BYTES];
	int64_t size;

	if (read_head(path, shown, head, &size, err) < 0)
		return -1;
	if (memcmp(head, "QFI\xfb", 4) == 0)
		return inspect_qcow2(w, path, shown, head, ret, err);
	const char *other = other_kind(head);
	if (other)
		return err_set(err, ERR_USER, "%s %s", shown, other);
	if (head[SECTOR - 2] != 0x55 || head[SECTOR - 1] != 0xaa || size % SECTOR)
		return err_set(err, ERR_USER,
			"%s is no disk: neither qcow2, nor raw with a partition table", shown);
	*ret = (struct image_disk_info){.virtual_size = size};
	return 0;
}

int image_disk_convert(const struct md_watch *w, const char *from, const char *to, struct err *err)
{
	const char *const argv[] = {
		md_qemu_img(), "convert", "-f", "raw", "-O", "qcow2", "--", from, to, NULL};
	_cleanup_free_ char *program = md_find_program(md_qemu_img());

	if (!program)
		return err_set(err, ERR_USER,
			"a raw disk is converted by qemu-img, which is not here: install "
			"qemu-utils");
	sdk_watch_tell(w, "Converting the disk to qcow2");
	if (md_run(w, argv, CONVERT_MS, NULL, err) < 0) {
		unlink(to);
		return err_wrap(err, "convert %s", from);
	}
	return 0;
}
