/* The cache of images: taken in from here, found, checked, used, removed. */
#include "image.h"

#include "sdk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define CMDLINE "root=LABEL=root ro"
#define DISK_BYTES 65536u

struct fixture {
	char top[32];
	char *store, *folder;
};

static void write_text(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

/* A qcow2 header of version 3 and nothing behind it; qemu-img is content with the disk's size. */
static void write_disk(const char *path, bool qcow2, unsigned char seed)
{
	unsigned char *d = xcalloc(DISK_BYTES, 1);
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	d[1024] = seed;
	d[510] = 0x55;
	d[511] = 0xaa;
	assert_int_equal(fwrite(d, 1, DISK_BYTES, f), DISK_BYTES);
	assert_int_equal(fclose(f), 0);
	free(d);
	if (!qcow2)
		return;
	_cleanup_err_ struct err err = ERR_INIT;
	_cleanup_free_ char *to = xasprintf("%s.q", path);
	assert_int_equal(image_disk_convert(NULL, path, to, &err), 0);
	assert_int_equal(rename(to, path), 0);
}

static void file_json(struct json *files, const char *folder, const char *role, const char *name)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", folder, name);
	_cleanup_err_ struct err err = ERR_INIT;
	char hex[SHA_HEX_MAX + 1];
	struct json *j = json_object();
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(image_hash_file(NULL, path, SHA_256, hex, &err), 0);
	json_set_str(j, "name", name);
	json_set(j, "size", json_int(st.st_size));
	json_set_str(j, "sha256", hex);
	json_set(files, role, j);
}

/* What build-image leaves. */
static void make_folder(const char *folder, const char *content, const char *created)
{
	_cleanup_json_ struct json *tree = json_object();
	struct json *files = json_object();
	static const char *const names[] = {
		"rootfs.tar.zst", "vmlinuz", "initrd.img", "packages.txt"};
	_cleanup_free_ char *disk = xasprintf("%s/root.qcow2", folder);
	_cleanup_free_ char *json = xasprintf("%s/image.json", folder);

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_free_ char *path = xasprintf("%s/%s", folder, names[i]);
		_cleanup_free_ char *text = xasprintf("%s %s\n", names[i], content);
		write_text(path, text);
	}
	write_disk(disk, true, 1);
	json_set(tree, "format", json_int(1));
	json_set_str(tree, "name", "debian-12");
	json_set_str(tree, "created", created);
	json_set_str(tree, "architecture", image_host_architecture());
	json_set_str(tree, "os", "Debian 12");
	json_set_str(tree, "seed", "lean");
	json_set_str(tree, "cmdline", CMDLINE);
	file_json(files, folder, "rootfs", names[0]);
	file_json(files, folder, "kernel", names[1]);
	file_json(files, folder, "initrd", names[2]);
	file_json(files, folder, "root", "root.qcow2");
	json_set(tree, "files", files);
	_cleanup_free_ char *text = json_to_string(tree, JSON_INDENT);
	write_text(json, text);
}

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	_cleanup_free_ char *machine = NULL;

	snprintf(f->top, sizeof(f->top), "/tmp/test_image_XXXXXX");
	assert_non_null(mkdtemp(f->top));
	f->store = xasprintf("%s/store", f->top);
	f->folder = xasprintf("%s/built", f->top);
	machine = xasprintf("%s/machines/web", f->store);
	_cleanup_err_ struct err err = ERR_INIT;
	assert_int_equal(md_make_dirs(machine, 0700, &err), 0);
	assert_int_equal(md_make_dirs(f->folder, 0700, &err), 0);
	make_folder(f->folder, "one", "2026-01-01T00:00:00Z");
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	_cleanup_err_ struct err err = ERR_INIT;

	assert_int_equal(image_remove_tree(f->top, &err), 0);
	free(f->store);
	free(f->folder);
	free(f);
	return 0;
}

static struct md_image get(const struct fixture *f, const char *ref, unsigned any)
{
	_cleanup_err_ struct err err = ERR_INIT;
	struct md_image image = {0};

	if (md_image_get(NULL, f->store, ref, "", any, &image, &err) < 0)
		fail_msg("%s: %s", ref, err_msg(&err));
	return image;
}

static enum err_code get_fails(
	const struct fixture *f, const char *ref, const char *checksum, const char *part)
{
	_cleanup_err_ struct err err = ERR_INIT;
	_cleanup_image_ struct md_image image = {0};

	assert_int_equal(
		md_image_get(NULL, f->store, ref, checksum, MD_IMAGE_DISK, &image, &err), -1);
	if (!strstr(err_msg(&err), part))
		fail_msg("no \"%s\" in: %s", part, err_msg(&err));
	return err.code;
}

static void test_folder(void **state)
{
	const struct fixture *f = *state;
	_cleanup_image_ struct md_image first = get(f, f->folder, MD_IMAGE_ROOTFS);
	_cleanup_image_ struct md_image named = get(f, "", MD_IMAGE_DIRECT);
	_cleanup_image_ struct md_image by_id = get(f, first.id, MD_IMAGE_DIRECT);
	_cleanup_free_ char *packages = xasprintf("%s/packages.txt", first.dir);
	struct stat st;

	assert_true(image_id_valid(first.id));
	assert_string_equal(first.id, named.id);
	assert_string_equal(first.id, by_id.id);
	assert_int_equal(first.parts, MD_IMAGE_ROOTFS | MD_IMAGE_DIRECT);
	assert_int_equal(first.seed, MD_SEED_LEAN);
	assert_string_equal(first.cmdline, CMDLINE);
	assert_int_equal(strlen(first.rootfs_sha256), 64);
	assert_null(first.disk);
	assert_int_equal(stat(first.kernel, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0444);
	assert_int_equal(access(packages, F_OK), 0);
	assert_int_equal(get_fails(f, "debian-12", "", "one of these is needed: disk"), ERR_USER);
}

static void test_newest(void **state)
{
	const struct fixture *f = *state;
	_cleanup_image_ struct md_image first = get(f, f->folder, MD_IMAGE_ROOTFS);

	make_folder(f->folder, "two", "2026-01-02T00:00:00Z");
	_cleanup_image_ struct md_image second = get(f, f->folder, MD_IMAGE_ROOTFS);
	assert_string_not_equal(first.id, second.id);
	make_folder(f->folder, "old", "2025-01-02T00:00:00Z");
	_cleanup_image_ struct md_image third = get(f, f->folder, MD_IMAGE_ROOTFS);
	_cleanup_image_ struct md_image newest = get(f, "debian-12", MD_IMAGE_ROOTFS);
	assert_string_equal(newest.id, second.id);
	assert_string_not_equal(third.id, second.id);
}

static void test_changed(void **state)
{
	const struct fixture *f = *state;
	_cleanup_image_ struct md_image image = get(f, f->folder, MD_IMAGE_ROOTFS);
	_cleanup_err_ struct err err = ERR_INIT;
	_cleanup_image_ struct md_image again = {0};

	assert_int_equal(chmod(image.rootfs, 0600), 0);
	write_text(image.rootfs, "rootfs.tar.zst two\n"); /* as long as before */
	assert_int_equal(md_image_get(NULL, f->store, "", "", MD_IMAGE_ROOTFS, &again, &err), -1);
	assert_non_null(strstr(err_msg(&err), image.rootfs));
	assert_non_null(strstr(err_msg(&err), "machine image build"));
	/* an import puts a good one in its place */
	struct image_take t = {
		.store_path = f->store, .ref = f->folder, .checksum = "", .renew = true};
	_cleanup_free_ char *id = NULL;
	assert_int_equal(image_take(NULL, &t, &id, &err), 0);
	assert_string_equal(id, image.id);
	_cleanup_image_ struct md_image good = get(f, "", MD_IMAGE_ROOTFS);
	assert_string_equal(good.id, image.id);
}

static void test_garbled_json(void **state)
{
	const struct fixture *f = *state;
	_cleanup_image_ struct md_image image = get(f, f->folder, MD_IMAGE_ROOTFS);
	_cleanup_free_ char *json = xasprintf("%s/image.json", image.dir);
	_cleanup_err_ struct err err = ERR_INIT;
	_cleanup_free_ char *text = NULL;

	assert_int_equal(md_read_file(json, IMAGE_JSON_MAX, &text, NULL, &err), 0);
	assert_int_equal(chmod(json, 0600), 0);
	write_text(json, "{");
	assert_int_equal(get_fails(f, "", "", "cannot be used"), ERR_USER);
	char *at = strstr(text, CMDLINE);
	assert_non_null(at);
	at[0] = 'R'; /* content that is not that of the ID */
	write_text(json, text);
	assert_int_equal(get_fails(f, image.id, "", "its id is not that of its content"), ERR_USER);
}

static void test_use(void **state)
{
	const struct fixture *f = *state;
	_cleanup_image_ struct md_image image = get(f, f->folder, MD_IMAGE_ROOTFS);
	_cleanup_free_ char *machine = xasprintf("%s/machines/web", f->store);
	_cleanup_free_ char *link = xasprintf("%s/image", machine);
	_cleanup_err_ struct err err = ERR_INIT;

	for (int i = 0; i < 2; i++)
		assert_int_equal(md_image_use(machine, &image, &err), 0);
	assert_int_equal(access(link, F_OK), 0);
	assert_int_equal(image_remove(NULL, f->store, image.id, false, &err), -1);
	assert_int_equal(err.code, ERR_EXISTS);
	assert_non_null(strstr(err_msg(&err), "web"));
	assert_int_equal(unlink(link), 0);
	assert_int_equal(image_remove(NULL, f->store, image.id, false, &err), 0);
	assert_int_equal(access(image.dir, F_OK), -1);
	assert_int_equal(md_image_use(machine, &image, &err), -1);
	assert_int_equal(get_fails(f, "debian-12", "", "machine image build"), ERR_NOT_FOUND);
}

static void test_disk(void **state)
{
	const struct fixture *f = *state;

	for (int qcow2 = 0; qcow2 < 2; qcow2++) {
		_cleanup_free_ char *path = xasprintf("%s/my%d.img", f->top, qcow2);
		write_disk(path, qcow2, (unsigned char)qcow2);
		_cleanup_image_ struct md_image image = get(f, path, MD_IMAGE_DISK);
		_cleanup_image_ struct md_image again = get(f, path, MD_IMAGE_DISK);
		assert_string_equal(image.id, again.id);
		assert_int_equal(image.seed, MD_SEED_CLOUD_INIT);
		struct image_disk_info info;
		_cleanup_err_ struct err err = ERR_INIT;
		assert_int_equal(image_disk_inspect(NULL, image.disk, "x", &info, &err), 0);
		assert_true(info.qcow2);
		assert_int_equal(info.virtual_size, DISK_BYTES);
		/* another content is another image */
		write_disk(path, qcow2, 7);
		_cleanup_image_ struct md_image changed = get(f, path, MD_IMAGE_DISK);
		assert_string_not_equal(changed.id, image.id);
	}
}

static void test_checksum(void **state)
{
	const struct fixture *f = *state;
	_cleanup_free_ char *path = xasprintf("%s/a.qcow2", f->top);
	_cleanup_free_ char *sums = xasprintf("%s/SHA512SUMS", f->top);
	_cleanup_err_ struct err err = ERR_INIT;
	char hex[SHA_HEX_MAX + 1];

	write_disk(path, true, 3);
	assert_int_equal(get_fails(f, path,
				 "sha256:"
				 "0000000000000000000000000000000000000000000000000000000000000000",
				 "is not what its checksum says"),
		ERR_USER);
	assert_int_equal(get_fails(f, path, "sha256:00", "hex digits"), ERR_USER);
	assert_int_equal(image_hash_file(NULL, path, SHA_512, hex, &err), 0);
	_cleanup_free_ char *text = xasprintf("%s *a.qcow2\n", hex);
	write_text(sums, text);
	_cleanup_image_ struct md_image image = {0};
	assert_int_equal(md_image_get(NULL, f->store, path, sums, MD_IMAGE_DISK, &image, &err), 0);
	_cleanup_free_ char *url = xasprintf("file://%s", path);
	_cleanup_image_ struct md_image by_url = get(f, url, MD_IMAGE_DISK);
	assert_string_equal(image.id, by_url.id);
}

static void test_refused_disks(void **state)
{
	static const struct {
		size_t at;
		unsigned char value;
		const char *says;
	} cases[] = {{7, 9, "unknown qcow version"}, {15, 1, "a layer on another file"},
		{35, 1, "is encrypted"}, {79, 4, "has its data in another file"},
		{79, 2, "corrupt"}, {0, 'X', "is no disk"}};
	const struct fixture *f = *state;
	_cleanup_free_ char *path = xasprintf("%s/a.qcow2", f->top);

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		write_disk(path, true, 3);
		FILE *file = fopen(path, "r+");
		assert_non_null(file);
		assert_int_equal(fseek(file, (long)cases[i].at, SEEK_SET), 0);
		fputc(cases[i].value, file);
		assert_int_equal(fclose(file), 0);
		assert_int_equal(get_fails(f, path, "", cases[i].says), ERR_USER);
	}
	write_text(path, "<html>");
	assert_int_equal(get_fails(f, path, "", "is no disk"), ERR_USER);
	_cleanup_image_list_ struct image_list l = {0};
	_cleanup_err_ struct err err = ERR_INIT;
	assert_int_equal(image_list(f->store, &l, &err), 0);
	assert_int_equal(l.n, 0);
}

static void test_names(void **state)
{
	static const struct {
		const char *name;
		bool valid;
	} cases[] = {{"debian-12", true}, {"a", true}, {"", false}, {"..", false}, {".a", false},
		{"a/b", false}, {"../a", false}, {"-a", false}, {"_a", false}, {"a b", false},
		{"a-0123456789ab", false}, {"a-0123456789aB", true}, {"a.qcow2", false},
		{"a.img", false},
		{"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", true},
		{"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false}};
	static const struct {
		const char *from, *name;
	} made[] = {{"https://a/b/debian-12.qcow2?x=/y", "debian-12"}, {"/a/b c.img", "b-c"},
		{"/a/.img", "image"}, {"http://a/", "a"}, {"/", "image"}};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (image_name_valid(cases[i].name) != cases[i].valid)
			fail_msg("%s", cases[i].name);
	for (size_t i = 0; i < ARRAY_SIZE(made); i++) {
		_cleanup_free_ char *name = image_name_from(made[i].from);
		assert_string_equal(name, made[i].name);
	}
	assert_true(image_is_path("a.qcow2"));
	assert_true(image_is_path("../a"));
	assert_false(image_is_path("debian-12"));
	assert_false(image_is_path("https://a/b"));
}

/* Two at a time take in one image; what a killed process left is swept. */
static void test_sweep(void **state)
{
	const struct fixture *f = *state;
	_cleanup_free_ char *cache = image_cache_dir(f->store);
	static const char *const left[] = {".new-0123456789ab/x", ".old-0123456789ab/x"};
	_cleanup_free_ char *young = xasprintf("%s/.part-0123456789ab", cache);
	_cleanup_err_ struct err err = ERR_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(left); i++) {
		_cleanup_free_ char *path = xasprintf("%s/%s", cache, left[i]);
		assert_int_equal(md_make_dirs(path, 0700, &err), 0);
	}
	assert_int_equal(md_make_dirs(young, 0700, &err), 0);
	int lock = -1;
	assert_int_equal(image_lock(NULL, f->store, "0123456789ab", &lock, &err), 0);
	image_sweep(f->store); /* somebody is at work there */
	for (size_t i = 0; i < ARRAY_SIZE(left); i++) {
		_cleanup_free_ char *path = xasprintf("%s/%s", cache, left[i]);
		assert_int_equal(access(path, F_OK), 0);
	}
	md_unlock(&lock);
	image_sweep(f->store);
	for (size_t i = 0; i < ARRAY_SIZE(left); i++) {
		_cleanup_free_ char *path = xasprintf("%s/%s", cache, left[i]);
		assert_int_equal(access(path, F_OK), -1);
	}
	assert_int_equal(access(young, F_OK), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {TEST(test_folder), TEST(test_newest), TEST(test_changed),
		TEST(test_garbled_json), TEST(test_use), TEST(test_disk), TEST(test_checksum),
		TEST(test_refused_disks), cmocka_unit_test(test_names), TEST(test_sweep)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
