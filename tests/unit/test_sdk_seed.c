/* Seeds: the three texts, and the image, read by a reader of the test's own. */
#include "cert_fixture.h"

#include "machine-driver.h"
#include "seed.h"

#define SECTOR 2048u

static int empty_dir_setup(void **state)
{
	return new_dir(dir, sizeof(dir));
}

static struct md_seed a_seed(void)
{
	struct md_seed s = {
		.instance_id = "i-1",
		.hostname = "web1",
		.user = "docker",
		.host_key_private = "PRIVATE\n",
		.host_key_public = "ssh-ed25519 AAAA",
		.mac = "52:54:00:01:02:03",
	};

	strv_add(&s.authorized_keys, "ssh-ed25519 BBBB me");
	return s;
}

/* The JSON in a #cloud-config. */
static struct json *config_of(const char *text)
{
	static const char head[] = "#cloud-config\n";
	_cleanup_err_ struct err err = ERR_INIT;
	struct json *j = NULL;

	assert_int_equal(strncmp(text, head, strlen(head)), 0);
	text += strlen(head);
	assert_int_equal(json_parse(text, strlen(text), &j, &err), 0);
	return j;
}

static void test_user_data(void **state)
{
	_cleanup_err_ struct err err = ERR_INIT;
	struct md_seed s = a_seed();
	_cleanup_free_ char *text = NULL;
	const struct json *user;

	assert_int_equal(md_seed_user_data(&s, &text, &err), 0);
	_cleanup_json_ struct json *j = config_of(text);
	user = json_at(json_get(j, "users"), 0);
	assert_string_equal(json_str(json_get(user, "name"), ""), "docker");
	assert_string_equal(json_str(json_at(json_get(user, "ssh_authorized_keys"), 0), ""),
		"ssh-ed25519 BBBB me");
	assert_string_equal(
		json_str(json_path(j, "ssh_keys", "ed25519_private", NULL), ""), "PRIVATE\n");
	assert_true(json_bool_or(json_get(j, "ssh_deletekeys"), false));
	assert_null(json_get(j, "mounts"));
	assert_false(json_bool_or(json_get(j, "package_update"), true));
	assert_false(json_bool_or(json_get(j, "ssh_pwauth"), true));
	assert_true(json_bool_or(json_get(j, "disable_root"), false));
	assert_true(json_bool_or(json_get(j, "resize_rootfs"), false));
	assert_string_equal(json_str(json_path(j, "growpart", "mode", NULL), ""), "auto");
	strv_finish(&s.authorized_keys);
}

/* A machine that has its key already keeps it; who logs in as root may. */
static void test_known_host_key(void **state)
{
	_cleanup_err_ struct err err = ERR_INIT;
	struct md_seed s = a_seed();
	_cleanup_free_ char *text = NULL;

	s.host_key_private = NULL;
	s.user = "root";
	s.lean = true;
	assert_int_equal(md_seed_user_data(&s, &text, &err), 0);
	_cleanup_json_ struct json *j = config_of(text);
	assert_null(json_get(j, "ssh_keys"));
	assert_false(json_bool_or(json_get(j, "ssh_deletekeys"), true));
	assert_false(json_bool_or(json_get(j, "disable_root"), true));
	assert_null(json_get(j, "resize_rootfs"));
	strv_finish(&s.authorized_keys);
}

static void test_parts(void **state)
{
	static const struct {
		const char *text, *header; /* NULL: refused */
	} kinds[] = {
		{"#cloud-config\npackages: [vim]\n", "Content-Type: text/cloud-config; "},
		{"#cloud-config-archive\n- x\n", "Content-Type: text/cloud-config-archive; "},
		{"#cloud-config-jsonp\n[]\n", "Content-Type: text/cloud-config-jsonp; "},
		{"#!/bin/sh\necho\n", "Content-Type: text/x-shellscript; "},
		{"## template: jinja\n#cloud-config\n", "Content-Type: text/jinja2; "},
		{"#cloud-boothook\n", "Content-Type: text/cloud-boothook; "},
		{"#include-once\nhttp://x\n", "Content-Type: text/x-include-once-url; "},
		{"#include\nhttp://x\n", "Content-Type: text/x-include-url; "},
		{"#part-handler\n", "Content-Type: text/part-handler; "},
		{"Content-Type: text/plain\n\nx", "Content-Type: text/plain"},
		{"MIME-Version: 1.0\n\nx", "MIME-Version: 1.0"},
		{"packages: [vim]\n", NULL},
		{"\n#cloud-config\n", NULL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		_cleanup_err_ struct err err = ERR_INIT;
		_cleanup_free_ char *text = NULL;
		struct md_seed s = a_seed();
		const char *second;

		s.user_data = kinds[i].text;
		int r = md_seed_user_data(&s, &text, &err);
		strv_finish(&s.authorized_keys);
		assert_int_equal(r, kinds[i].header ? 0 : -1);
		if (r < 0) {
			assert_int_equal(err.code, ERR_USER);
			continue;
		}
		assert_non_null(strstr(text, "boundary=\"==machine-seed-0==\"\n"));
		second = strstr(text, "\n}\n\n--==machine-seed-0==\n");
		assert_non_null(second);
		second += strlen("\n}\n\n--==machine-seed-0==\n");
		assert_int_equal(strncmp(second, kinds[i].header, strlen(kinds[i].header)), 0);
		assert_non_null(strstr(second, kinds[i].text));
	}
}

/* A text that holds the boundary gets another. */
static void test_boundary(void **state)
{
	_cleanup_err_ struct err err = ERR_INIT;
	_cleanup_free_ char *text = NULL;
	struct md_seed s = {.user_data = "#!/bin/sh\n# ==machine-seed-0==\n"};

	assert_int_equal(md_seed_user_data(&s, &text, &err), 0);
	assert_non_null(strstr(text, "boundary=\"==machine-seed-1==\"\n"));
}

static void test_network(void **state)
{
	struct md_seed s = {.mac = "52:54:00:01:02:03"};
	_cleanup_free_ char *dynamic = md_seed_network_config(&s), *fixed = NULL;

	assert_non_null(strstr(dynamic, "\"dhcp4\": true"));
	assert_non_null(strstr(dynamic, "\"dhcp-identifier\": \"mac\""));
	s.address = "192.0.2.7/24";
	s.gateway = "192.0.2.1";
	s.dns = "192.0.2.2";
	fixed = md_seed_network_config(&s);
	_cleanup_err_ struct err err = ERR_INIT;
	_cleanup_json_ struct json *j = NULL;
	assert_int_equal(json_parse(fixed, strlen(fixed), &j, &err), 0);
	const struct json *card = json_path(j, "ethernets", "machine0", NULL);
	assert_false(json_bool_or(json_get(card, "dhcp4"), true));
	assert_string_equal(json_str(json_at(json_get(card, "addresses"), 0), ""), "192.0.2.7/24");
	assert_string_equal(json_str(json_get(card, "gateway4"), ""), "192.0.2.1");
	assert_string_equal(
		json_str(json_path(card, "match", "macaddress", NULL), ""), "52:54:00:01:02:03");
}

static unsigned le32(const unsigned char *p)
{
	return p[0] | (unsigned)p[1] << 8 | (unsigned)p[2] << 16 | (unsigned)p[3] << 24;
}

static unsigned be32(const unsigned char *p)
{
	return p[3] | (unsigned)p[2] << 8 | (unsigned)p[1] << 16 | (unsigned)p[0] << 24;
}

/* A file of the tree whose volume is in sector `volume`; NULL: none. */
static const unsigned char *find_file(
	const unsigned char *iso, unsigned volume, bool joliet, const char *name, unsigned *ret_len)
{
	const unsigned char *root = iso + volume * SECTOR + 156;
	const unsigned char *r = iso + le32(root + 2) * SECTOR;

	assert_int_equal(le32(root + 2), be32(root + 6));
	for (; *r; r += *r) {
		char text[64] = "";
		unsigned width = joliet ? 2 : 1, n = r[32] / width;

		for (unsigned i = 0; i < n && i < sizeof(text) - 1; i++)
			text[i] = (char)r[33 + i * width + width - 1];
		assert_int_equal(*r % 2, 0);
		if (!streq(text, name))
			continue;
		*ret_len = le32(r + 10);
		assert_int_equal(*ret_len, be32(r + 14));
		return iso + le32(r + 2) * SECTOR;
	}
	return NULL;
}

static void test_iso(void **state)
{
	static const struct {
		const char *short_name, *name;
	} names[] = {{"METADATA.;1", "meta-data"}, {"NETWORK.;1", "network-config"},
		{"USERDATA.;1", "user-data"}};
	_cleanup_err_ struct err err = ERR_INIT;
	_cleanup_free_ char *path = in_dir("seed.iso"), *user = NULL, *iso = NULL;
	struct md_seed s = a_seed();
	_cleanup_free_ char *meta = md_seed_meta_data(&s), *network = md_seed_network_config(&s);
	size_t len;

	assert_int_equal(md_seed_user_data(&s, &user, &err), 0);
	assert_int_equal(md_seed_write_iso(path, &s, &err), 0);
	strv_finish(&s.authorized_keys);
	assert_int_equal(mode_of(path), 0600);
	assert_int_equal(md_read_file(path, 1 << 20, &iso, &len, &err), 0);
	assert_int_equal(len % SECTOR, 0);
	assert_int_equal(le32((unsigned char *)iso + 16 * SECTOR + 80), len / SECTOR);
	const char *texts[] = {meta, network, user};
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		for (unsigned joliet = 0; joliet < 2; joliet++) {
			unsigned n = 0;
			const unsigned char *data = find_file((unsigned char *)iso, 16 + joliet,
				joliet, joliet ? names[i].name : names[i].short_name, &n);

			assert_non_null(data);
			assert_int_equal(n, strlen(texts[i]));
			assert_memory_equal(data, texts[i], n);
		}
	}
}

static void test_too_large(void **state)
{
	_cleanup_err_ struct err err = ERR_INIT;
	_cleanup_free_ char *path = in_dir("large.iso"), *text = xmalloc(SEED_MAX + 64);
	struct md_seed s = {.user_data = text};

	memset(text, 'x', SEED_MAX + 63);
	memcpy(text, "#!", 2);
	text[SEED_MAX + 63] = '\0';
	assert_int_equal(md_seed_write_iso(path, &s, &err), -1);
	assert_int_equal(err.code, ERR_USER);
	assert_int_equal(access(path, F_OK), -1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, empty_dir_setup, dir_teardown)
	const struct CMUnitTest tests[] = {
		T(test_user_data),
		T(test_known_host_key),
		T(test_parts),
		T(test_boundary),
		T(test_network),
		T(test_iso),
		T(test_too_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
