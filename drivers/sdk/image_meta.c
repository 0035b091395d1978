/* image.json. */
#include "image.h"

#include "buf.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#define TEXT_MAX 4096u
#define FILE_NAME_MAX 128u

static const char digits[] = "0123456789";
static const char lower_hex[] = "0123456789abcdef";
static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
static const char *const disk_suffixes[] = {".qcow2", ".img", ".raw"};

static const struct {
	const char *name;
	unsigned part;
	bool disk;
} roles[IMAGE_ROLES] = {
	[IMAGE_ROOTFS] = {"rootfs", MD_IMAGE_ROOTFS, false},
	[IMAGE_ROOT] = {"root", MD_IMAGE_DIRECT, true},
	[IMAGE_KERNEL] = {"kernel", MD_IMAGE_DIRECT, false},
	[IMAGE_INITRD] = {"initrd", MD_IMAGE_DIRECT, false},
	[IMAGE_DISK] = {"disk", MD_IMAGE_DISK, true},
};

/* The members that are plain strings. */
static const struct {
	const char *key;
	size_t offset;
} texts[] = {
	{"name", offsetof(struct image_meta, name)},
	{"created", offsetof(struct image_meta, created)},
	{"architecture", offsetof(struct image_meta, architecture)},
	{"os", offsetof(struct image_meta, os)},
	{"engine", offsetof(struct image_meta, engine)},
	{"cmdline", offsetof(struct image_meta, cmdline)},
};

static const char *const seeds[] = {
	[MD_SEED_CLOUD_INIT] = "cloud-init",
	[MD_SEED_LEAN] = "lean",
};

const char *image_role_name(enum image_role role)
{
	return roles[role].name;
}

unsigned image_role_part(enum image_role role)
{
	return roles[role].part;
}

static char **text_of(const struct image_meta *m, size_t i)
{
	return (char **)((char *)m + texts[i].offset);
}

void image_meta_finish(struct image_meta *m)
{
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		free(*text_of(m, i));
	for (size_t i = 0; i < IMAGE_ROLES; i++)
		free(m->files[i].name);
	json_free(m->source);
	*m = (struct image_meta){0};
}

static bool is_plain(const char *s, size_t max)
{
	return *s && strchr(plain, *s) && *s != '.' && *s != '-' && !s[strspn(s, plain)] &&
	       strlen(s) <= max;
}

static bool has_suffix(const char *s, const char *suffix)
{
	size_t len = strlen(s), tail = strlen(suffix);

	return len >= tail && streq(s + len - tail, suffix);
}

static bool names_a_disk(const char *s)
{
	for (size_t i = 0; i < ARRAY_SIZE(disk_suffixes); i++)
		if (has_suffix(s, disk_suffixes[i]))
			return true;
	return false;
}

bool image_id_valid(const char *id)
{
	size_t len = strlen(id), tail = IMAGE_HASH_DIGITS + 1;

	return is_plain(id, IMAGE_ID_MAX) && len > tail && id[len - tail] == '-' &&
	       strspn(id + len - IMAGE_HASH_DIGITS, lower_hex) == IMAGE_HASH_DIGITS;
}

bool image_name_valid(const char *name)
{
	return is_plain(name, IMAGE_NAME_MAX) && *name != '_' && !image_id_valid(name) &&
	       !names_a_disk(name);
}

char *image_name_from(const char *path_or_url)
{
	size_t len = strcspn(path_or_url, "?#");
	_cleanup_free_ char *whole = xstrndup(path_or_url, len);

	for (char *end = whole + strlen(whole); end > whole && end[-1] == '/';)
		*--end = '\0';
	const char *slash = strrchr(whole, '/');
	char *name = xstrdup(slash ? slash + 1 : whole);
	for (size_t i = 0; i < ARRAY_SIZE(disk_suffixes); i++)
		if (has_suffix(name, disk_suffixes[i]))
			name[strlen(name) - strlen(disk_suffixes[i])] = '\0';
	for (char *p = name; *p; p++)
		if (!strchr(plain, *p))
			*p = '-';
	if (strlen(name) > IMAGE_NAME_MAX)
		name[IMAGE_NAME_MAX] = '\0';
	if (image_name_valid(name))
		return name;
	free(name);
	return xstrdup("image");
}

void image_now(char ret[IMAGE_TIME_MAX])
{
	time_t now = time(NULL);
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(ret, IMAGE_TIME_MAX, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

static bool time_valid(const char *s)
{
	static const char form[] = "dddd-dd-ddTdd:dd:ddZ";

	if (strlen(s) != strlen(form))
		return false;
	for (size_t i = 0; form[i]; i++)
		if (form[i] == 'd' ? !strchr(digits, s[i]) : s[i] != form[i])
			return false;
	return true;
}

const char *image_host_architecture(void)
{
	static const struct {
		const char *machine, *debian;
	} names[] = {{"x86_64", "amd64"}, {"aarch64", "arm64"}, {"armv7l", "armhf"},
		{"ppc64le", "ppc64el"}, {"s390x", "s390x"}, {"riscv64", "riscv64"},
		{"i686", "i386"}};
	struct utsname u;

	for (size_t i = 0; uname(&u) == 0 && i < ARRAY_SIZE(names); i++)
		if (streq(u.machine, names[i].machine))
			return names[i].debian;
	return "";
}

/* What identifies the content: an image with other files, arguments or needs is another image. */
void image_meta_set_id(struct image_meta *m)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	char hex[SHA_HEX_MAX + 1];

	buf_addf(&b, "architecture %s\nseed %s\ncmdline %s\n", m->architecture, seeds[m->seed],
		m->cmdline);
	for (size_t i = 0; i < IMAGE_ROLES; i++)
		if (m->files[i].name)
			buf_addf(&b, "%s %s %s\n", roles[i].name, m->files[i].sha256,
				m->files[i].name);
	sha_text(SHA_256, buf_str(&b), hex);
	snprintf(m->id, sizeof(m->id), "%s-%.*s", m->name, (int)IMAGE_HASH_DIGITS, hex);
}

static int parse_texts(const struct json *tree, struct image_meta *m, struct err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		const struct json *value = json_get(tree, texts[i].key);
		const char *text = json_str(value, "");

		if (value && !json_is(value, JSON_STRING))
			return err_set(err, ERR_USER, "\"%s\" is not a string", texts[i].key);
		if (strlen(text) > TEXT_MAX)
			return err_set(err, ERR_USER, "\"%s\" is too long", texts[i].key);
		for (const char *p = text; *p; p++)
			if (iscntrl((unsigned char)*p))
				return err_set(err, ERR_USER, "\"%s\" has a control character",
					texts[i].key);
		*text_of(m, i) = xstrdup(text);
	}
	if (!image_name_valid(m->name))
		return err_set(err, ERR_USER, "\"%s\" is not a name for an image", m->name);
	if (!time_valid(m->created))
		return err_set(
			err, ERR_USER, "\"created\" is not a time like 2026-01-31T12:00:00Z");
	return 0;
}

static int parse_file(
	const struct json *j, enum image_role role, struct image_meta *m, struct err *err)
{
	struct image_file *f = &m->files[role];
	const char *name = json_str(json_get(j, "name"), "");
	const char *sha256 = json_str(json_get(j, "sha256"), "");
	const char *what = roles[role].name;

	if (!is_plain(name, FILE_NAME_MAX) || streq(name, "image.json") ||
		streq(name, "SHA256SUMS"))
		return err_set(err, ERR_USER, "the %s has no plain file name", what);
	for (size_t i = 0; i < role; i++)
		if (m->files[i].name && streq(m->files[i].name, name))
			return err_set(err, ERR_USER, "the %s and the %s are one file", what,
				roles[i].name);
	if (strlen(sha256) != SHA_256_HEX || sha256[strspn(sha256, lower_hex)])
		return err_set(err, ERR_USER, "the %s has no SHA-256", what);
	if (!json_to_int(json_get(j, "size"), &f->size) || f->size < 1 || f->size > IMAGE_FILE_MAX)
		return err_set(err, ERR_USER, "the size of the %s is not one", what);
	f->virtual_size = json_int_or(json_get(j, "virtualSize"), 0);
	if (f->virtual_size < 0)
		return err_set(err, ERR_USER, "the virtual size of the %s is not one", what);
	snprintf(f->sha256, sizeof(f->sha256), "%s", sha256);
	f->name = xstrdup(name);
	return 0;
}

static int parse_files(const struct json *files, struct image_meta *m, struct err *err)
{
	for (size_t i = 0; i < IMAGE_ROLES; i++) {
		const struct json *file = json_get(files, roles[i].name);

		if (file && parse_file(file, i, m, err) < 0)
			return -1;
	}
	if (!image_meta_parts(m))
		return err_set(err, ERR_USER,
			"there is neither a rootfs, nor a disk, nor root, kernel and initrd with "
			"a cmdline");
	return 0;
}

static int parse_seed(const struct json *seed, struct image_meta *m, struct err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(seeds); i++)
		if (streq(json_str(seed, ""), seeds[i])) {
			m->seed = i;
			return 0;
		}
	return err_set(err, ERR_USER, "\"seed\" is neither \"lean\" nor \"cloud-init\"");
}

static int parse(const struct json *tree, struct image_meta *m, struct err *err)
{
	const struct json *id = json_get(tree, "id");

	if (!json_is(tree, JSON_OBJECT) || json_int_or(json_get(tree, "format"), 0) != IMAGE_FORMAT)
		return err_set(err, ERR_USER, "it is not of format %d", IMAGE_FORMAT);
	if (parse_texts(tree, m, err) < 0 || parse_seed(json_get(tree, "seed"), m, err) < 0 ||
		parse_files(json_get(tree, "files"), m, err) < 0)
		return -1;
	if (json_is(json_get(tree, "source"), JSON_OBJECT))
		m->source = json_copy(json_get(tree, "source"));
	image_meta_set_id(m);
	if (id && !streq(json_str(id, ""), m->id))
		return err_set(err, ERR_USER, "its id is not that of its content, %s", m->id);
	return 0;
}

int image_meta_parse(const char *text, size_t len, struct image_meta *ret, struct err *err)
{
	_cleanup_json_ struct json *tree = NULL;
	_cleanup_meta_ struct image_meta m = {0};

	if (json_parse(text, len, &tree, err) < 0)
		return -1;
	if (parse(tree, &m, err) < 0)
		return -1;
	*ret = m;
	m = (struct image_meta){0};
	return 0;
}

static struct json *write_file(const struct image_file *f)
{
	struct json *j = json_object();

	json_set_str(j, "name", f->name);
	json_set(j, "size", json_int(f->size));
	json_set_str(j, "sha256", f->sha256);
	if (f->virtual_size)
		json_set(j, "virtualSize", json_int(f->virtual_size));
	return j;
}

char *image_meta_write(const struct image_meta *m)
{
	_cleanup_json_ struct json *tree = json_object();
	struct json *files = json_object();

	json_set(tree, "format", json_int(IMAGE_FORMAT));
	json_set_str(tree, "id", m->id);
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		json_set_str(tree, texts[i].key, *text_of(m, i));
	json_set_str(tree, "seed", seeds[m->seed]);
	if (m->source)
		json_set(tree, "source", json_copy(m->source));
	for (size_t i = 0; i < IMAGE_ROLES; i++)
		if (m->files[i].name)
			json_set(files, roles[i].name, write_file(&m->files[i]));
	json_set(tree, "files", files);
	return json_to_string(tree, JSON_INDENT);
}

unsigned image_meta_parts(const struct image_meta *m)
{
	const struct image_file *f = m->files;
	unsigned parts = 0;

	if (f[IMAGE_ROOTFS].name)
		parts |= MD_IMAGE_ROOTFS;
	if (f[IMAGE_DISK].name)
		parts |= MD_IMAGE_DISK;
	if (f[IMAGE_ROOT].name && f[IMAGE_KERNEL].name && f[IMAGE_INITRD].name && *m->cmdline)
		parts |= MD_IMAGE_DIRECT;
	return parts;
}

int64_t image_meta_size(const struct image_meta *m)
{
	int64_t size = 0;

	for (size_t i = 0; i < IMAGE_ROLES; i++)
		size += m->files[i].name ? m->files[i].size : 0;
	return size;
}

char *image_parts_text(unsigned parts)
{
	static const struct {
		unsigned part;
		const char *name;
	} names[] = {
		{MD_IMAGE_ROOTFS, "rootfs"}, {MD_IMAGE_DISK, "disk"}, {MD_IMAGE_DIRECT, "direct"}};
	_cleanup_strv_ struct strv list = STRV_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (parts & names[i].part)
			strv_add(&list, names[i].name);
	return strv_join(&list, ", ");
}
