/* What drivers of clouds share: members of states and their flags, keys, user data, reports. */
#include "md-api.h"
#include "md-cloud.h"
#include "sdk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define FLAG "--x-file"
#define ROOM 65536

static char dir[64];
static struct md_machine m;
static struct sdk_conn *conn;
static struct md_request rq;
static FILE *told;

static int set_up(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/test-cloud-XXXXXX");
	assert_non_null(mkdtemp(dir));
	m = (struct md_machine){.name = "m1", .id = "i", .dir = dir, .store_path = "/s"};
	m.state = json_object();
	told = tmpfile();
	assert_non_null(told);
	conn = xcalloc(1, sizeof(*conn));
	conn->in = -1;
	conn->out = fileno(told);
	rq = (struct md_request){.conn = conn, .method = "create", .id = 1};
	return 0;
}

static int tear_down(void **state)
{
	static const char *const names[] = {"id_ed25519", "id_ed25519.pub", "id_rsa", "id_rsa.pub",
		"ssh_host_ed25519_key", "ssh_host_ed25519_key.pub", "data", "key", "key.pub",
		"own/key", "own/key.pub", "own/config.json", "ssh_key"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_free_ char *path = md_file(&m, names[i]);
		unlink(path);
	}
	_cleanup_free_ char *own = md_file(&m, "own");
	rmdir(own);
	assert_int_equal(rmdir(dir), 0);
	json_free(m.state);
	frame_decoder_finish(&conn->decoder);
	free(conn);
	fclose(told);
	return 0;
}

static char *put(const char *name, const void *data, size_t len)
{
	char *path = md_file(&m, name);
	_cleanup_err_ struct err err = ERR_INIT;

	assert_int_equal(md_write_file(path, data, len, 0600, &err), 0);
	return path;
}

static void test_fields(void **state)
{
	static const struct md_field fields[] = {
		{"Text", MD_TEXT, "x-text"},
		{"Path", MD_PATH, "x-path"},
		{"Number", MD_NUMBER, "x-number"},
		{"Yes", MD_YES_NO, "x-yes"},
		{"List", MD_LIST, "x-list"},
		{"NoList", MD_LIST, "x-empty"},
		{"Id", MD_TEXT, NULL},
		{"Count", MD_NUMBER, NULL},
		{"Is", MD_YES_NO, NULL},
		{"Of", MD_LIST, NULL},
		{"File", MD_PATH, NULL},
	};
	static const char given[] =
		"{\"x-text\":\"t\",\"x-path\":\"/p\",\"x-number\":9007199254740993,\"x-yes\":true,"
		"\"x-list\":[\"a\",\"b\"],\"x-empty\":[]}";
	_cleanup_json_ struct json *flags = NULL;
	_cleanup_err_ struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(json_parse(given, strlen(given), &flags, &err), 0);
	md_fields_set(&m, fields, ARRAY_SIZE(fields), flags);
	_cleanup_free_ char *text = json_to_string(m.state, JSON_COMPACT);
	assert_string_equal(text,
		"{\"Text\":\"t\",\"Path\":\"/p\",\"Number\":9007199254740993,\"Yes\":true,"
		"\"List\":[\"a\",\"b\"],\"NoList\":null,\"Id\":\"\",\"Count\":0,\"Is\":false,"
		"\"Of\":null,\"File\":\"\"}");
	assert_string_equal(md_state_str(&m, "tEXT"), "t"); /* as Go reads */
	assert_true(md_state_int(&m, "number") == INT64_C(9007199254740993));
	assert_true(md_state_bool(&m, "yes"));
	assert_string_equal(md_state_str(&m, "Number"), "");
	assert_int_equal(md_state_int(&m, "Text"), 0);
	assert_false(md_state_bool(&m, "Absent"));
}

/* Of the program's flags; in their places, and as they are when there are no such flags. */
static void test_swarm_fields(void **state)
{
	static const char given[] = "{\"swarm-master\":true,\"swarm-host\":\"tcp://0.0.0.0:3376\","
				    "\"swarm-discovery\":\"token://x\"}";
	_cleanup_json_ struct json *flags = NULL, *none = json_object();
	_cleanup_err_ struct err err = ERR_INIT;

	(void)state;
	md_base_state(&m);
	md_fields_set(&m, NULL, 0, none);
	assert_string_equal(md_state_str(&m, "SwarmHost"), "");
	assert_int_equal(json_parse(given, strlen(given), &flags, &err), 0);
	md_fields_set(&m, NULL, 0, flags);
	md_fields_set(&m, NULL, 0, NULL);
	_cleanup_free_ char *text = json_to_string(m.state, JSON_COMPACT);
	assert_string_equal(text,
		"{\"IPAddress\":\"\",\"MachineName\":\"m1\",\"SSHUser\":\"\",\"SSHPort\":0,"
		"\"SSHKeyPath\":\"\",\"StorePath\":\"/s\",\"SwarmMaster\":true,"
		"\"SwarmHost\":\"tcp://0.0.0.0:3376\",\"SwarmDiscovery\":\"token://x\"}");
}

static void test_fields_are_checked(void **state)
{
	static const struct md_field fields[] = {{"Text", MD_TEXT, NULL}, {"Path", MD_PATH, NULL},
		{"Number", MD_NUMBER, NULL}, {"Yes", MD_YES_NO, NULL}, {"List", MD_LIST, NULL}};
	static const struct {
		const char *state, *member; /* NULL: good */
	} cases[] = {
		{"{}", NULL},
		{"{\"Text\":null,\"Path\":null,\"Number\":null,\"Yes\":null,\"List\":null}", NULL},
		{"{\"text\":\"\",\"Path\":\"/"
		 "p\",\"Number\":9007199254740993,\"Yes\":true,\"List\":[]}",
			NULL},
		{"{\"Number\":1e3,\"Other\":{},\"SSHPort\":22,\"IPAddress\":\"\"}", NULL},
		{"{\"Text\":1}", "Text"},
		{"{\"Path\":[]}", "Path"},
		{"{\"Number\":\"3164444\"}", "Number"},
		{"{\"number\":true}", "Number"},
		{"{\"Number\":1.5}", "Number"},
		{"{\"Number\":1e300}", "Number"},
		{"{\"Yes\":\"true\"}", "Yes"},
		{"{\"List\":\"a\"}", "List"},
		{"{\"List\":{}}", "List"},
		{"{\"SSHPort\":\"22\"}", "SSHPort"},
		{"{\"IPAddress\":[]}", "IPAddress"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_json_ struct json *given = NULL;
		_cleanup_err_ struct err err = ERR_INIT;
		struct md_machine one = {.dir = "/s/machines/m1"};

		assert_int_equal(
			json_parse(cases[i].state, strlen(cases[i].state), &given, &err), 0);
		one.state = given;
		assert_int_equal(md_fields_check(&one, fields, ARRAY_SIZE(fields), &err),
			cases[i].member ? -1 : 0);
		if (!cases[i].member)
			continue;
		assert_int_equal(err.code, ERR_USER);
		assert_non_null(strstr(err_msg(&err), "/s/machines/m1/config.json"));
		_cleanup_free_ char *quoted = xasprintf("\"%s\"", cases[i].member);
		assert_non_null(strstr(err_msg(&err), quoted));
	}
}

static void test_ports(void **state)
{
	static const struct {
		int64_t port;
		int r;
	} ports[] = {{1, 0}, {65535, 0}, {0, -1}, {65536, -1}, {-22, -1}, {INT64_MAX, -1}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ports); i++) {
		_cleanup_json_ struct json *flags = json_object();
		_cleanup_err_ struct err err = ERR_INIT;

		json_set(flags, "x-port", json_int(ports[i].port));
		assert_int_equal(md_flag_port(&m, "SSHPort", flags, "x-port", &err), ports[i].r);
		if (ports[i].r == 0)
			assert_true(md_state_int(&m, "SSHPort") == ports[i].port);
		else
			assert_non_null(strstr(err_msg(&err), "--x-port"));
	}
}

static void test_login_key(void **state)
{
	_cleanup_free_ char *first = NULL, *second = NULL, *path = md_file(&m, "id_ed25519");
	_cleanup_err_ struct err err = ERR_INIT;
	struct stat st;

	(void)state;
	assert_int_equal(md_cloud_login_key(&m, &first, &err), 0);
	assert_int_equal(md_cloud_login_key(&m, &second, &err), 0);
	assert_string_equal(first, second);
	assert_int_equal(strncmp(first, "ssh-ed25519 ", 12), 0);
	assert_null(strchr(first, '\n'));
	assert_string_equal(md_state_str(&m, "SSHKeyPath"), path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

static void test_copied_key(void **state)
{
	_cleanup_free_ char *own = md_file(&m, "own"), *copy = md_file(&m, "key"), *pub = NULL;
	_cleanup_err_ struct err err = ERR_INIT, missing = ERR_INIT, taken = ERR_INIT;
	struct stat st;

	(void)state;
	assert_int_equal(mkdir(own, 0700), 0);
	_cleanup_free_ char *from = put("own/key", "private\n", 8);
	assert_int_equal(md_cloud_copy_key(&m, from, FLAG, &pub, &missing), -1); /* no .pub */
	assert_non_null(strstr(err_msg(&missing), FLAG));
	_cleanup_free_ char *from_pub = put("own/key.pub", "ssh-ed25519 A b\r\nmore\n", 22);
	assert_int_equal(md_cloud_copy_key(&m, from, FLAG, &pub, &err), 0);
	assert_string_equal(pub, "ssh-ed25519 A b");
	assert_string_equal(md_state_str(&m, "SSHKeyPath"), copy);
	assert_int_equal(stat(copy, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	/* one of the host's own files has that name */
	_cleanup_free_ char *config = put("own/config.json", "private\n", 8);
	_cleanup_free_ char *renamed = md_file(&m, "ssh_key");
	assert_int_equal(md_cloud_copy_key(&m, config, FLAG, NULL, &taken), 0);
	assert_string_equal(md_state_str(&m, "SSHKeyPath"), renamed);
}

static int user_data(const char *data, size_t len, size_t max, char **ret, struct err *err)
{
	_cleanup_free_ char *path = data ? put("data", data, len) : NULL;

	return md_cloud_user_data(&rq, &m, path, FLAG, max, ret, err);
}

static bool has_host_key(void)
{
	return strncmp(md_state_str(&m, "HostKey"), "ssh-ed25519 ", 12) == 0;
}

static void test_user_data(void **state)
{
	static const struct {
		const char *data; /* NULL: no file */
		bool merged;
	} cases[] = {{NULL, true}, {"", true}, {"#cloud-config\nx: 1\n", true},
		{"#!/bin/sh\n", true}, {"MIME-Version: 1.0\n", true},
		{"## template: jinja\n", true}, {"#include\n", true}, {"packages: [x]\n", false},
		{"{}", false}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *data = cases[i].data;
		_cleanup_free_ char *first = NULL, *second = NULL;
		_cleanup_err_ struct err err = ERR_INIT;
		size_t len = data ? strlen(data) : 0;

		assert_int_equal(user_data(data, len, ROOM, &first, &err), 0);
		assert_int_equal(user_data(data, len, ROOM, &second, &err), 0);
		assert_string_equal(first, second); /* until the machine is made */
		assert_true(has_host_key() == cases[i].merged);
		assert_true((strstr(first, "OPENSSH PRIVATE KEY") != NULL) == cases[i].merged);
		if (data)
			assert_non_null(strstr(first, data));
		if (!cases[i].merged)
			assert_string_equal(first, data);
	}
}

static void test_host_key_goes(void **state)
{
	_cleanup_free_ char *first = NULL, *second = NULL,
			    *path = md_file(&m, "ssh_host_ed25519_key");
	_cleanup_err_ struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(user_data(NULL, 0, ROOM, &first, &err), 0);
	assert_int_equal(access(path, F_OK), 0);
	md_cloud_made(&m);
	assert_int_equal(access(path, F_OK), -1);
	assert_true(has_host_key());
}

static void test_user_data_limits(void **state)
{
	_cleanup_free_ char *text = NULL, *none = NULL;
	_cleanup_err_ struct err err = ERR_INIT, large = ERR_INIT;
	char data[1000];

	(void)state;
	memset(data, '#', sizeof(data));
	memcpy(data, "#cloud-config\n", 14);
	assert_int_equal(user_data(data, sizeof(data), sizeof(data), &text, &err), 0);
	assert_int_equal(strlen(text), sizeof(data)); /* no room for the host key */
	assert_false(has_host_key());
	assert_int_equal(user_data(data, sizeof(data), sizeof(data) - 1, &none, &large), -1);
	assert_int_equal(large.code, ERR_USER);
	assert_non_null(strstr(err_msg(&large), FLAG));
	assert_non_null(strstr(err_msg(&large), "999 bytes"));
}

static void test_user_data_is_text(void **state)
{
	static const struct {
		const char *data;
		size_t len;
		int r;
	} cases[] = {{"caf\xc3\xa9", 5, 0}, {"caf\xe9", 4, -1}, {"a\0b", 3, -1},
		{"\x1f\x8b", 2, -1}, {"", 0, 0}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *path = put("data", cases[i].data, cases[i].len);
		_cleanup_err_ struct err err = ERR_INIT;

		assert_int_equal(md_cloud_check_user_data(path, FLAG, ROOM, &err), cases[i].r);
		if (cases[i].r < 0) {
			assert_int_equal(err.code, ERR_USER);
			assert_non_null(strstr(err_msg(&err), FLAG));
		}
	}
}

static void test_user_bytes(void **state)
{
	static const struct {
		const char *data;
		size_t len;
		int r;
		bool alone;
	} cases[] = {{"#!/bin/sh\n", 10, 0, false}, {"\x1f\x8b\x08\0\xff", 5, 0, true},
		{"\x1f\x8b", 2, -1, false}, {"caf\xe9", 4, -1, false},
		{"\xff\xfe#\0", 4, -1, false}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *path = put("data", cases[i].data, cases[i].len),
				    *encoded = NULL, *sent = NULL;
		_cleanup_err_ struct err err = ERR_INIT, again = ERR_INIT;
		size_t len = 0;

		assert_int_equal(md_cloud_check_user_bytes(path, FLAG, ROOM, &err), cases[i].r);
		assert_int_equal(md_cloud_user_bytes(&rq, &m, path, FLAG, ROOM, &encoded, &again),
			cases[i].r);
		if (cases[i].r < 0) {
			assert_int_equal(err.code, ERR_USER);
			assert_non_null(strstr(err_msg(&again), "gzip"));
			continue;
		}
		assert_int_equal(md_unbase64(encoded, strlen(encoded), &sent, &len), 0);
		assert_true(has_host_key() != cases[i].alone);
		assert_true(len >= cases[i].len);
		if (cases[i].alone)
			assert_memory_equal(sent, cases[i].data, len);
		else
			assert_non_null(strstr(sent, "OPENSSH PRIVATE KEY"));
	}
}

static void test_report(void **state)
{
	struct md_report r = {0};

	(void)state;
	md_cloud_report(&m, STATE_STARTING, &r);
	assert_int_equal(r.state, STATE_STARTING);
	assert_null(r.ip);
	json_set_str(m.state, "IPAddress", "2001:db8::1");
	json_set(m.state, "SSHPort", json_int(70000));
	json_set_str(m.state, "HostKey", "ssh-ed25519 A");
	md_cloud_report(&m, STATE_RUNNING, &r);
	assert_string_equal(r.url, "tcp://[2001:db8::1]:2376");
	assert_string_equal(r.ssh_user, "root");
	assert_int_equal(r.ssh_port, 22);
	assert_int_equal(r.ssh_host_keys.n, 1);
	sdk_report_finish(&r);
}

static void test_orders(void **state)
{
	static const struct {
		const char *pause; /* NULL: the usual one */
		int age;
		bool open;
	} cases[] = {{NULL, 0, true}, {NULL, MD_CLOUD_ORDER_S - 5, true},
		{NULL, MD_CLOUD_ORDER_S, false}, {"1", 0, false}, {"250", 20, true},
		{"250", 40, false}};

	(void)state;
	assert_false(md_cloud_order_open(&m));
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		if (cases[i].pause)
			setenv(MD_API_PAUSE_VARIABLE, cases[i].pause, 1);
		else
			unsetenv(MD_API_PAUSE_VARIABLE);
		json_set(m.state, MD_CLOUD_ORDERED, json_int((int64_t)time(NULL) - cases[i].age));
		assert_true(md_cloud_order_open(&m) == cases[i].open);
	}
	unsetenv(MD_API_PAUSE_VARIABLE);
	json_set(m.state, MD_CLOUD_ORDERED, json_int((int64_t)time(NULL)));
	md_cloud_order_over(&m);
	assert_false(md_cloud_order_open(&m));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_fields),
		TEST(test_swarm_fields),
		TEST(test_fields_are_checked),
		TEST(test_ports),
		TEST(test_login_key),
		TEST(test_copied_key),
		TEST(test_user_data),
		TEST(test_host_key_goes),
		TEST(test_user_data_limits),
		TEST(test_user_data_is_text),
		TEST(test_user_bytes),
		TEST(test_orders),
		TEST(test_report),
	};

	return cmocka_run_group_tests_name("cloud", tests, NULL, NULL);
}
