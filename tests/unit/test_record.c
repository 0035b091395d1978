#include "store_fixture.h"

#include "log.h"

#define ID "00112233445566778899aabbccddeeff"

static ino_t inode(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_ino;
}

static void saving_unchanged_writes_nothing(void **state)
{
	_cleanup_free_ char *v3 = example("config-v3.json");
	const char *const texts[] = {v3,
		"{\"name\": \"web1\", \"driver\":{},\"DRIVERNAME\":\"none\",\"RawDriver\":\"e30=\","
		"\n\"ConfigVersion\":3, \"Unknown\": [1.0, 1e3]}\n"};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		machine_with(texts[i]);
		ino_t before = inode(at(CONFIG));
		_cleanup_record_ struct record *r = load();
		assert_true(record_is_complete(r));
		assert_ok(record_save(store, r, &err));
		assert_holds(at(CONFIG), texts[i]);
		assert_int_equal(inode(at(CONFIG)), before);
		assert_int_equal(entries(at("S/machines/web1")), 1);
		assert_ok(store_remove(store, "web1", &err));
	}
}

/* Changed and changed back through two saves, the example is the same to the byte. */
static void round_trip(void **state)
{
	_cleanup_free_ char *v3 = example("config-v3.json");

	machine_with(v3);
	_cleanup_record_ struct record *r = load();
	json_set_str(record_driver_state(r), "IPAddress", "192.0.2.8");
	assert_ok(record_save(store, r, &err));
	assert_string_not_equal(r->saved, v3);
	assert_holds(at(CONFIG), r->saved);
	assert_mode(at(CONFIG), 0600);
	_cleanup_record_ struct record *again = load();
	json_set_str(record_driver_state(again), "IPAddress", "192.0.2.7");
	assert_ok(record_save(store, again, &err));
	assert_holds(at(CONFIG), v3);
}

/* What create writes is the example, too. */
static void new_record(void **state)
{
	_cleanup_free_ char *v3 = example("config-v3.json");
	_cleanup_json_ struct json *want = NULL;
	assert_ok(json_parse(v3, strlen(v3), &want, &err));
	struct json *options = record_default_host_options(store, "web1");
	struct json *engine = json_get(options, "EngineOptions");

	json_add(json_get(engine, "ArbitraryFlags"), json_string("log-driver=none"));
	json_add(json_get(engine, "Labels"), json_string("k=v"));
	json_add(json_path(options, "AuthOptions", "ServerCertSANs", NULL), json_string("foo.bar"));
	_cleanup_record_ struct record *r =
		record_new("web1", "generic", json_copy(json_get(want, "Driver")), options, ID);
	assert_ok(record_claim(store, r, &err));
	assert_holds(at(CONFIG), v3);
	assert_string_equal(record_driver_name(r), "generic");
	assert_string_equal(record_id(r), ID);
	assert_int_equal(record_claim(store, r, &err), -1);
	assert_int_equal(err.code, ERR_EXISTS);
}

static void progress(void **state)
{
	_cleanup_record_ struct record *r = record_new("web1", "none", NULL, NULL, ID);

	assert_ok(record_claim(store, r, &err));
	record_step_mark(r, "create");
	record_step_mark(r, "create");
	assert_ok(record_save(store, r, &err));
	_cleanup_record_ struct record *again = load();
	assert_string_equal(record_id(again), ID);
	assert_true(record_step_done(again, "create"));
	assert_false(record_step_done(again, "check"));
	assert_mode(at("S/machines/web1/.create.json"), 0600);
	assert_false(record_is_complete(again));
	ino_t before = inode(at("S/machines/web1/.create.json"));
	assert_ok(record_save(store, again, &err));
	assert_int_equal(inode(at("S/machines/web1/.create.json")), before);
	record_complete(again);
	assert_ok(record_save(store, again, &err));
	assert_false(is_there(at("S/machines/web1/.create.json")));
	_cleanup_record_ struct record *complete = load();
	assert_true(record_is_complete(complete));
	assert_string_equal(record_id(complete), "");
	assert_false(record_step_done(complete, "create"));
}

static void quiet(void *unused, enum log_level level, const char *line)
{
}

static void garbled_progress_hides_nothing(void **state)
{
	static const char *const texts[] = {"", "{", "[]", "{\"id\":5,\"done\":{}}", "\xff"};

	machine_with("{\"ConfigVersion\":3,\"Driver\":{},\"DriverName\":\"none\"}");
	log_set_sink(quiet, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		put(at("S/machines/web1/.create.json"), texts[i]);
		_cleanup_record_ struct record *r = load();
		assert_false(record_is_complete(r));
		assert_false(record_step_done(r, "create"));
		assert_string_equal(record_id(r), "");
		record_step_mark(r, "create");
		assert_ok(record_save(store, r, &err));
		_cleanup_record_ struct record *again = load();
		assert_true(record_step_done(again, "create"));
	}
	log_set_sink(NULL, NULL);
}

static void unknown_members_survive(void **state)
{
	machine_with(
		"{\"ConfigVersion\":3,\"Extra\":{\"n\":12345678901234567890},\"Driver\":{\"Id\":"
		"18446744073709551615,\"f\":1.50,\"s\":\"<a&b>\\u2028\"},\"DriverName\":\"none\","
		"\"RawDriver\":\"e30=\",\"HostOptions\":null,\"Name\":\"other\"}");
	_cleanup_record_ struct record *r = load();
	assert_string_equal(r->name, "web1");
	json_set(record_driver_state(r), "t", json_bool(true));
	assert_ok(record_save(store, r, &err));
	assert_holds(at(CONFIG),
		"{\n    \"ConfigVersion\": 3,\n    \"Extra\": {\n        \"n\": "
		"12345678901234567890\n    },\n    \"Driver\": {\n        \"Id\": "
		"18446744073709551615,\n        \"f\": 1.50,\n        \"s\": "
		"\"\\u003ca\\u0026b\\u003e\\u2028\",\n        \"t\": true\n    },\n"
		"    \"DriverName\": \"none\",\n    \"HostOptions\": null,\n    \"Name\": "
		"\"web1\"\n}");
}

static void keys_in_any_case(void **state)
{
	machine_with(
		"{\"configversion\":3,\"driver\":{\"a\":1},\"drivername\":\"x\",\"HOSTOPTIONS\":"
		"{\"engineoptions\":{\"labels\":[\"l\"]},\"AUTHOPTIONS\":{\"cacertpath\":\"p\"},"
		"\"swarmoptions\":{\"master\":true}}}");
	_cleanup_record_ struct record *r = load();
	assert_string_equal(record_driver_name(r), "x");
	assert_string_equal(record_auth(r, "CaCertPath"), "p");
	assert_string_equal(record_auth(r, "CertDir"), at("S/certs"));
	assert_string_equal(record_auth(r, "CaCertRemotePath"), "");
	assert_string_equal(json_str(json_at(record_engine(r, "Labels"), 0), ""), "l");
	assert_true(json_bool_or(record_swarm(r, "Master"), false));
	record_set_driver_state(r, json_object());
	assert_int_equal(record_driver_state(r)->n, 0);
	assert_ok(record_save(store, r, &err));
	_cleanup_record_ struct record *again = load();
	assert_int_equal(record_driver_state(again)->n, 0);
}

/* As the original does, whoever wrote the file: every member, in its order and spelling. */
static void every_member_is_written(void **state)
{
	machine_with("{\"driver\":{\"a\":1,\"ipaddress\":\"x\"},\"Extra\":1,\"configversion\":3,"
		     "\"HOSTOPTIONS\":{\"engineoptions\":{\"labels\":[\"l\"],\"Odd\":null},"
		     "\"AuthOptions\":null,\"More\":2}}");
	_cleanup_record_ struct record *r = load();
	json_set(record_driver_state(r), "b", json_int(2));
	assert_ok(record_save(store, r, &err));
	_cleanup_record_ struct record *again = load();
	_cleanup_free_ char *text = json_to_string(again->doc, JSON_COMPACT);
	assert_string_equal(text,
		"{\"ConfigVersion\":3,\"Driver\":{\"a\":1,\"ipaddress\":\"x\",\"b\":2},"
		"\"DriverName\":\"\",\"HostOptions\":{\"Driver\":\"\",\"Memory\":0,\"Disk\":0,"
		"\"EngineOptions\":{\"ArbitraryFlags\":null,\"Dns\":null,\"GraphDir\":\"\","
		"\"Env\":null,\"Ipv6\":false,\"InsecureRegistry\":null,\"Labels\":[\"l\"],"
		"\"LogLevel\":\"\",\"StorageDriver\":\"\",\"SelinuxEnabled\":false,"
		"\"TlsVerify\":false,\"RegistryMirror\":null,\"InstallURL\":\"\",\"Odd\":null},"
		"\"SwarmOptions\":null,\"AuthOptions\":null,\"More\":2},"
		"\"Name\":\"web1\",\"Extra\":1}");
	assert_string_equal(r->saved, again->saved);
}

static void null_options_and_driver(void **state)
{
	machine_with("{\"ConfigVersion\":3,\"Driver\":null,\"DriverName\":\"none\",\"HostOptions\":"
		     "{\"EngineOptions\":null}}");
	_cleanup_record_ struct record *r = load();
	assert_true(json_is(record_driver_state(r), JSON_OBJECT));
	assert_null(record_engine(r, "Labels"));
	assert_string_equal(record_auth(r, "CaCertPath"), at("S/certs/ca.pem"));
	assert_string_equal(record_auth(r, "ServerKeyPath"), at("S/machines/web1/server-key.pem"));
	_cleanup_free_ char *dir = NULL;
	struct machine_ref ref = record_ref(store, r, &dir);
	assert_string_equal(ref.dir, at("S/machines/web1"));
	assert_string_equal(ref.store_path, at("S"));
	assert_string_equal(ref.id, "");
	assert_true(json_is(ref.state, JSON_OBJECT));
}

static void wrong_types(void **state)
{
	static const struct {
		const char *text, *error;
	} cases[] = {
		{"[]", "expected an object"},
		{"{\"ConfigVersion\":\"3\"}", "ConfigVersion: expected an integer"},
		{"{\"ConfigVersion\":-1}", "ConfigVersion: expected 0 or more"},
		{"{\"ConfigVersion\":4}", "config version is from the future -- you should upgrade "
					  "your Docker Machine client"},
		{"{\"ConfigVersion\":3,\"Driver\":[]}", "Driver: expected an object"},
		{"{\"Driver\":\"x\"}", "Driver: expected an object"},
		{"{\"ConfigVersion\":3,\"DriverName\":1}", "DriverName: expected a string"},
		{"{\"ConfigVersion\":3,\"HostOptions\":1}", "HostOptions: expected an object"},
		{"{\"ConfigVersion\":1,\"HostOptions\":1}", "HostOptions: expected an object"},
		{"{\"ConfigVersion\":2,\"HostOptions\":{\"AuthOptions\":[]}}",
			"HostOptions.AuthOptions: expected an object"},
		{"{\"ConfigVersion\":3,\"HostOptions\":{\"Memory\":1.5}}",
			"HostOptions.Memory: expected an integer"},
		{"{\"ConfigVersion\":3,\"HostOptions\":{\"AuthOptions\":{\"CaCertPath\":5}}}",
			"HostOptions.AuthOptions.CaCertPath: expected a string"},
		{"{\"CaCertPath\":5}", "HostOptions.AuthOptions.CaCertPath: expected a string"},
		{"{\"ConfigVersion\":3,\"HostOptions\":{\"EngineOptions\":{\"Labels\":[1]}}}",
			"HostOptions.EngineOptions.Labels: expected a list of strings"},
		{"{\"ConfigVersion\":3,\"HostOptions\":{\"SwarmOptions\":{\"Master\":0}}}",
			"HostOptions.SwarmOptions.Master: expected true or false"},
	};

	machine_with("");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *want = xasprintf(
			"Error getting migrated host: %s: %s", at(CONFIG), cases[i].error);
		struct record *r;
		put(at(CONFIG), cases[i].text);
		assert_error(record_load(store, "web1", &r, &err), ERR_USER, want);
	}
}

static void broken_files(void **state)
{
	_cleanup_free_ char *prefix = xasprintf("Error getting migrated host: %s: ", at(CONFIG));
	_cleanup_free_ char *missing = xasprintf("open %s: no such file or directory", at(CONFIG));
	_cleanup_free_ char *big = xasprintf("%s: larger than 8388608 bytes", at(CONFIG));
	_cleanup_free_ char *not_folder =
		xasprintf("open %s: not a directory", at("S/machines/file/config.json"));
	static const char *const texts[] = {
		"", "{", "{\"a\":\"\xff\"}", "{} x", "\x00", "{\"a\":}"};
	struct record *r;

	machine_with("{}");
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		put(at(CONFIG), texts[i]);
		assert_int_equal(record_load(store, "web1", &r, &err), -1);
		assert_memory_equal(err_msg(&err), prefix, strlen(prefix));
		err_finish(&err);
	}
	assert_int_equal(truncate(at(CONFIG), STORE_MAX_CONFIG + 1), 0);
	assert_error(record_load(store, "web1", &r, &err), ERR_USER, big);
	assert_int_equal(unlink(at(CONFIG)), 0);
	assert_error(record_load(store, "web1", &r, &err), ERR_IO, missing);
	put(at("S/machines/file"), "");
	assert_error(record_load(store, "file", &r, &err), ERR_IO, not_folder);
	assert_int_equal(record_load(store, "none", &r, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
}

static void save_needs_the_machine(void **state)
{
	machine_with("{\"ConfigVersion\":3,\"Driver\":{},\"DriverName\":\"none\"}");
	_cleanup_record_ struct record *r = load();
	assert_ok(store_remove(store, "web1", &err));
	record_set_driver_state(r, json_object());
	json_set_str(record_driver_state(r), "a", "b");
	assert_int_equal(record_save(store, r, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_false(store_exists(store, "web1"));
}

static void too_large_to_be_read_again(void **state)
{
	machine_with("{\"ConfigVersion\":3,\"Driver\":{},\"DriverName\":\"none\"}");
	_cleanup_record_ struct record *r = load();
	char *big = xmalloc(STORE_MAX_CONFIG);
	memset(big, 'x', STORE_MAX_CONFIG);
	json_set(record_driver_state(r), "s", json_stringn(big, STORE_MAX_CONFIG));
	free(big);
	assert_int_equal(record_save(store, r, &err), -1);
	assert_int_equal(err.code, ERR_USER);
	_cleanup_record_ struct record *again = load();
	assert_int_equal(record_driver_state(again)->n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_store(saving_unchanged_writes_nothing),
		with_store(round_trip),
		with_store(new_record),
		with_store(progress),
		with_store(garbled_progress_hides_nothing),
		with_store(unknown_members_survive),
		with_store(keys_in_any_case),
		with_store(every_member_is_written),
		with_store(null_options_and_driver),
		with_store(wrong_types),
		with_store(broken_files),
		with_store(save_needs_the_machine),
		with_store(too_large_to_be_read_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
